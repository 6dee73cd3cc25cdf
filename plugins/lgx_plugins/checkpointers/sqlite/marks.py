"""The marks in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lgx_plugins.checkpointers.rows.marks import TABLE, Kept
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES
from lgx_plugins.ids import is_text
from lgx_plugins.sqlite.connection import tables
from lgx_plugins.sqlite.writer import pieces, placeholders

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["another_source", "has_marks", "put_marks", "read_marks"]

_COLUMNS = "thread_id, source, version, fingerprint, checkpoints, written"


async def has_marks(connection: aiosqlite.Connection) -> bool:
    """Whether lgx has written to the file."""
    return TABLE.encode() in await tables(connection)


async def read_marks(
    connection: aiosqlite.Connection, ids: Sequence[str], *, standing: bool = False
) -> dict[str, Kept]:
    """Those of these threads that have one.

    Args:
        standing: only of threads of which rows are there: a saver that deletes a thread knows
            nothing of marks.
    """
    stands = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} AS p WHERE p.thread_id = {TABLE}.thread_id)"
        for table in (CHECKPOINTS, WRITES)
    )
    only = f" AND ({stands})" if standing else ""
    found: dict[str, Kept] = {}
    for piece in pieces([one for one in ids if is_text(one)]):
        rows = await connection.execute_fetchall(
            f"SELECT {_COLUMNS} FROM {TABLE} WHERE thread_id IN ({placeholders(piece)}){only}",
            tuple(piece),
        )
        for thread_id, source, version, fingerprint, checkpoints, written in rows:
            found[thread_id.decode()] = Kept(
                source=source.decode("utf-8", "replace"),
                version=None if version is None else version.decode("utf-8", "replace"),
                fingerprint=None if fingerprint is None else fingerprint.decode("utf-8", "replace"),
                checkpoints=checkpoints,
                written=written.decode("utf-8", "replace"),
            )
    return found


async def put_marks(connection: aiosqlite.Connection, marks: Sequence[tuple[str, Kept]]) -> None:
    """In place of those that these threads have."""
    await connection.executemany(
        f"INSERT OR REPLACE INTO {TABLE} ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (thread_id, m.source, m.version, m.fingerprint, m.checkpoints, m.written)
            for thread_id, m in marks
        ],
    )


async def another_source(connection: aiosqlite.Connection, source: str) -> str | None:
    """Another source whose threads stand there; None where there is none."""
    rows = await connection.execute_fetchall(
        f"SELECT source FROM {TABLE} WHERE source <> ? LIMIT 1", (source,)
    )
    for (other,) in rows:
        return str(other.decode("utf-8", "replace"))
    return None
