"""The lock on a target: of two runs into one schema, one waits outside."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
import uuid
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from lgx import Context, LockedError, RetryableError
from lgx_plugins.postgres.comments import lease_comment
from lgx_plugins.postgres.connection import OWN_PATH, Address, close, transaction
from lgx_plugins.postgres.failures import explained, of_connection
from lgx_plugins.postgres.names import Names, quoted
from lgx_plugins.postgres.schema import lease_table

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["TargetLease", "lock_holder"]

_log = logging.getLogger(__name__)

_ALIVE_SECONDS = 20.0
"""Between signs of life: firewalls and poolers end connections on which nothing happens."""

_ASK_SECONDS = 0.5
"""Between looks at a lock that another run holds."""

_TAKEOVER_SECONDS = 30
"""How long the last transaction of a holder that lost its lock may take to end, where nobody
said to wait."""

# A lock of this kind lives as long as its transaction, which keeps its session even behind
# PgBouncer in transaction mode, and ends with the process. The transaction has no snapshot
# between statements, so it holds back no vacuum.
_FOR_EVER = (
    "SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name IN "
    "('idle_in_transaction_session_timeout', 'statement_timeout', 'lock_timeout', "
    "'transaction_timeout')"
)

# Where the machine of a holder dies, nobody tells the server: it asks, after our signs of life
# have stopped, and gives up within a minute rather than within two hours.
_ASK = (
    "SELECT set_config('tcp_keepalives_idle', '30', true), "
    "set_config('tcp_keepalives_interval', '10', true), "
    "set_config('tcp_keepalives_count', '3', true)"
)

_UNHURRIED = ", ".join(
    f"CASE WHEN current_setting('{name}', true) IS NOT NULL "
    f"THEN set_config('{name}', '0', true) END"
    for name in ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
)
"""SQL without a row of its own, so that it costs no statement."""

_LOCK = (
    "locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32 | objid::bigint) = $1"
)
"""Of the rows of pg_locks: the lock whose key is the first parameter."""


class TargetLease:
    """Keeps other runs off the tables of one schema and prefix; the server frees it when its
    holder dies, however that happens.

    Holding is not enough: a connection can be cut while its process goes on. So the row
    in the table `lease` says whose turn it is, and every transaction that writes calls
    `fence` first: two runs never interleave.
    """

    def __init__(
        self, address: Address, names: Names, mode: Literal["wait", "fail"] = "fail"
    ) -> None:
        self._address = address
        self._names = names
        self._mode = mode
        self._key = _key(names)
        self._token = uuid.uuid4()
        self._connection: Connection | None = None
        self._session = 0
        self._alive: asyncio.Task[None] | None = None
        self._again = asyncio.Lock()

    async def acquire(self, context: Context | None = None) -> None:
        """Takes the lock, and makes the schema and the table `lease` where they are missing.

        Waits for another run to end, in mode `wait`; may be cancelled.

        Args:
            context: shows whom it waits for; None where nobody looks.

        Raises:
            LockedError: another run holds it; the message says which.
            LgxError: the database cannot be used.
        """
        assert self._connection is None, "acquired twice"
        try:
            await self._lock(again=False, context=context)
            with explained(self._address.place):
                await self._sign()
        except BaseException:
            await self.release()
            raise

    async def release(self) -> None:
        """Gives the lock back. May be called again, and does not fail."""
        alive, self._alive = self._alive, None
        if alive is not None:
            alive.cancel()
            await asyncio.wait([alive])
        connection, self._connection = self._connection, None
        if connection is not None:
            await _let_go(connection)

    async def fence(self, connection: Connection) -> int:
        """Called first in each transaction that writes, within `Context.request`: nobody else
        writes until that transaction ends. It may take as long as its largest thread does:
        limits that the server sets by default are lifted for it.

        A lock whose connection was lost is taken again first.

        Returns:
            The number of the server's process that works for this transaction.

        Raises:
            LockedError: another run has taken over.
            RetryableError: the database cannot be reached, or the lock not be taken yet.
        """
        async with self._again:
            if self._connection is None or self._connection.is_closed():
                await self._retake()
        row = await connection.fetchrow(
            f"SELECT pg_backend_pid(), {_UNHURRIED} FROM {self._names('lease')} "
            "WHERE token = $1 FOR SHARE",
            self._token,
        )
        if row is None:
            raise await self._taken(again=True)
        return int(row[0])

    # -- inside ----------------------------------------------------------------------

    async def _lock(self, *, again: bool, context: Context | None = None) -> None:
        """Opens the connection that holds the lock."""
        connection = await self._address.connect(again=again)
        try:
            with explained(self._address.place, again=again):
                await connection.execute(f"BEGIN; {OWN_PATH}")
                await connection.execute(f"{_FOR_EVER}; {_ASK}")
                await self._hold(connection, again=again, context=context)
                self._session = await connection.fetchval("SELECT pg_backend_pid()")
                await connection.execute("SELECT 1")  # ends the portal, and so its snapshot
        except BaseException:
            await _let_go(connection)
            raise
        self._connection = connection
        self._alive = asyncio.create_task(self._stay(connection))

    async def _hold(self, connection: Connection, *, again: bool, context: Context | None) -> None:
        if await self._tried(connection):
            return
        if again or self._mode == "fail":
            raise await self._taken(again=again)
        who = await self._who(again=again)
        _log.warning("waiting for %s, which writes to %s", who, self._names)
        # Asked for again and again: whoever waits inside the server holds back vacuum, and
        # firewalls and poolers end connections on which nothing happens.
        with context.waiting(who) if context is not None else nullcontext():
            while not await self._tried(connection):
                await connection.execute("SELECT 1")  # as in `_lock`
                await asyncio.sleep(_ASK_SECONDS)

    async def _tried(self, connection: Connection) -> bool:
        return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", self._key))

    async def _stay(self, connection: Connection) -> None:
        """Signs of life; ends with the connection, which `fence` then makes anew."""

        while not connection.is_closed():
            await asyncio.sleep(_ALIVE_SECONDS)
            try:
                await connection.execute("SELECT 1", timeout=_ALIVE_SECONDS)
            except of_connection():
                connection.terminate()

    async def _retake(self) -> None:
        """Takes a lock again whose connection was lost, unless another run was quicker."""
        await self.release()
        connection = await self._address.connect(again=True)
        try:
            with explained(self._address.place, again=True):
                async with transaction(connection):
                    if not await self._is_ours(connection):
                        raise await self._taken(again=True)
                    # The server may not have noticed yet that we are gone; what holds the
                    # lock is then our own former session.
                    await connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_locks "
                        f"WHERE {_LOCK} AND pid = $2",
                        self._key,
                        self._session,
                    )
        finally:
            await close(connection)
        try:
            await self._lock(again=True)
        except LockedError as error:
            raise RetryableError(f"the lock was lost: {error}") from error

    async def _sign(self) -> None:
        """Writes into the lease that it is ours now."""
        import asyncpg

        n = self._names
        patience = _TAKEOVER_SECONDS if self._mode == "fail" else 0
        connection = await self._address.connect()
        try:
            async with transaction(connection):
                await _make_schema(connection, n)
                if not await _has_lease(connection, n):
                    await connection.execute(lease_table(n))
                    await connection.execute(lease_comment(n))
            async with transaction(connection):
                # A transaction of a former holder may still be at work; then it ends first.
                await connection.execute(
                    f"SET LOCAL lock_timeout = '{patience}s'; SET LOCAL statement_timeout = 0"
                )
                await connection.execute(
                    f"INSERT INTO {n('lease')} (token, holder) VALUES ($1, $2) "
                    "ON CONFLICT (one) DO UPDATE SET "
                    "token = excluded.token, holder = excluded.holder, since = now()",
                    self._token,
                    _myself(),
                )
        except asyncpg.LockNotAvailableError:
            raise await self._taken(again=False) from None
        finally:
            await close(connection)

    async def _is_ours(self, connection: Connection) -> bool:
        return bool(
            await connection.fetchval(
                f"SELECT 1 FROM {self._names('lease')} WHERE token = $1", self._token
            )
        )

    async def _taken(self, *, again: bool) -> LockedError:
        text = (
            f"the tables {self._names} in {self._address.place} are being written by "
            f"{await self._who(again=again)}; wait for it to end, or write elsewhere"
        )
        if not again and self._mode == "fail":
            text = text.replace(", or", ",") + ", or add --sink-lock wait"
        return LockedError(text)

    async def _who(self, *, again: bool) -> str:
        connection = await self._address.connect(again=again)
        try:
            with explained(self._address.place, again=again):
                async with transaction(connection):
                    return await _holder(connection, self._names)
        finally:
            await close(connection)


async def lock_holder(connection: Connection, names: Names) -> str | None:
    """Who is writing to these tables now: `process 7 on host h since 2026-01-01T00:00:00+00:00`.

    Called in a transaction.
    """
    held = await connection.fetchval(
        f"SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_locks WHERE {_LOCK})", _key(names)
    )
    return await _holder(connection, names) if held else None


async def _holder(connection: Connection, names: Names) -> str:
    """Who signed the lease last."""
    text = None
    if await _has_lease(connection, names):
        text = await connection.fetchval(f"SELECT holder FROM {names('lease')}")
    return text if text and text.isprintable() else "another process"


async def _let_go(connection: Connection) -> None:
    """Ends the transaction before the connection: the lock is free when this returns."""

    try:
        if not connection.is_closed():
            await connection.execute("ROLLBACK", timeout=_ALIVE_SECONDS)
    except of_connection():
        connection.terminate()
    finally:
        await close(connection)


async def _make_schema(connection: Connection, names: Names) -> None:
    """Makes the schema where it is missing: one that is there needs no right to make one."""
    query = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1"
    if await connection.fetchval(query, names.schema):
        return
    # Of two that make one schema at once the server fails one, IF NOT EXISTS or not.
    await connection.execute(f"SELECT pg_advisory_xact_lock({_number('lgx', names.schema)})")
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(names.schema)}")


async def _has_lease(connection: Connection, names: Names) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT 1 FROM pg_catalog.pg_class AS c "
            "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE n.nspname = $1 AND c.relname = $2",
            names.schema,
            names.plain("lease"),
        )
    )


def _key(names: Names) -> int:
    """The number of the lock, one for each schema and prefix of a database."""
    return _number("lgx", names.schema, names.prefix)


def _number(*parts: str) -> int:
    text = "\0".join(parts).encode()  # which no name holds
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


def _myself() -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on host {socket.gethostname()} since {now}"
