"""Bundles decoded ahead of their turn to be written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from lgx import Bundle
from lgx_plugins.blocking import run_blocking, run_to_end
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.sqlite.rows import Chunk, Thread, chunks

__all__ = ["Decoding"]

_AHEAD = 3  # chunks


class Decoding:
    """Bundles on their way into the tables, decoded in a worker thread.

    It begins at once, and a few chunks go ahead of the one that is asked for: so threads are
    decoded while others are inserted, and while the file is synced. A context manager: once it
    is left, or `stop` has returned, nobody reads the bundles.
    """

    def __init__(self, bundles: Sequence[Bundle], cipher: Cipher, *, task_paths: bool) -> None:
        """`task_paths`: as `Thread` takes it."""
        self.bundles = bundles
        self.threads = [Thread(bundle, cipher, task_paths=task_paths) for bundle in bundles]
        self._pending = chunks(self.threads)
        self._ahead: asyncio.Queue[Chunk] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD - 1)
        self._task = asyncio.ensure_future(self._decode())

    async def _decode(self) -> None:
        none: Chunk = {}
        try:
            while chunk := await run_blocking(next, self._pending, none):
                self._ahead.put_nowait(chunk)
                await self._room.acquire()
        finally:
            self._ahead.put_nowait(none)

    async def __aenter__(self) -> Decoding:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def next(self) -> Chunk:
        """The next chunk, or an empty one after the last.

        Raises:
            ThreadError: one of the threads has no place in the tables.
        """
        chunk = await self._ahead.get()
        if chunk:
            self._room.release()
        else:
            await self._task  # which says why, where that is no end
        return chunk

    async def stop(self) -> None:
        """Decodes nothing ahead any more. May be called again."""
        self._task.cancel()
        await run_to_end(_over(self._task))
        self._pending.close()


async def _over(task: asyncio.Future[Any]) -> None:
    """Waits for it; what it failed with has been raised, or comes too late."""
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
