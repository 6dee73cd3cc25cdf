"""Whom a transaction waits for: told, rather than waited for in silence."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lgx import Context, LgxError
from lgx_plugins.postgres.connection import Address, close, transaction
from lgx_plugins.postgres.failures import explained

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["Watched", "watched"]

_log = logging.getLogger(__name__)

_SECONDS = 5.0
"""Between looks; what takes less is nobody's matter."""

_BLOCKERS = """
SELECT b.pid, a.usename::text, a.application_name, a.state
FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) AS b (pid)
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid ORDER BY b.pid LIMIT 1
"""


class Watched:
    """Attributes:
    pid: of the server's process that works for us; behind a pooler it is known from the
        first answer on.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid


@asynccontextmanager
async def watched(
    address: Address, connection: Connection, context: Context | None
) -> AsyncIterator[Watched]:
    """While open, says who it is where the connection waits for a lock of somebody else's, once
    for each of them: as a warning in the log, and where progress is shown.

    Args:
        context: None where there is no run.
    """
    one = Watched(connection.get_server_pid())
    watching = asyncio.ensure_future(_watch(address, one, context))
    try:
        yield one
    finally:
        watching.cancel()
        await asyncio.wait((watching,))


async def _watch(address: Address, one: Watched, context: Context | None) -> None:
    told: set[str] = set()
    with contextlib.ExitStack() as shown:
        while True:
            await asyncio.sleep(_SECONDS)
            try:
                who = await _blocker(address, one.pid)
            except LgxError:
                who = None  # what is wrong with the server the transaction hears itself
            shown.close()
            if who is None:
                continue
            if context is not None:
                shown.enter_context(context.waiting(who))
            if who not in told:
                told.add(who)
                _log.warning(
                    "waiting for %s, which holds a lock on these tables: end its transaction, "
                    "or stop this run",
                    who,
                )


async def _blocker(address: Address, pid: int) -> str | None:
    connection = await address.connect(again=True)
    try:
        with explained(address.place, again=True):
            async with transaction(connection, readonly=True):
                row = await connection.fetchrow(_BLOCKERS, pid)
    finally:
        await close(connection)
    if row is None:
        return None
    blocker, user, program, state = row
    facts = [repr(program)] if program else []
    facts += [state] if state else []
    who = f"session {blocker}" + (f" of user {user!r}" if user else "")
    return who + (f" ({', '.join(facts)})" if facts else "")
