"""For those who test lgx or a plugin: a stub server, a context, and conformance kits.

    from lgx.testing import SinkConformance, StubServer, make_context

Names are loaded when they are first used; only the kits need pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lgx.testing.contexts import make_context
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
    "Quirks",
    "StubProcess",
    "StubServer",
    "StubThread",
    "fault_catalogue",
    "make_context",
]

_PLACES = {
    "Deployment": "lgx.testing.stub",
    "Fault": "lgx.testing.stub",
    "Quirks": "lgx.testing.stub",
    "StubProcess": "lgx.testing.stub",
    "StubServer": "lgx.testing.stub",
    "StubThread": "lgx.testing.stub",
    "fault_catalogue": "lgx.testing.stub",
    "make_context": "lgx.testing.contexts",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
