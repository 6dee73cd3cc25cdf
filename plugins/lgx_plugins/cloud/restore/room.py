"""Memory for the threads that are being written: as many at once as there is room for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lgx import Budget, Bundle, Context
from lgx_plugins.cloud.history import PAGE_BYTES

__all__ = ["Room"]

_SMALL = 256 << 10  # of a thread, below which its largest step is not looked for
_STEPS = 3  # in use at once: the one before, the one that is sent, the one that it is held against


class Room:
    """Lets threads be written while what they need together fits; one of them always.

    It is charged to the run's budget, so that sources read less meanwhile; but nobody waits for
    that here. A source may hold a page of the budget until its threads are written, and threads
    that wait to be written may fill the rest of it: a writer that waited for either would wait
    for itself.
    """

    def __init__(self) -> None:
        self._gate: Budget | None = None

    @asynccontextmanager
    async def of(self, bundle: Bundle, body_bytes: int, context: Context) -> AsyncIterator[None]:
        """While open, the thread has its room: its steps, the request and the page of its
        history are counted, and are not to be taken of the budget."""
        need = _need(bundle, body_bytes)
        if self._gate is None:
            self._gate = Budget(context.budget.total)
        await self._gate.take(need)
        context.budget.try_take(need, overdraw=True)
        try:
            yield
        finally:
            context.budget.give(need)
            self._gate.give_page(need)


def _need(bundle: Bundle, body_bytes: int) -> int:
    size = bundle.size
    step = size
    if size > _SMALL:
        step = max(map(len, bundle.lines()), default=0)
    body = max(step, min(size, body_bytes))
    page = max(step, min(size, PAGE_BYTES))
    return _STEPS * step + body + page
