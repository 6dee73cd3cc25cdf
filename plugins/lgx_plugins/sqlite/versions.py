"""What tells that a thread in a database has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.layout import Layout
from lgx_plugins.tables import CHECKPOINTS, RECORDS, RUNS

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["content_version", "kept_version"]


def kept_version(layout: Layout) -> str:
    """SQL for the version that lgx's own tables keep; NULL where it must be computed.

    Rewriting by lgx changes `exported_at`, edits by others the revision that triggers count,
    and removing a thread and adding it again its row.
    """
    if not layout.own:
        return "NULL"
    return (
        "t.id || ' ' || t.revision || ' ' || t.exported_at || ' ' || coalesce(t.source_version, '')"
    )


async def content_version(
    connection: aiosqlite.Connection, path: Path, layout: Layout, row: int
) -> str:
    """The digest of everything in the rows of a thread, for tables that keep no version."""
    statements = [f"SELECT * FROM {layout.names('threads')} WHERE rowid = {row}"]
    statements += [
        layout.rows(table, (row,))
        for table in (CHECKPOINTS, RUNS, RECORDS)
        if layout.has(table.name)
    ]
    digest = hashlib.sha256()
    for sql in statements:
        with explained(path):
            cursor = await connection.execute(sql)
            try:
                while rows := list(await cursor.fetchmany(1000)):
                    for cell in (cell for one in rows for cell in one):
                        text = cell if isinstance(cell, bytes) else repr(cell).encode()
                        digest.update(b"%s %d " % (type(cell).__name__.encode(), len(text)))
                        digest.update(text)
            finally:
                await cursor.close()
        digest.update(b";")
    return digest.hexdigest()
