"""How far a run is: counters that the engine keeps and a display reads."""

from __future__ import annotations

from typing import Literal

__all__ = ["Progress"]


class Progress:
    """Numbers and a few words; they change on the event loop, and any thread may read them.

    `total` is the number of threads to be expected, None until the listing has ended
    or the source has told; `waiting` are read and not yet written. `waiting_for` names
    somebody else who has to finish something first. All byte counts are of record lines,
    but `received`, which counts what came over the wire.
    """

    def __init__(self) -> None:
        self.phase: Literal["opening", "listing", "moving", "finishing", "done"] = "opening"
        self.waiting_for: str | None = None
        self.total: int | None = None
        self.listed = 0
        self.unchanged = 0
        self.written = 0
        self.partial = 0
        self.failed = 0
        self.gone = 0
        self.waiting = 0
        self.checkpoints = 0
        self.bytes = 0
        self.received = 0
        self.requests = 0
        self.retries = 0

    @property
    def read(self) -> int:
        """Threads that need no more of the source."""
        return self.settled + self.waiting

    @property
    def settled(self) -> int:
        """Threads of which the outcome is known."""
        return self.unchanged + self.written + self.partial + self.failed + self.gone
