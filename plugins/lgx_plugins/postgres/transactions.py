"""The connections of a sink: alone before its run begins, then transactions in the run's turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from lgx import Context
from lgx_plugins.postgres.connection import OWN_PATH, Address, close, close_pool, transaction
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.waits import watched

if TYPE_CHECKING:
    from asyncpg import Connection, Pool

__all__ = ["Transactions"]

T = TypeVar("T")

_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', true) "
    "WHERE current_setting('synchronous_commit') = 'off'"
)


class Transactions:
    """`open` comes before the first of them; `close` frees connections and lease.

    Attributes:
        context: of the run, for what is called without one.
    """

    def __init__(self, address: Address, lease: TargetLease) -> None:
        self._address = address
        self._lease = lease
        self._pool: Pool | None = None
        self.context: Context | None = None

    @property
    def opened(self) -> bool:
        return self._pool is not None

    async def open(self, connections: int) -> None:
        self._pool = await self._address.open_pool(connections)

    async def close(self) -> None:
        """May be called again."""
        pool, self._pool = self._pool, None
        try:
            if pool is not None:
                await close_pool(pool)
        finally:
            await self._lease.release()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Connection]:
        """A connection of its own, for the time before `open`."""
        connection = await self._address.connect()
        try:
            with explained(self._address.place):
                yield connection
        finally:
            await close(connection)

    async def versions(self) -> Mapping[str, str]:
        """Of the server, also before `open`; see `Sink.versions`."""
        async with self.alone() as connection:
            return {"postgresql": await connection.fetchval("SHOW server_version")}

    @asynccontextmanager
    async def reading(self, *, again: bool) -> AsyncIterator[Connection]:
        """A transaction that changes nothing; `again`: inside `Context.request`."""
        assert self._pool is not None, "used before begin"
        with explained(self._address.place, again=again):
            async with self._pool.acquire() as connection:
                with _noticed(connection):
                    async with transaction(connection, readonly=True):
                        with _noticed(connection):
                            yield connection

    async def found(self, find: Callable[[Connection], Awaitable[T]], *, what: str) -> T:
        """What `find` finds in a transaction that changes nothing; within a request, `what`,
        where a run has lent its context."""

        async def once(*, again: bool) -> T:
            async with self.reading(again=again) as connection:
                return await find(connection)

        if self.context is None:
            return await once(again=False)
        return await self.context.request(lambda: once(again=True), what=what)

    @asynccontextmanager
    async def undone(self, *, again: bool) -> AsyncIterator[Connection]:
        """A transaction of which nothing stays: for a look that takes tables of its own."""
        assert self._pool is not None, "used before begin"
        with explained(self._address.place, again=again):
            async with self._pool.acquire() as connection:
                with _noticed(connection), suppress(_Undone):
                    async with transaction(connection):
                        with _noticed(connection):
                            yield connection
                        raise _Undone

    @asynccontextmanager
    async def writing(self, *, again: bool = True) -> AsyncIterator[Connection]:
        """All or nothing, durable, and in our turn; `again`: inside `Context.request`."""
        assert self._pool is not None, "written before begin, or in a dry run"
        with explained(self._address.place, again=again):
            async with self._pool.acquire() as connection:
                with _noticed(connection):
                    async with (
                        watched(self._address, connection, self.context) as watch,
                        connection.transaction(isolation="read_committed"),
                    ):
                        with _noticed(connection):
                            await connection.execute(f"{OWN_PATH}; {_DURABLE}")
                            watch.pid = await self._lease.fence(connection)
                            yield connection


class _Undone(Exception):  # noqa: N818 -- what was meant
    pass


@contextmanager
def _noticed(connection: Connection) -> Iterator[None]:
    """A session that the server ended between two statements: the driver has noticed, and
    then takes the next statement for one too many."""
    import asyncpg

    try:
        yield
    except asyncpg.InternalClientError as error:
        connection.terminate()
        raise ConnectionResetError from error
