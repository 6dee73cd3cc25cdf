"""The memory budget: bytes of bulk data that may be in flight at once."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Budget"]


class Budget:
    """Counts bytes in flight; waiting for room never deadlocks.

    Two kinds of holder share it. A *page* is about to be received: `take` waits for room,
    but is always granted when no other page is held, so that one reader at least goes on.
    A *spool* keeps finished records until they are written: `try_take` never waits, and
    a spool that gets no room goes to disk.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self.peak = 0
        self._pages = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def try_take(self, size: int, *, overdraw: bool = False) -> bool:
        """Takes room at once, or says that there is none; with `overdraw` there always is."""
        if not overdraw and self.used + size > self.total:
            return False
        self._add(size)
        return True

    @property
    def pressed(self) -> bool:
        """Whether most of it is used, so that what can be written should be written now."""
        return self.used * 4 > self.total * 3

    def give(self, size: int) -> None:
        """Gives back what `try_take` took."""
        self.used -= size
        self._wake()

    async def take(self, size: int) -> None:
        """Waits for room for a page of `size` bytes, in the order of asking."""
        if not self._waiting and self._fits(size):
            self._grant(size)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give_page(size)
            self._wake()  # those behind it may fit
            raise

    def resize(self, before: int, after: int) -> None:
        """Says that a page turned out to be larger or smaller than was taken."""
        self._add(after - before)
        self._wake()

    def give_page(self, size: int) -> None:
        """Gives back what `take` took (or what `resize` made of it)."""
        self._pages -= 1
        self.give(size)

    def _fits(self, size: int) -> bool:
        return self._pages == 0 or self.used + size <= self.total

    def _grant(self, size: int) -> None:
        self._pages += 1
        self._add(size)

    def _add(self, size: int) -> None:
        self.used += size
        self.peak = max(self.peak, self.used)

    def _wake(self) -> None:
        while self._waiting:
            size, future = self._waiting[0]
            if not (future.cancelled() or self._fits(size)):
                return
            self._waiting.popleft()
            if not future.cancelled():
                self._grant(size)
                future.set_result(None)
