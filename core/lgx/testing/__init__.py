"""For those who test lgx or a plugin: a stub server, a context, and conformance kits.

    from lgx.testing import SinkConformance, StubServer, make_context

Names are loaded when they are first used; only those of `lgx.testing.conformance` need
pytest. The faults of the stub server are in `lgx.testing.stub`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lgx.testing.conformance import (
        SinkConformance,
        SourceConformance,
        make_bundle,
        make_run,
        read_all,
        read_target,
        same_records,
        sample_extras,
        sample_threads,
    )
    from lgx.testing.contexts import make_context
    from lgx.testing.pooler import TransactionPooler
    from lgx.testing.postgres import PostgresProcess, PostgresServer
    from lgx.testing.proxy import FaultProxy
    from lgx.testing.s3 import S3Process
    from lgx.testing.s3_proxy import S3Proxy
    from lgx.testing.stub import (
        Deployment,
        Fault,
        Quirks,
        StubProcess,
        StubServer,
        StubThread,
        fault_catalogue,
    )

__all__ = [
    "Deployment",
    "Fault",
    "FaultProxy",
    "PostgresProcess",
    "PostgresServer",
    "Quirks",
    "S3Process",
    "S3Proxy",
    "SinkConformance",
    "SourceConformance",
    "StubProcess",
    "StubServer",
    "StubThread",
    "TransactionPooler",
    "fault_catalogue",
    "make_bundle",
    "make_context",
    "make_run",
    "read_all",
    "read_target",
    "same_records",
    "sample_extras",
    "sample_threads",
]

_PLACES = {
    "Deployment": "lgx.testing.stub",
    "Fault": "lgx.testing.stub",
    "FaultProxy": "lgx.testing.proxy",
    "PostgresProcess": "lgx.testing.postgres",
    "PostgresServer": "lgx.testing.postgres",
    "Quirks": "lgx.testing.stub",
    "S3Process": "lgx.testing.s3",
    "S3Proxy": "lgx.testing.s3_proxy",
    "SinkConformance": "lgx.testing.conformance",
    "SourceConformance": "lgx.testing.conformance",
    "StubProcess": "lgx.testing.stub",
    "StubServer": "lgx.testing.stub",
    "StubThread": "lgx.testing.stub",
    "TransactionPooler": "lgx.testing.pooler",
    "fault_catalogue": "lgx.testing.stub",
    "make_bundle": "lgx.testing.conformance",
    "make_context": "lgx.testing.contexts",
    "make_run": "lgx.testing.conformance",
    "read_all": "lgx.testing.conformance",
    "read_target": "lgx.testing.conformance",
    "same_records": "lgx.testing.conformance",
    "sample_extras": "lgx.testing.conformance",
    "sample_threads": "lgx.testing.conformance",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
