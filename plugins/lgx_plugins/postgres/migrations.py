"""The schema and its history: numbered migrations, each applied once in a transaction.

A migration that was released is never changed; what comes later is a further one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from lgx import Context, FatalError, UsageError
from lgx_plugins.postgres.access import refusal
from lgx_plugins.postgres.connection import Address, close, transaction
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.older import is_older, upgrade
from lgx_plugins.postgres.schema import ledger, tables
from lgx_plugins.postgres.waits import watched
from lgx_plugins.tables import TABLES

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = [
    "MIGRATIONS",
    "OLDEST_SERVER",
    "Migration",
    "check_server",
    "found_tables",
    "migrate",
    "prepare",
    "schema_version",
]

Migration: TypeAlias = Callable[[Names], Sequence[str]]
"""The statements that lead from the version before to this one."""

MIGRATIONS: tuple[Migration, ...] = (tables,)

OLDEST_SERVER = 130000
"""As `server_version_num`."""


async def prepare(
    address: Address,
    names: Names,
    lease: TargetLease,
    migrations: Sequence[Migration] = MIGRATIONS,
    *,
    look: Callable[[Connection], Awaitable[None]] | None = None,
    then: Callable[[Connection], Awaitable[None]] | None = None,
    context: Context | None = None,
) -> tuple[str, ...]:
    """Makes a target ready to be written to, and holds it: the lease is to be released.

    Creates the schema and the tables, or brings older ones up to date. Nothing is changed
    where it raises, but that the schema and the lock's table may have been made.

    Args:
        look: called beforehand, with tables that are lgx's already; what it raises is told
            before another run is waited for.
        then: called in the same transaction, with the tables as they then are; where it
            raises they stay as they were.
        context: shows whom it waits for; None where nobody looks.

    Returns:
        Sentences for the report: what of an older tool's rows was put aside.

    Raises:
        LockedError: another run writes there.
        UsageError: the target is not what it should be.
    """
    place = address.place
    # Before anything is made there, and again under the lock, when it counts: of one moment,
    # for another run may be making the tables now.
    async with _transaction(address, context, one_moment=True) as connection:
        await check_server(connection, place)
        version, _ = await found_tables(connection, place, names, migrations)
        if (why := await refusal(connection, names, standing=version > 0)) is not None:
            raise UsageError(f"{place} cannot be written to: {why}")
        if version and look is not None:
            await look(connection)
    await lease.acquire(context)  # which may wait for hours, with no other connection open
    async with _transaction(address, context) as connection:
        await lease.fence(connection)
        notes = await migrate(connection, address.place, names, migrations)
        if then is not None:
            await then(connection)
        return notes


@asynccontextmanager
async def _transaction(
    address: Address, context: Context | None, *, one_moment: bool = False
) -> AsyncIterator[Connection]:
    connection = await address.connect()
    try:
        with explained(address.place):
            async with (
                watched(address, connection, context),
                transaction(connection, one_moment=one_moment),
            ):
                yield connection
    finally:
        await close(connection)


async def schema_version(
    connection: Connection,
    place: str,
    names: Names,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> int:
    """The version of the tables under this prefix; 0 where there are none of lgx's.

    Called in a transaction.

    Raises:
        UsageError: a newer lgx made them.
    """
    if not await _is_ours(connection, names):
        return 0
    version = await connection.fetchval(
        f"SELECT coalesce(max(version), 0) FROM {names('migrations')}"
    )
    if version > len(migrations):
        raise UsageError(
            f"the tables {names} in {place} have schema version {version}, and this lgx knows "
            f"versions up to {len(migrations)}; install a newer lgx"
        )
    return int(version)


async def found_tables(
    connection: Connection,
    place: str,
    names: Names,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> tuple[int, bool]:
    """The schema's version as `schema_version`, and whether the tables are an older tool's.

    Raises:
        UsageError: a newer lgx made the tables, or something else has their names.
    """
    version = await schema_version(connection, place, names, migrations)
    if version:
        return version, False
    if await is_older(connection, names):
        return 0, True
    own = [table.name for table in TABLES]
    others = ["exports", "messages", "info", "migrations"]
    if not await _has_columns(connection, names, {("lease", "token"), ("lease", "holder")}):
        others.append("lease")  # which a run that was refused may have made, and nothing else
    for name in await _held(connection, names, (*own, *others)):
        raise UsageError(
            f"{place} has {names.plain(name)!r} in schema {names.schema!r}, and lgx did not make "
            "it; choose another --sink-table-prefix or --sink-schema"
        )
    return 0, False


async def migrate(
    connection: Connection,
    place: str,
    names: Names,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> tuple[str, ...]:
    """Applies what is missing, all in the transaction that the caller has begun.

    Returns:
        Sentences for the report, as `prepare`.

    Raises:
        UsageError: a newer lgx made the tables, or something else has their names.
    """
    version, older = await found_tables(connection, place, names, migrations)
    notes: tuple[str, ...] = ()
    if version == 0:
        for statement in ledger(names):
            await connection.execute(statement)
    for number, migration in enumerate(migrations[version:], version + 1):
        if number == 1 and older:
            notes = await upgrade(connection, names)
        else:
            for statement in migration(names):
                await connection.execute(statement)
        await connection.execute(f"INSERT INTO {names('migrations')} VALUES ($1)", number)
    return notes


async def _held(connection: Connection, names: Names, candidates: Sequence[str]) -> Sequence[str]:
    """Those of the tables and views that are there, in the order given."""
    rows = await connection.fetch(
        "SELECT c.relname FROM pg_catalog.pg_class AS c "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])",
        names.schema,
        [names.plain(name) for name in candidates],
    )
    held = {row[0] for row in rows}
    return [name for name in candidates if names.plain(name) in held]


async def _is_ours(connection: Connection, names: Names) -> bool:
    """Whether the ledger is there; other programs have a table `migrations` too."""
    ledger = {("migrations", "version"), ("migrations", "applied_at"), ("info", "key")}
    return await _has_columns(connection, names, ledger)


async def _has_columns(
    connection: Connection, names: Names, wanted: AbstractSet[tuple[str, str]]
) -> bool:
    """Whether there are these columns, each with its table's name before it."""
    columns = await connection.fetch(
        "SELECT c.relname, a.attname FROM pg_catalog.pg_class AS c "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
        "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid "
        "AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])",
        names.schema,
        [names.plain(table) for table, _ in wanted],
    )
    return {(names.plain(table), column) for table, column in wanted} <= set(map(tuple, columns))


async def check_server(connection: Connection, place: str) -> None:
    """Whether threads can be written there, as far as can be told beforehand.

    Raises:
        UsageError: it is too old, or its encoding lacks characters.
        FatalError: it can only be read.
    """
    version, encoding, recovery = await connection.fetchrow(
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), "
        "pg_is_in_recovery() OR current_setting('transaction_read_only')::bool"
    )
    if version < OLDEST_SERVER:
        raise UsageError(
            f"{place} is PostgreSQL {version // 10000}, and lgx needs "
            f"{OLDEST_SERVER // 10000} or newer"
        )
    if encoding != "UTF8":
        raise UsageError(
            f"{place} holds text as {encoding}, which not every text fits into; create a "
            "database with ENCODING 'UTF8'"
        )
    if recovery:
        raise FatalError(
            f"{place} can only be read: it is a standby, or set to read-only; name the primary "
            "(with several hosts: target_session_attrs=read-write)"
        )
