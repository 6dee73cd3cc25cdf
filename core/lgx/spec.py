"""What a run is to do: plain data, so that it can be written down, sent and repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from lgx.query import Query

__all__ = ["RunSpec", "Use", "ValidatorUse", "use"]


class Use(Struct, frozen=True, kw_only=True):
    """A component by its name, with its options as they were written."""

    name: str
    options: dict[str, object] = {}


class ValidatorUse(Use, frozen=True, kw_only=True):
    """A validator, and whether it sees the source's data or what the transforms made of it."""

    at: Literal["source", "sink"] = "sink"


def use(name: str, **options: object) -> Use:
    """Names a component: `use("sqlite", path="threads.db")`."""
    return Use(name=name, options=options)


class RunSpec(Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        full: ignore the sink's marks: read and write every thread again.
        merge: allow threads of several sources in one target.
        fidelity: None: the most that both ends can hold.
        concurrency: how many bulk requests or reads of the source run at once.
        memory: bytes of bulk data in flight.
        attempts: how often a request is tried at most.
        on_violation: what a violation costs. fail: the run ends; quarantine: the thread
            is not written; warn: it is listed, and written all the same.
        dry_run: list what would move and write nothing; with transforms or validators it
            also reads.
        spool_directory: where large threads spill; None: the system's temporary directory.
    """

    source: Use
    sink: Use
    transforms: tuple[Use, ...] = ()
    validators: tuple[ValidatorUse, ...] = ()
    query: Query = Query()
    full: bool = False
    merge: bool = False
    fidelity: Literal["raw", "state"] | None = None
    concurrency: int = 16
    memory: int = 48 << 20
    attempts: int = 8
    on_violation: Literal["fail", "quarantine", "warn"] = "fail"
    dry_run: bool = False
    spool_directory: Path | None = None
