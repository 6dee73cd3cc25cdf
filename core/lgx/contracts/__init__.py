"""The contracts between the engine and its plugins.

    source.list ─▶ sink.held ─▶ source.read ─▶ transforms ─▶ validators ─▶ sink.write

Hooks register classes; the engine makes one object of each that a command names, with its
config, and calls the plain methods below. All async methods of one object are called on
one event loop. A method may raise `UsageError` (the options are wrong), `FatalError` (stop),
`RetryableError` (only out of `Context.request`) and `ThreadError` (this thread fails, the
others go on). Any other exception is taken for a bug in the plugin and ends the run.
"""

from __future__ import annotations

from lgx.contracts.components import Component, Endpoint
from lgx.contracts.sinks import RunInfo, Sink
from lgx.contracts.sources import Source, SourceBase, StreamSource
from lgx.contracts.transforms import RecordTransform, ThreadTransform, Transform
from lgx.contracts.validators import BundleValidator, RecordValidator, Validator, Violation

__all__ = [
    "BundleValidator",
    "Component",
    "Endpoint",
    "RecordTransform",
    "RecordValidator",
    "RunInfo",
    "Sink",
    "Source",
    "SourceBase",
    "StreamSource",
    "ThreadTransform",
    "Transform",
    "Validator",
    "Violation",
]
