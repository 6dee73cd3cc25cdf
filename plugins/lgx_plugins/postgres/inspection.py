"""What `lgx doctor` shows of a database that is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx import Fact
from lgx_plugins.postgres.layout import Layout

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["reading_facts"]


async def reading_facts(connection: Connection, place: str, layout: Layout) -> tuple[Fact, ...]:
    """Server, size, tables and content."""
    names = layout.names
    version, size, encoding, standby, patient = await connection.fetchrow(
        "SELECT current_setting('server_version'), pg_database_size(current_database()), "
        "current_setting('server_encoding'), pg_is_in_recovery(), "
        "current_setting('hot_standby_feedback')::bool"
    )
    facts = [
        Fact(name="postgresql", value=version),
        Fact(name="database", value=f"{place}, {size >> 20} MiB, {encoding}"),
    ]
    if standby and patient:
        facts.append(Fact(name="standby", value="its primary keeps what is being read here"))
    elif standby:
        facts.append(
            Fact(
                name="standby",
                value="ends a long read when its primary removes old rows: set "
                "hot_standby_feedback to on, or raise max_standby_streaming_delay",
                level="warn",
            )
        )
    if layout.own:
        applied = await connection.fetchval(f"SELECT max(version) FROM {names('migrations')}")
        facts.append(Fact(name="schema", value=f"version {applied} under {names}"))
    else:
        facts.append(Fact(name="schema", value=f"tables of another tool under {names}"))
        if layout.has("checkpoints") and not layout.indexed:
            facts.append(
                Fact(
                    name="index",
                    value=f"every few threads read the table of checkpoints once: {layout.index}",
                    level="warn",
                )
            )
    source = layout.column("source_url")
    rows = await connection.fetch(
        f"SELECT coalesce({source}, ''), count(*), count(*) FILTER (WHERE {layout.whole}) "
        f"FROM {names('threads')} AS t GROUP BY 1 ORDER BY 1"
    )
    for origin, count, complete in rows:
        part = "" if complete == count else f", {count - complete} of them not whole"
        facts.append(
            Fact(
                name="threads",
                value=f"{count} of {origin or 'an unknown source'}{part}",
                level="ok" if complete == count else "warn",
            )
        )
    return tuple(facts)
