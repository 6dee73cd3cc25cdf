"""What `lgx doctor` shows of a database."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lgx import Fact, Probe
from lgx_plugins.files import check_target
from lgx_plugins.sqlite.connection import file_size, open_to_read, writable
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.migrations import schema_version
from lgx_plugins.sqlite.names import Names
from lgx_plugins.tables import size_words

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["LIBRARY", "database_facts", "sink_facts", "target_facts"]

_LITTLE = 256_000_000  # bytes

LIBRARY = Fact(name="sqlite", value=sqlite3.sqlite_version)

Look: TypeAlias = Callable[["aiosqlite.Connection"], Awaitable[Sequence[Fact]]]


async def sink_facts(path: Path, names: Names, busy_seconds: float) -> Probe:
    """Of a target, which need not exist; nothing is created.

    Raises:
        LgxError: it cannot become a database of lgx's.
    """
    return await target_facts(
        path, busy_seconds, lambda connection: database_facts(connection, path, names)
    )


async def target_facts(path: Path, busy_seconds: float, look: Look) -> Probe:
    """Of a target, whatever a sink would make of it.

    Args:
        look: what a database that is there already holds; not called where there is none.

    Raises:
        LgxError: it cannot become a database.
    """
    check_target(path)
    free = shutil.disk_usage(path.parent).free
    space = Fact(
        name="free space", value=size_words(free), level="ok" if free >= _LITTLE else "warn"
    )
    if not file_size(path):
        return Probe(facts=(LIBRARY, Fact(name="database", value=f"{path} will be created"), space))
    connection = await open_to_read(path, busy_seconds)
    try:
        facts = [*await look(connection), space]
    finally:
        await connection.close()
    if not (writable(path) and writable(path.parent)):
        facts.append(
            Fact(name="access", value=f"{path} or its directory is read-only", level="error")
        )
    return Probe(facts=tuple(facts))


async def database_facts(
    connection: aiosqlite.Connection, path: Path, names: Names
) -> tuple[Fact, ...]:
    """Size, schema and content."""
    with explained(path):
        version = await schema_version(connection, path, names)
        facts = [LIBRARY, Fact(name="database", value=f"{path}, {size_words(file_size(path))}")]
        if not version:
            facts.append(Fact(name="schema", value=f"no tables of lgx under {names.prefix!r}"))
            return tuple(facts)
        facts.append(Fact(name="schema", value=f"version {version}"))
        rows = await connection.execute_fetchall(
            f"SELECT source_url, count(*), count(source_version) FROM {names('threads')} "
            "GROUP BY source_url ORDER BY source_url"
        )
        for source, count, whole in rows:
            part = "" if whole == count else f", {count - whole} of them not whole"
            facts.append(
                Fact(
                    name="threads",
                    value=f"{count} of {source.decode('utf-8', 'replace')}{part}",
                    level="ok" if whole == count else "warn",
                )
            )
    return tuple(facts)
