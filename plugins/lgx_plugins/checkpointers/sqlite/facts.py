"""What `lgx doctor` shows of a file."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from lgx import Fact, Probe
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES, Tables, find_tables
from lgx_plugins.files import check_target
from lgx_plugins.sqlite.connection import open_to_read, tables, writable
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.tables import size_words

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["file_facts", "target_facts"]

_LITTLE = 256_000_000  # bytes

_LIBRARY = Fact(name="sqlite", value=sqlite3.sqlite_version)


async def target_facts(path: Path, busy_seconds: float) -> Probe:
    """Of a target, which need not exist; nothing is created.

    Raises:
        LgxError: it cannot become a SqliteSaver's file.
    """
    check_target(path)
    free = shutil.disk_usage(path.parent).free
    space = Fact(
        name="free space", value=size_words(free), level="ok" if free >= _LITTLE else "warn"
    )
    if not _size(path):
        return Probe(
            facts=(_LIBRARY, Fact(name="database", value=f"{path} will be created"), space)
        )
    connection = await open_to_read(path, busy_seconds)
    try:
        if CHECKPOINTS.encode() in await tables(connection):
            found = await find_tables(connection, path)
            facts = [*await file_facts(connection, path, found), space]
        else:
            value = f"{path} has no tables of a SqliteSaver yet"
            facts = [_LIBRARY, Fact(name="database", value=value), space]
    finally:
        await connection.close()
    if not (writable(path) and writable(path.parent)):
        facts.append(
            Fact(name="access", value=f"{path} or its directory is read-only", level="error")
        )
    return Probe(facts=tuple(facts))


async def file_facts(
    connection: aiosqlite.Connection, path: Path, found: Tables
) -> tuple[Fact, ...]:
    """Size, columns and content."""
    facts = [_LIBRARY, Fact(name="database", value=f"{path}, {size_words(_size(path))}")]
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


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
