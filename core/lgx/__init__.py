"""lgx: moves LangGraph conversation state from any place that holds it to any other.

The names below are all that a plugin needs, and all that the built-in ones use. The
conformance kits and the fake server are in `lgx.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx.budget import Budget
from lgx.canonical import canonical, digest, record_digest
from lgx.codec import (
    decode_line,
    encode_line,
    from_fields,
    raw,
    to_fields,
)
from lgx.config import Config, OptionInfo, describe, option
from lgx.context import Context
from lgx.contracts import (
    BundleValidator,
    Component,
    Endpoint,
    RecordTransform,
    RecordValidator,
    RunInfo,
    Sink,
    Source,
    SourceBase,
    StreamSource,
    ThreadTransform,
    Transform,
    Validator,
    Violation,
)
from lgx.coverage import Coverage
from lgx.errors import (
    FatalError,
    IntegrityError,
    LgxError,
    LockedError,
    PluginConflictError,
    PluginLoadError,
    RetryableError,
    ThreadError,
    UsageError,
)
from lgx.facts import Fact, Probe
from lgx.hookspecs import hookimpl
from lgx.jsontext import compact, split_array, split_object
from lgx.progress import Progress
from lgx.query import Query, parse_time
from lgx.records import (
    ANY_KIND,
    CHECKPOINT_KINDS,
    EXTRA_KINDS,
    Assistant,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    Cron,
    Json,
    RawCheckpoint,
    Record,
    Run,
    StoreItem,
    Thread,
    Tombstone,
    UnknownRecord,
)
from lgx.report import Counts, Failure, Note, Report, Unmoved
from lgx.secrets import Secret, redact_url
from lgx.spec import RunSpec, Use, ValidatorUse, use
from lgx.spool import Bundle, Spool
from lgx.states import decode_history, state_to_checkpoint, to_state
from lgx.threads import (
    Loss,
    Mark,
    Origin,
    ReadOutcome,
    ThreadEnd,
    ThreadOrigin,
    ThreadRef,
    WriteOutcome,
)

if TYPE_CHECKING:
    from lgx.api import run, run_async
    from lgx.engine.stop import Stop
    from lgx.registry import Registry
    from lgx.upkeep import clean, clean_async, probe, probe_async
    from lgx.verification.report import Difference, Side, Verification
    from lgx.verifying import verify, verify_async
else:
    # Loaded when first used: a plugin that imports lgx needs none of them.
    _LATER = {
        "Difference": "lgx.verification.report",
        "Registry": "lgx.registry",
        "Side": "lgx.verification.report",
        "Stop": "lgx.engine.stop",
        "Verification": "lgx.verification.report",
        "clean": "lgx.upkeep",
        "clean_async": "lgx.upkeep",
        "probe": "lgx.upkeep",
        "probe_async": "lgx.upkeep",
        "run": "lgx.api",
        "run_async": "lgx.api",
        "verify": "lgx.verifying",
        "verify_async": "lgx.verifying",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module 'lgx' has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(_LATER[name]), name)


__version__ = "0.1.0"

__all__ = [
    "ANY_KIND",
    "CHECKPOINT_KINDS",
    "EXTRA_KINDS",
    "Assistant",
    "Budget",
    "Bundle",
    "BundleValidator",
    "ChannelBlob",
    "Checkpoint",
    "CheckpointWrite",
    "Component",
    "Config",
    "Context",
    "Counts",
    "Coverage",
    "Cron",
    "Difference",
    "Endpoint",
    "Fact",
    "Failure",
    "FatalError",
    "IntegrityError",
    "Json",
    "LgxError",
    "LockedError",
    "Loss",
    "Mark",
    "Note",
    "OptionInfo",
    "Origin",
    "PluginConflictError",
    "PluginLoadError",
    "Probe",
    "Progress",
    "Query",
    "RawCheckpoint",
    "ReadOutcome",
    "Record",
    "RecordTransform",
    "RecordValidator",
    "Registry",
    "Report",
    "RetryableError",
    "Run",
    "RunInfo",
    "RunSpec",
    "Secret",
    "Side",
    "Sink",
    "Source",
    "SourceBase",
    "Spool",
    "Stop",
    "StoreItem",
    "StreamSource",
    "Thread",
    "ThreadEnd",
    "ThreadError",
    "ThreadOrigin",
    "ThreadRef",
    "ThreadTransform",
    "Tombstone",
    "Transform",
    "UnknownRecord",
    "Unmoved",
    "UsageError",
    "Use",
    "Validator",
    "ValidatorUse",
    "Verification",
    "Violation",
    "WriteOutcome",
    "canonical",
    "clean",
    "clean_async",
    "compact",
    "decode_history",
    "decode_line",
    "describe",
    "digest",
    "encode_line",
    "from_fields",
    "hookimpl",
    "option",
    "parse_time",
    "probe",
    "probe_async",
    "raw",
    "record_digest",
    "redact_url",
    "run",
    "run_async",
    "split_array",
    "split_object",
    "state_to_checkpoint",
    "to_fields",
    "to_state",
    "use",
    "verify",
    "verify_async",
]
