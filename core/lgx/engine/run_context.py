"""The context of a run: what the engine lends to its plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lgx.budget import Budget
from lgx.engine.requests import Requests
from lgx.engine.stop import Stop
from lgx.progress import Progress
from lgx.report import Note
from lgx.spool import Spool

__all__ = ["RunContext"]

T = TypeVar("T")


class RunContext:
    """Fulfils `lgx.Context`."""

    def __init__(
        self,
        *,
        requests: Requests,
        budget: Budget,
        progress: Progress,
        stop: Stop,
        spool_directory: Path | None = None,
    ) -> None:
        self.budget = budget
        self.progress = progress
        self.notes: dict[tuple[str | None, str], Note] = {}
        self._waits: list[str] = []
        self._requests = requests
        self._stop = stop
        self._spool_directory = spool_directory
        self._spool_keep = max(256 << 10, budget.total // 8)

    @property
    def stopping(self) -> bool:
        return self._stop.requested

    async def request(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        what: str,
        bulk: bool = False,
        attempts: int | None = None,
    ) -> T:
        return await self._requests(call, what=what, bulk=bulk, attempts=attempts)

    def spool(self) -> Spool:
        return Spool(self.budget, self._spool_directory, self._spool_keep)

    def note(self, message: str, *, thread_id: str | None = None) -> None:
        self.notes.setdefault((thread_id, message), Note(message=message, thread_id=thread_id))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        self._waits.append(what)
        self.progress.waiting_for = what
        try:
            yield
        finally:
            self._waits.remove(what)
            self.progress.waiting_for = self._waits[-1] if self._waits else None

    def received(self, size: int) -> None:
        self.progress.received += size
