"""Runs a test of a kit in an event loop of its own: no plugin of pytest is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from lgx.context import Context
from lgx.testing.contexts import make_context

__all__ = ["run_test"]


def run_test(test: Callable[[Context], Coroutine[Any, Any, None]]) -> None:
    """Runs it to its end, with a context that is its own."""

    async def go() -> None:
        await test(make_context())

    asyncio.run(go())
