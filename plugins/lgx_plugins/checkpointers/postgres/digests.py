"""What a thread's rows are, as a digest that the server makes of them where they lie.

JSONB does not keep the spelling that it was given, so that only the server can tell whether two
rows are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lgx_plugins.checkpointers.postgres.tables import BLOBS, CHECKPOINTS, WRITES, Tables

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["counts", "digests", "standing"]

_TEXTS = {
    CHECKPOINTS: (
        "checkpoint_ns",
        "checkpoint_id",
        "parent_checkpoint_id",
        "type",
        "checkpoint",
        "metadata",
    ),
    BLOBS: ("checkpoint_ns", "channel", "version", "type"),
    WRITES: (
        "checkpoint_ns",
        "checkpoint_id",
        "task_id",
        "idx",
        "channel",
        "type",
        "task_path",
    ),
}
_SHORT = {CHECKPOINTS: "c", BLOBS: "b", WRITES: "w"}


async def digests(
    connection: Connection,
    tables: Tables,
    thread_ids: Sequence[str],
    places: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Of those of the threads that have rows: how many in each table, and the sums of hashes of
    all that they hold.

    Args:
        places: SQL of tables to look into in place of the checkpointer's own.
    """
    parts = " UNION ALL ".join(
        f"SELECT p.thread_id AS id, '{short}' AS part, count(*) AS rows, "
        f"sum({_hash(tables, table)}) AS mix "
        f"FROM {(places or {}).get(table, tables.names(table))} AS p "
        "WHERE p.thread_id = ANY ($1) GROUP BY 1"
        for table, short in _SHORT.items()
    )
    rows = await connection.fetch(
        "SELECT l.id, string_agg(l.part || l.rows || '.' || l.mix, ' ' ORDER BY l.part) "
        f"FROM ({parts}) AS l GROUP BY l.id",
        thread_ids,
    )
    return dict(map(tuple, rows))


def counts(digest: str) -> dict[str, int]:
    """How many rows a digest is of, by table; those without any are left out."""
    tables = {short: table for table, short in _SHORT.items()}
    return {tables[part[0]]: int(part[1:].partition(".")[0]) for part in digest.split()}


def _hash(tables: Tables, table: str) -> str:
    texts = ", ".join(
        f'p."{column}"::text COLLATE "C"' for column in _TEXTS[table] if tables.has(table, column)
    )
    hashed = f"hash_array_extended(ARRAY[{texts}], 0)"
    return hashed if table == CHECKPOINTS else f"hash_array_extended(ARRAY[p.blob], {hashed})"


async def standing(
    connection: Connection, tables: Tables, thread_ids: Sequence[str]
) -> Sequence[str]:
    """Those of the threads that have any row."""
    exists = " OR ".join(
        f"EXISTS (SELECT FROM {tables.names(table)} AS p WHERE p.thread_id = u.id)"
        for table in _SHORT
    )
    rows = await connection.fetch(
        f"SELECT u.id FROM unnest($1::text[]) AS u (id) WHERE {exists}", thread_ids
    )
    return [row[0] for row in rows]
