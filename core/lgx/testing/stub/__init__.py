"""A LangGraph server for tests: the same answers, quirks and limits, and faults on demand."""

from lgx.testing.stub.chains import StubCheckpoint, dump
from lgx.testing.stub.deployment import Deployment, StoredItem
from lgx.testing.stub.faults import (
    Answer,
    BadGzip,
    CutBody,
    CutChunked,
    CutGzip,
    CutHead,
    CutUndelimited,
    Delay,
    Drip,
    Fault,
    Hang,
    Prefix,
    Reset,
    Rule,
    Status,
    fault_catalogue,
)
from lgx.testing.stub.http import Request, Response, problem
from lgx.testing.stub.process import StubProcess
from lgx.testing.stub.quirks import Quirks
from lgx.testing.stub.server import StubServer
from lgx.testing.stub.threads import StubThread

__all__ = [
    "Answer",
    "BadGzip",
    "CutBody",
    "CutChunked",
    "CutGzip",
    "CutHead",
    "CutUndelimited",
    "Delay",
    "Deployment",
    "Drip",
    "Fault",
    "Hang",
    "Prefix",
    "Quirks",
    "Request",
    "Reset",
    "Response",
    "Rule",
    "Status",
    "StoredItem",
    "StubCheckpoint",
    "StubProcess",
    "StubServer",
    "StubThread",
    "dump",
    "fault_catalogue",
    "problem",
]
