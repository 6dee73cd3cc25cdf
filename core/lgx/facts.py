"""What a probe finds out about a source or sink."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Fact", "Probe"]


class Fact(Struct, frozen=True, kw_only=True):
    """One finding of a probe. `level` is ok, warn (something will be lost) or error."""

    name: str
    value: str
    level: Literal["ok", "warn", "error"] = "ok"


class Probe(Struct, frozen=True, kw_only=True):
    """What `lgx doctor` shows of a source or sink.

    Attributes:
        facts: in the order of showing; an error-level one makes `doctor` exit with 1.
    """

    facts: tuple[Fact, ...] = ()
