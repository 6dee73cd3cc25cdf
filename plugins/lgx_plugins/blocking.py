"""Work that is waited for even when its caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

__all__ = ["run_blocking", "run_to_end"]

P = ParamSpec("P")
T = TypeVar("T")


async def run_blocking(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs `call` in a worker thread; returns, also by cancellation, only once it has ended.

    A thread cannot be cancelled: were it left alone, it would go on writing to files that its
    owner has closed. What `call` opens it keeps where its owner finds it: by cancellation its
    result is lost.
    """
    return await run_to_end(asyncio.to_thread(call, *args, **kwargs))


async def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work`; returns, also by cancellation, only once it has ended. See `run_blocking`."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    task.exception()  # the cancellation is what the caller hears of
    raise cancelled
