"""A request to end a run early, without losing what is in flight."""

from __future__ import annotations

import asyncio

__all__ = ["Stop"]


class Stop:
    """Set once; may be made before the event loop runs, and set from its thread only."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._event = asyncio.Event()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self, signal: int | None = None) -> None:
        """Asks the run to end: what is being written is finished, nothing new is read.

        Args:
            signal: the number of the signal that asked, for the exit code.
        """
        if not self._event.is_set():
            self.signal = signal
            self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
