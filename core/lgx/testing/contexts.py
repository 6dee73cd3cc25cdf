"""A context for tests of plugins: the engine's own, with waits that take no time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lgx.budget import Budget
from lgx.engine.requests import Requests
from lgx.engine.run_context import RunContext
from lgx.engine.stop import Stop
from lgx.progress import Progress

__all__ = ["make_context"]


def make_context(
    *,
    memory: int = 64 << 20,
    concurrency: int = 16,
    attempts: int = 4,
    spool_directory: Path | None = None,
    stop: Stop | None = None,
) -> RunContext:
    """A `lgx.Context`; its `progress` and `notes` may be looked at.

    Retries, rate and counting are those of a run, but no wait lasts: backing off and
    `Retry-After` only yield to the event loop. Call it inside a running loop.
    """

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    progress = Progress()
    return RunContext(
        requests=Requests(progress, concurrency=concurrency, attempts=attempts, sleep=at_once),
        budget=Budget(memory),
        progress=progress,
        stop=stop or Stop(),
        spool_directory=spool_directory,
    )
