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


class Decoding:
    """Bundles on their way into the tables; the first chunk of them is decoded at once.

    There is always one chunk ahead of the one that is asked for: the file is written, and
    synced, while the next is decoded in a worker thread. A context manager: once it is left,
    or `stop` has returned, nobody reads the bundles.
    """

    def __init__(self, bundles: Sequence[Bundle], cipher: Cipher, *, task_paths: bool) -> None:
        """`task_paths`: as `Thread` takes it."""
        self.bundles = bundles
        self.threads = [Thread(bundle, cipher, task_paths=task_paths) for bundle in bundles]
        self._pending = chunks(self.threads)
        self._ahead = self._decode()

    def _decode(self) -> asyncio.Future[Chunk]:
        none: Chunk = {}
        return asyncio.ensure_future(run_blocking(next, self._pending, none))

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
        chunk = await self._ahead
        if chunk:
            self._ahead = self._decode()
        return chunk

    async def stop(self) -> None:
        """Decodes nothing ahead any more. May be called again."""
        await run_to_end(_over(self._ahead))
        self._pending.close()


async def _over(task: asyncio.Future[Any]) -> None:
    """Waits for it; what it failed with has been raised, or comes too late."""
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
