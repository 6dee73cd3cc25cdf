"""What `lgx doctor` shows of a checkpointer's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx import Fact
from lgx_plugins.checkpointers.postgres.schema import MIGRATIONS
from lgx_plugins.checkpointers.postgres.tables import BLOBS, CHECKPOINTS, WRITES, Tables
from lgx_plugins.postgres.lock import lock_holder
from lgx_plugins.postgres.migrations import OLDEST_SERVER
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["lock_fact", "missing_tables", "reading_facts", "server_facts", "tables_facts"]


async def reading_facts(connection: Connection, place: str, tables: Tables) -> tuple[Fact, ...]:
    """Server, tables and content; called in a transaction."""
    standby, patient = await connection.fetchrow(
        "SELECT pg_is_in_recovery(), current_setting('hot_standby_feedback')::bool"
    )
    facts = [*await server_facts(connection, place)]
    if standby and not patient:
        facts.append(
            Fact(
                name="standby",
                value="ends a long read when its primary removes old rows: set "
                "hot_standby_feedback to on, or raise max_standby_streaming_delay",
                level="warn",
            )
        )
    return (*facts, *await tables_facts(connection, tables))


async def server_facts(connection: Connection, place: str) -> tuple[Fact, ...]:
    version, number, size, encoding = await connection.fetchrow(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int, "
        "pg_database_size(current_database()), current_setting('server_encoding')"
    )
    return (
        Fact(name="postgresql", value=version, level="ok" if number >= OLDEST_SERVER else "warn"),
        Fact(name="database", value=f"{place}, {size >> 20} MiB, {encoding}"),
    )


async def tables_facts(connection: Connection, tables: Tables) -> tuple[Fact, ...]:
    schema = tables.names.schema
    sort = "ShallowPostgresSaver" if tables.shallow else "PostgresSaver"
    level = "" if tables.has(WRITES, "task_path") else ", of an older version without task_path"
    facts = [Fact(name="tables", value=f"of {sort} in schema {schema!r}{level}")]
    facts += [
        Fact(name="column", value=f"{column} is not LangGraph's and does not travel", level="warn")
        for column in tables.unknown()
    ]
    n = tables.names
    threads, checkpoints, blobs, writes = await connection.fetchrow(
        f"SELECT (SELECT count(*) FROM (SELECT DISTINCT thread_id FROM {n(CHECKPOINTS)}) AS t), "
        f"(SELECT count(*) FROM {n(CHECKPOINTS)}), (SELECT count(*) FROM {n(BLOBS)}), "
        f"(SELECT count(*) FROM {n(WRITES)})"
    )
    facts.append(
        Fact(
            name="content",
            value=f"{threads} threads, {checkpoints} checkpoints, {blobs} values, {writes} writes",
        )
    )
    types = await connection.fetch(
        f"SELECT DISTINCT type FROM {n(BLOBS)} UNION SELECT DISTINCT type FROM {n(WRITES)} "
        "ORDER BY 1"
    )
    held = ", ".join(repr(row[0]) for row in types)
    if held:
        facts.append(Fact(name="types", value=held))
    return tuple(facts)


async def lock_fact(connection: Connection, own: Names) -> Fact:
    """Whether a run writes there now."""
    who = await lock_holder(connection, own)
    if who is None:
        return Fact(name="lock", value="free")
    return Fact(name="lock", value=f"held by {who}", level="warn")


def missing_tables(schema: str) -> Fact:
    """Of a target that has none yet."""
    return Fact(
        name="tables",
        value=f"none in schema {schema!r}; a run makes those of PostgresSaver, as after "
        f"migration {MIGRATIONS - 1}",
    )
