"""What `lgx doctor` shows of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lgx import Fact, Probe, UsageError
from lgx_plugins.postgres.access import refusal
from lgx_plugins.postgres.columns import check_columns
from lgx_plugins.postgres.config import PostgresSinkConfig
from lgx_plugins.postgres.connection import Address, close, transaction
from lgx_plugins.postgres.dedup_schema import choose_layout, found_layout, saving
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.lock import lock_holder
from lgx_plugins.postgres.migrations import OLDEST_SERVER, found_tables, schema_version
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.waits import watched

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["database_facts", "sink_facts"]


async def sink_facts(address: Address, names: Names, config: PostgresSinkConfig) -> Probe:
    """Of a target, whose schema and tables need not exist; nothing is created.

    Raises:
        LgxError: it cannot be reached, or its tables are not lgx's.
    """
    connection = await address.connect()
    try:
        with explained(address.place):
            async with (
                watched(address, connection, None),
                transaction(connection, readonly=True, one_moment=True),
            ):
                facts = list(await database_facts(connection, address.place, names))
                unfit = await _fitness(connection, address.place, names, config.layout)
                if unfit is not None:
                    facts.append(unfit)
                facts.append(await _access(connection, names))
                facts.append(await _room(connection, config.connections))
                facts.append(await _lock(connection, names))
    finally:
        await close(connection)
    return Probe(facts=tuple(facts))


async def database_facts(connection: Connection, place: str, names: Names) -> tuple[Fact, ...]:
    """Server, size, schema and content; called in a transaction.

    Raises:
        UsageError: the tables are not lgx's, or of a newer one.
    """
    version, number, size, encoding = await connection.fetchrow(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int, "
        "pg_database_size(current_database()), current_setting('server_encoding')"
    )
    facts = [
        Fact(
            name="postgresql",
            value=version,
            level="ok" if number >= OLDEST_SERVER else "error",
        ),
        Fact(name="database", value=f"{place}, {size >> 20} MiB"),
    ]
    if encoding != "UTF8":
        facts.append(Fact(name="encoding", value=f"{encoding}, and lgx needs UTF8", level="error"))
    schema, older = await found_tables(connection, place, names)
    if older:
        facts.append(
            Fact(name="schema", value=f"tables of an older tool under {names}; a run upgrades them")
        )
        return tuple(facts)
    if not schema:
        facts.append(Fact(name="schema", value=f"no tables of lgx under {names}"))
        return tuple(facts)
    layout = await found_layout(connection, names)
    kept = "" if layout == "plain" else f", layout {layout}"
    facts.append(Fact(name="schema", value=f"version {schema} under {names}{kept}"))
    rows = await connection.fetch(
        "SELECT source_url, count(*), "
        "count(*) FILTER (WHERE source_version IS NOT NULL OR size IS NULL) "
        f"FROM {names('threads')} "
        "GROUP BY source_url ORDER BY source_url"
    )
    for source, count, whole in rows:
        part = "" if whole == count else f", {count - whole} of them not whole"
        facts.append(
            Fact(
                name="threads",
                value=f"{count} of {source or 'an unknown source'}{part}",
                level="ok" if whole == count else "warn",
            )
        )
    if (told := await saving(connection, names)) is not None:
        facts.append(Fact(name="dedup", value=told))
    return tuple(facts)


async def _access(connection: Connection, names: Names) -> Fact:
    """Whether the user may do what a run does."""
    standby = await connection.fetchval(
        "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool"
    )
    standing = bool(await schema_version(connection, "", names))
    if standby:
        why: str | None = "a standby, or read-only: name the primary"
    else:
        why = await refusal(connection, names, standing=standing)
    if why is None:
        return Fact(name="access", value="may write")
    return Fact(name="access", value=why, level="error")


async def _fitness(
    connection: Connection, place: str, names: Names, wanted: Literal["plain", "dedup"] | None
) -> Fact | None:
    """Why a run would be refused, where tables of lgx's are not as it needs them."""
    if not await schema_version(connection, place, names):
        return None
    try:
        layout = await choose_layout(connection, place, names, wanted, dry_run=True)
        await check_columns(connection, place, names, dedup=layout == "dedup")
    except UsageError as error:
        return Fact(name="tables", value=str(error), level="error")
    return None


async def _room(connection: Connection, connections: int) -> Fact:
    """Connections that are left; the lock has one of its own, and so has what begins."""
    most, used = await connection.fetchrow(
        "SELECT current_setting('max_connections')::int, "
        "(SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')"
    )
    wanted = connections + 2
    return Fact(
        name="connections",
        value=f"{used} of {most} in use, and a run opens up to {wanted}",
        level="ok" if used - 1 + wanted <= most else "warn",
    )


async def _lock(connection: Connection, names: Names) -> Fact:
    who = await lock_holder(connection, names)
    if who is None:
        return Fact(name="lock", value="free")
    return Fact(name="lock", value=f"held by {who}", level="warn")
