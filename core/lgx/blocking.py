"""Waiting for a coroutine where the caller is not one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["wait_for"]

T = TypeVar("T")


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, also where the caller's thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    result: Future[T] = Future()
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = Future()

    async def supervised() -> T:
        started.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await work

    def target() -> None:
        try:
            result.set_result(asyncio.run(supervised()))
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=target, name="lgx-run", daemon=True)
    thread.start()
    try:
        return result.result()
    except KeyboardInterrupt:
        # Only the waiting was interrupted; the work has to be ended as well.
        loop, task = started.result()
        if task is not None and not result.done():
            loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        thread.join()
