"""One moment of a database, seen through several connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lgx import Context, FatalError, RetryableError
from lgx_plugins.postgres.catalog import Relation
from lgx_plugins.postgres.connection import OWN_PATH, Address, close
from lgx_plugins.postgres.failures import explained, of_connection
from lgx_plugins.postgres.waits import watched

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["Moment"]

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# A long export is neither idle nor stuck; its statements are many and small, not worth
# compiling; and rows that a policy would hide shall fail it. All of it goes with the
# transaction, so that it stays nobody's behind a pooler.
_UNHURRIED = """
SELECT set_config(name, CASE WHEN name IN ('jit', 'row_security') THEN 'off' ELSE '0' END, true)
FROM pg_catalog.pg_settings WHERE name IN
    ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout',
    'lock_timeout', 'jit', 'row_security')
"""

_JOIN_SECONDS = 10.0
_LOCK_SECONDS = 1
_ALONE_SECONDS = 10.0


class Moment:
    """What stood in a database at one moment, for as long as one connection holds it.

    A *keeper* exports its snapshot; other connections, made when they are wanted, join in. Any
    of them may be lost and made anew. Where the keeper is lost another one takes its
    place; only with the last of them the moment is gone, and cannot be taken again.
    """

    def __init__(self, address: Address, most: int) -> None:
        """
        Args:
            most: so many connections at once, the keeper among them.
        """
        self._address = address
        self._most = most
        self._keeper: Connection | None = None
        self._keeping = asyncio.Lock()
        self._snapshot = ""
        self._idle: list[Connection] = []
        self._lent = 0
        self._returned = asyncio.Event()
        self._places = asyncio.Semaphore(max(most - 1, 1))
        self._open_all = ""
        self._alone_until = 0.0

    async def take(
        self,
        tables: Callable[[Connection], Awaitable[Sequence[Relation]]],
        context: Context | None = None,
    ) -> None:
        """Takes the moment; called once, before all else.

        Args:
            tables: finds those that nobody shall alter or empty meanwhile; the moment is taken
                once they are as they will stay.
            context: shows whom it waits for; None where nobody looks.

        Raises:
            LgxError: the database cannot be reached, or a table not be read.
        """
        keeper = await self._address.connect()
        try:
            async with watched(self._address, keeper, context):
                await self._taken(keeper, tables)
        except BaseException:
            await close(keeper)
            raise
        self._keeper = keeper

    async def _taken(
        self,
        keeper: Connection,
        tables: Callable[[Connection], Awaitable[Sequence[Relation]]],
    ) -> None:
        with explained(self._address.place):
            await keeper.execute(f"BEGIN READ ONLY; {OWN_PATH}")
            found = await tables(keeper)
            await keeper.execute("COMMIT")
            await keeper.execute(f"{_BEGIN}; {OWN_PATH}")
            locked = ", ".join(table.sql for table in found if table.lockable)
            if locked:
                await keeper.execute(f"LOCK TABLE {locked} IN ACCESS SHARE MODE")
            await keeper.execute(_UNHURRIED)
            # Whole rows, so that it is planned with all that a view or an index leads to.
            opened = [table.sql for table in found if not table.foreign]
            self._open_all = " UNION ALL ".join(
                ["SELECT ''", *(f"(SELECT (p.*)::text FROM {t} AS p LIMIT 0)" for t in opened)]
            )
            await keeper.execute(self._open_all)
            self._snapshot = await _export(keeper)

    async def close(self) -> None:
        """Lets the moment go."""
        keeper, self._keeper = self._keeper, None
        held = [*self._idle, *([keeper] if keeper else ())]
        self._idle.clear()
        try:
            await asyncio.gather(*map(close, held))
        finally:
            for connection in held:
                connection.terminate()

    @asynccontextmanager
    async def keeper(self) -> AsyncIterator[Connection]:
        """The connection that holds the moment, for one short statement at a time.

        What goes wrong is undone: a transaction that has failed holds nothing.

        Raises:
            FatalError: the moment is gone.
        """
        async with self._keeping:
            keeper = await self._kept()
            with explained(self._address.place, again=True):
                await keeper.execute("SAVEPOINT lgx")
            try:
                yield keeper
            except BaseException:
                await self._undo(keeper)
                raise
            with explained(self._address.place, again=True):
                await keeper.execute("RELEASE SAVEPOINT lgx")

    async def _undo(self, keeper: Connection) -> None:
        try:
            await keeper.execute("ROLLBACK TO SAVEPOINT lgx")
        except Exception:  # the connection is broken: the next one to want it hears of that
            keeper.terminate()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """A connection in the moment, for oneself; one that something went wrong on is not
        used again. Waits until there is one. Used within `Context.request`. Where there can be
        no other it is the keeper.

        Raises:
            RetryableError: it was lost.
            FatalError: the moment is gone.
        """
        async with self._places:
            connection = await self._joined() if self._most > 1 else None
            if connection is None:
                async with self.keeper() as keeper:
                    yield keeper
                return
            self._lent += 1
            try:
                yield connection
            except BaseException:
                connection.terminate()
                raise
            finally:
                self._lent -= 1
                if self._keeper is None:  # the moment was let go meanwhile
                    connection.terminate()
                elif not connection.is_closed():
                    self._idle.append(connection)
                self._returned.set()

    async def _joined(self) -> Connection | None:
        """Another connection in the moment; None where there cannot be one now, since the
        server has no room for it, or somebody waits to alter what is read."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        clock = asyncio.get_running_loop().time
        if clock() < self._alone_until:
            return None
        async with self._keeping:
            await self._kept()
        begun = clock()
        try:
            return await self._new()
        except RetryableError:
            # Not tried again by the caller: the keeper knows best whether the server is there.
            ended = clock()
            self._alone_until = ended + max(_ALONE_SECONDS, 10 * (ended - begun))
            return None

    async def _new(self) -> Connection:
        connection = await self._address.connect(again=True)
        try:
            with explained(self._address.place, again=True):
                async with asyncio.timeout(_JOIN_SECONDS):  # a pooler lets one wait for its turn
                    await connection.execute(_BEGIN)
                    await self._join(connection)
                    # Who waits to alter a table waits for the keeper, and all that come later
                    # wait for him: for ever, if the keeper's run needs them. So whatever has
                    # to be locked is locked now, or this connection is done without.
                    await connection.execute(
                        f"{OWN_PATH}; SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"
                    )
                    await connection.execute(self._open_all)
                    await connection.execute(_UNHURRIED)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _join(self, connection: Connection) -> None:
        import asyncpg

        snapshot = self._snapshot
        try:
            await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        except (
            asyncpg.InvalidParameterValueError,
            asyncpg.ObjectNotInPrerequisiteStateError,
            asyncpg.UndefinedObjectError,
        ) as error:
            if snapshot != self._snapshot or not await self._keeper_answers():
                raise ConnectionResetError from error  # it went while this one came
            raise FatalError(
                f"a second connection to {self._address.place} does not find what the first "
                "one sees; they lead to different servers: use --source-connections 1"
            ) from error

    async def _keeper_answers(self) -> bool:
        async with self._keeping:
            if self._keeper is None or self._keeper.is_closed():
                return False
            try:
                await self._keeper.execute("SELECT 1")
            except of_connection():
                return False
            return True

    async def _kept(self) -> Connection:
        """The keeper, or who can be it in its place."""
        while self._keeper is None or self._keeper.is_closed():
            if self._idle:
                heir = self._idle.pop()
                if heir.is_closed():
                    continue
                try:
                    with explained(self._address.place, again=True):
                        self._snapshot = await _export(heir)
                except BaseException:
                    heir.terminate()
                    raise
                self._keeper = heir
            elif self._lent:
                self._returned.clear()
                await self._returned.wait()
            else:
                raise FatalError(
                    f"the connection to {self._address.place} was lost, and with it the moment "
                    "that was being read, which cannot be taken again; run again: what a "
                    "target keeps of this run it does not need a second time"
                )
        return self._keeper


async def _export(connection: Connection) -> str:
    snapshot: str = await connection.fetchval("SELECT pg_export_snapshot()")
    return snapshot
