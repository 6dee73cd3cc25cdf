"""The lock of a store of RedisSaver's; two runs at once are in `test_sink`."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from lgx.testing import make_context
from lgx_plugins.checkpointers.redis.lock import StoreLock
from lgx_plugins.checkpointers.redis.server import Server


class _Slow:
    """A server that takes a lock and is slow to say so."""

    place = "redis://slow"

    def __init__(self) -> None:
        self.held: bytes | None = None
        self.taken = asyncio.Event()

    async def ask(self, context: Any, *command: Any) -> Any:
        match command[0]:
            case "SET":
                self.held = command[2]
                self.taken.set()
                await asyncio.Event().wait()
            case "GET":
                return self.held
            case "DEL":
                self.held = None
        return None


async def test_a_lock_that_was_taken_and_not_yet_answered_is_given_back() -> None:
    """Else the next run waits for half a minute after one that was cancelled as it began."""
    server = _Slow()
    lock = StoreLock(cast("Server", server), b"lgx_lock")
    beginning = asyncio.create_task(lock.acquire(make_context()))
    await server.taken.wait()
    beginning.cancel()
    await asyncio.wait([beginning])
    assert beginning.cancelled()
    assert server.held is not None

    await lock.release()

    assert server.held is None
