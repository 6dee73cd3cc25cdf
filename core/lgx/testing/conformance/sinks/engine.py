"""Runs of a sink and calls of its methods, as the engine goes about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from lgx.context import Context
from lgx.contracts import RunInfo, Sink
from lgx.errors import LgxError, RetryableError, ThreadError
from lgx.spool import Bundle
from lgx.testing.conformance.bundles import make_run
from lgx.testing.conformance.reading import ReadBack, read_target
from lgx.testing.contexts import make_context
from lgx.threads import WriteOutcome

__all__ = ["SinkFactory", "cancel", "delivered", "record_counts", "running", "write_all"]

SinkFactory = Callable[[], Sink[Any]]


@asynccontextmanager
async def running(
    factory: SinkFactory, context: Context, run: RunInfo | None = None, *, finish: bool = True
) -> AsyncIterator[Sink[Any]]:
    """A run with a sink, as the engine goes about it."""
    sink = factory()
    async with sink:
        await sink.begin(run or make_run(), make_context())
        yield sink
        if finish:
            await sink.finish(context)


async def cancel(task: asyncio.Future[Any]) -> None:
    """Cancels and waits; raises what it failed with, if it failed."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def delivered(
    sink: Sink[Any], bundles: Sequence[Bundle], context: Context
) -> dict[str | None, WriteOutcome]:
    """Writes a batch as the engine does: where it fails as a whole, one by one."""
    try:
        outcomes = await sink.write(bundles, context)
    except (ThreadError, RetryableError) as error:
        if len(bundles) > 1:
            each = [await delivered(sink, [bundle], context) for bundle in bundles]
            return {thread_id: outcome for part in each for thread_id, outcome in part.items()}
        outcomes = [WriteOutcome(thread_id=bundles[0].thread_id, error=str(error))]
    return {outcome.thread_id: outcome for outcome in outcomes}


async def write_all(
    sink: Sink[Any], bundles: Sequence[Bundle], context: Context
) -> Sequence[WriteOutcome]:
    """One call of `write`: an outcome for each bundle, in order."""
    outcomes = await sink.write(bundles, context)
    assert [outcome.thread_id for outcome in outcomes] == [bundle.thread_id for bundle in bundles]
    for outcome in outcomes:
        assert outcome.error != "", "an outcome's error says nothing"
    for bundle in bundles:
        bundle.close()
    return outcomes


async def record_counts(read_back: ReadBack, context: Context) -> dict[str, int]:
    """How many records each thread in the target has; nothing where it cannot be opened."""
    try:
        contents = await read_target(read_back, context)
    except LgxError:
        return {}
    assert contents.faults == []
    return {thread_id: len(records) for thread_id, records in contents.threads.items()}
