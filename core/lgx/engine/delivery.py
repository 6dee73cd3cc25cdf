"""Delivery: gathers finished bundles into batches and hands them to the sink."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from lgx.contracts import Sink
from lgx.engine.run_context import RunContext
from lgx.engine.tally import Tally
from lgx.errors import FatalError, RetryableError, ThreadError
from lgx.spool import Bundle
from lgx.threads import WriteOutcome

__all__ = ["Delivery"]

_QUEUED = 32  # bundles between readers and writers; each may hold an open file


class Delivery:
    """Runs the sink's writers; `put` waits while they are behind."""

    def __init__(self, sink: Sink[Any], context: RunContext, tally: Tally) -> None:
        self._sink = sink
        self._context = context
        self._tally = tally
        self._queue: asyncio.Queue[Bundle | None] = asyncio.Queue(_QUEUED)
        self._gathering = asyncio.Lock()

    async def put(self, bundle: Bundle) -> None:
        """Hands a finished bundle over; it is closed once it is written."""
        self._context.progress.waiting += 1
        try:
            await self._queue.put(bundle)
        except BaseException:
            self._context.progress.waiting -= 1
            bundle.close()
            raise

    async def end(self) -> None:
        """Says that no more bundles will come."""
        for _ in range(self._sink.max_writers):
            await self._queue.put(None)

    async def run(self) -> None:
        """Writes until `end` was called and everything is written."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._sink.max_writers):
                group.create_task(self._write_all())

    def close(self) -> None:
        """Lets go what was not written; called when nobody puts or writes any more."""
        while not self._queue.empty():
            bundle = self._queue.get_nowait()
            if bundle is not None:
                bundle.close()

    async def _write_all(self) -> None:
        ended = False
        while not ended:
            batch: list[Bundle] = []
            try:
                # One at a time: several would share what comes, and all be full at one moment.
                async with self._gathering:
                    ended = await self._gather(batch)
                if batch:
                    await self._write(batch)
            finally:
                for bundle in batch:
                    bundle.close()

    async def _gather(self, batch: list[Bundle]) -> bool:
        """Fills a batch to the size that the sink likes; True when no more will come."""
        loop = asyncio.get_running_loop()
        size = 0
        deadline = 0.0
        while size < self._sink.batch_bytes and len(batch) < self._sink.batch_threads:
            if self._queue.empty() and batch and self._context.budget.pressed:
                return False
            try:
                async with asyncio.timeout_at(deadline if batch else None):
                    bundle = await self._queue.get()
            except TimeoutError:
                return False
            if bundle is None:
                return True
            if not batch:
                deadline = loop.time() + self._sink.batch_seconds
            batch.append(bundle)
            size += bundle.size
        return False

    async def _write(self, batch: Sequence[Bundle]) -> None:
        """Writes a batch; where it fails as a whole, its threads one by one."""
        try:
            outcomes = await self._sink.write(batch, self._context)
        except (ThreadError, RetryableError) as error:
            if len(batch) > 1:
                for bundle in batch:
                    await self._write([bundle])
                return
            outcomes = [WriteOutcome(thread_id=batch[0].thread_id, error=str(error))]
        by_id = {outcome.thread_id: outcome for outcome in outcomes or ()}
        strange = by_id.keys() - {bundle.thread_id for bundle in batch}
        if strange:
            raise FatalError(
                f"the sink told the outcome of {sorted(map(str, strange))[0]!r}, which it was not "
                "given; its plugin is at fault"
            )
        for bundle in batch:
            outcome = by_id.get(bundle.thread_id)
            if outcome is None:
                why = "the sink did not say what became of it; its plugin is at fault"
                outcome = WriteOutcome(thread_id=bundle.thread_id, error=why)
            self._tally.wrote(bundle, outcome)
