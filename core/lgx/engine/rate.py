"""The rate of requests: without bound until a server says that it is too much."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

__all__ = ["Rate"]

_LOWEST = 0.2  # requests a second; below that a run would seem to hang
_GROWTH = 1.1  # by which a bounded rate grows each second without a complaint
_LONGEST_GROWTH = 60.0  # seconds of silence that count as growth
_FEWEST = 20  # requests that a rate can be measured from
_WINDOW = 200  # requests over which the rate is measured


class Rate:
    """Halves when a server complains, grows back slowly, and is lifted when it is no use.

    Answers to requests that were on their way when the rate was halved say nothing about
    the new rate, so a burst of complaints halves it once.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._starts: deque[float] = deque(maxlen=_WINDOW)
        self._next = 0.0
        self._halved_at = float("-inf")
        self._grown_at = 0.0
        self._ceiling = 0.0
        self.limit: float | None = None
        """Requests a second; None: unbounded."""

    async def turn(self) -> float:
        """Waits until a request may start, and returns the time of its start."""
        now = self._clock()
        if self.limit is None and now >= self._next:
            self._starts.append(now)
            return now
        start = max(now, self._next)
        self._next = start + (1 / self.limit if self.limit else 0.0)
        if start > now:
            await self._sleep(start - now)
        self._starts.append(start)
        return start

    def throttled(self, started: float, retry_after: float) -> None:
        """A request that started then was turned away."""
        now = self._clock()
        self._next = max(self._next, now + retry_after)
        if started <= self._halved_at:
            return
        if self.limit is None:
            if len(self._starts) < _FEWEST:
                return  # too few to tell a rate from; that each is retried later must do
            self.limit = self._measured(now)
            self._ceiling = 2 * self.limit
        self.limit = max(self.limit / 2, _LOWEST)
        self._halved_at = self._grown_at = now

    def answered(self) -> None:
        """A request was answered without complaint."""
        if self.limit is None:
            return
        now = self._clock()
        elapsed = min(now - self._grown_at, _LONGEST_GROWTH)
        if elapsed >= 1:
            self.limit *= _GROWTH**elapsed
            self._grown_at = now
            if self.limit > self._ceiling:
                self.limit = None

    def _measured(self, now: float) -> float:
        return (len(self._starts) - 1) / max(now - self._starts[0], 0.001)
