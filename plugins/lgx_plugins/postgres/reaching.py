"""The moment of a database that a source reads, taken when it is first wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lgx import Context, FatalError, RetryableError
from lgx_plugins.postgres.catalog import Relation
from lgx_plugins.postgres.connection import Address
from lgx_plugins.postgres.failures import explain, explained
from lgx_plugins.postgres.snapshot import Moment

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["Reach"]

_ATTEMPTS = 5  # at the first use: what is wrong with the address shall not take minutes


class Reach:
    """Gives the same `Moment` to all who ask, and takes it for the first of them."""

    def __init__(
        self,
        address: Address,
        connections: int,
        *,
        tables: Callable[[Connection], Awaitable[Sequence[Relation]]],
        look: Callable[[Connection], Awaitable[None]],
    ) -> None:
        """
        Args:
            connections: so many at once.
            tables: finds those that nobody shall alter meanwhile; see `Moment.take`.
            look: finds what else is to be known; called with the keeper of each moment that is
                taken, before anybody gets it. Where it raises, that moment is let go.
        """
        self._address = address
        self._connections = connections
        self._tables = tables
        self._look = look
        self._taking = asyncio.Lock()
        self._moment: Moment | None = None

    async def moment(self, context: Context | None) -> Moment:
        """The moment, which is taken at the first use of the database, within a request: a server
        may be about to start, and who interrupts a run shall not have to wait for it.

        Args:
            context: None where there is none, for a single try.

        Raises:
            LgxError: it could not be taken, or what `look` raised; the next call tries again.
        """
        async with self._taking:
            if self._moment is None:
                if context is None:
                    self._moment = await self._take(None)
                else:
                    self._moment = await context.request(
                        lambda: self._taken(context), what="first connection", attempts=_ATTEMPTS
                    )
            return self._moment

    async def close(self) -> None:
        """Lets the moment go, if there is one. May be called again."""
        moment, self._moment = self._moment, None
        if moment is not None:
            await moment.close()

    async def versions(self, context: Context) -> Mapping[str, str]:
        """Of the server; see `Source.versions`."""
        moment = await self.moment(context)
        async with moment.keeper() as keeper:
            with explained(self._address.place):
                return {"postgresql": await keeper.fetchval("SHOW server_version")}

    async def count(self, rows: str, context: Context) -> int:
        """How many threads there are.

        Args:
            rows: SQL for what follows FROM, a row a thread.
        """
        moment = await self.moment(context)

        async def counted() -> int:
            async with moment.keeper() as keeper:
                with explained(self._address.place, again=True):
                    return int(await keeper.fetchval(f"SELECT count(*) FROM {rows}"))

        return await context.request(counted, what="number of threads")

    async def _taken(self, context: Context) -> Moment:
        try:
            return await self._take(context)
        except FatalError as error:
            cause = error.__cause__
            if not isinstance(cause, Exception):
                raise
            passing = explain(cause, self._address.place, again=True)
            if not isinstance(passing, RetryableError):
                raise
            raise RetryableError(
                str(error), throttled=passing.throttled, outage=passing.outage
            ) from cause

    async def _take(self, context: Context | None) -> Moment:
        moment = Moment(self._address, self._connections)
        await moment.take(self._tables, context)
        try:
            async with moment.keeper() as keeper:
                with explained(self._address.place):
                    await self._look(keeper)
        except BaseException:
            await moment.close()
            raise
        return moment
