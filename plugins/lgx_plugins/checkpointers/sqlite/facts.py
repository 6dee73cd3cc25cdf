"""What `lgx doctor` shows of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lgx import Fact, Probe
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES, Tables, find_tables
from lgx_plugins.sqlite.connection import file_size, tables
from lgx_plugins.sqlite.facts import LIBRARY, target_facts
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.tables import size_words

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["file_facts", "saver_target_facts"]


async def saver_target_facts(path: Path, busy_seconds: float) -> Probe:
    """Of a target, which need not exist; nothing is created.

    Raises:
        LgxError: it cannot become a SqliteSaver's file.
    """

    async def look(connection: aiosqlite.Connection) -> Sequence[Fact]:
        if CHECKPOINTS.encode() in await tables(connection):
            return await file_facts(connection, path, await find_tables(connection, path))
        value = f"{path} has no tables of a SqliteSaver yet"
        return LIBRARY, Fact(name="database", value=value)

    return await target_facts(path, busy_seconds, look)


async def file_facts(
    connection: aiosqlite.Connection, path: Path, found: Tables
) -> tuple[Fact, ...]:
    """Size, columns and content."""
    facts = [LIBRARY, Fact(name="database", value=f"{path}, {size_words(file_size(path))}")]
    if found.has(WRITES) and not found.has(WRITES, "task_path"):
        facts.append(
            Fact(
                name="schema",
                value="of langgraph-checkpoint-sqlite before 3.1.2: writes have no task_path",
            )
        )
    facts += [
        Fact(
            name="columns",
            value=f"{', '.join(columns)} of table {table}: none of LangGraph's, left out",
            level="warn",
        )
        for table, columns in found.others.items()
    ]
    with explained(path):
        ((threads,),) = await connection.execute_fetchall(
            f"SELECT count(DISTINCT thread_id) FROM {CHECKPOINTS}"
        )
        kind = "type" if found.has(CHECKPOINTS, "type") else "NULL"
        rows = await connection.execute_fetchall(
            f"SELECT {kind}, count(*) FROM {CHECKPOINTS} GROUP BY 1 ORDER BY 1"
        )
    facts.append(Fact(name="threads", value=str(threads)))
    for type_, count in rows:
        shown = "no type" if type_ is None else type_.decode("utf-8", "replace")
        facts.append(Fact(name="checkpoints", value=f"{count} of {shown}"))
    return tuple(facts)
