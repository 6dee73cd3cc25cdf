"""The schema and its history: numbered migrations, each applied once in a transaction.

A migration that was released is never changed; what comes later is a further one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lgx import UsageError
from lgx_plugins.sqlite.connection import tables
from lgx_plugins.sqlite.names import Names
from lgx_plugins.sqlite.schema import tables_and_triggers
from lgx_plugins.tables import TABLES

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["MIGRATIONS", "Migration", "migrate", "schema_version"]

Migration: TypeAlias = Callable[[Names], Sequence[str]]
"""The statements that lead from the version before to this one."""

MIGRATIONS: tuple[Migration, ...] = (tables_and_triggers,)


async def schema_version(
    connection: aiosqlite.Connection,
    path: Path,
    names: Names,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> int:
    """The version of the tables under this prefix; 0 where there are none of lgx's.

    Raises:
        UsageError: a newer lgx made them.
    """
    if not names.among("migrations", await tables(connection)):
        return 0
    ((version,),) = await connection.execute_fetchall(
        f"SELECT coalesce(max(version), 0) FROM {names('migrations')}"
    )
    if version > len(migrations):
        raise UsageError(
            f"the tables in {str(path)!r} have schema version {version}, and this lgx knows "
            f"versions up to {len(migrations)}; install a newer lgx"
        )
    return int(version)


async def migrate(
    connection: aiosqlite.Connection,
    path: Path,
    names: Names,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Applies what is missing, all in the transaction that the caller has begun.

    Raises:
        UsageError: a newer lgx made the tables, or something else has their names.
    """
    version = await schema_version(connection, path, names, migrations)
    if version == 0:
        held = await tables(connection)
        taken = [t.name for t in TABLES if names.among(t.name, held)]
        if taken:
            raise UsageError(
                f"{str(path)!r} has a table {names.plain(taken[0])!r} that lgx did not make; "
                "choose another file or --sink-table-prefix"
            )
        await connection.execute(
            f"CREATE TABLE {names('migrations')} "
            "(version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)"
        )
        await connection.execute(
            f"CREATE TABLE {names('info')} (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
        )
        await connection.execute(
            f"INSERT INTO {names('info')} VALUES ('database_id', ?)",
            (str(uuid.uuid4()),),
        )
    for number, migration in enumerate(migrations[version:], version + 1):
        for statement in migration(names):
            await connection.execute(statement)
        await connection.execute(
            f"INSERT INTO {names('migrations')} VALUES (?, ?)",
            (number, datetime.now(UTC).isoformat(timespec="seconds")),
        )
