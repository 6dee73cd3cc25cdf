"""What tells that a thread has changed: its rows' keys, and the transactions that wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx_plugins.checkpointers.postgres.tables import BLOBS, CHECKPOINTS, WRITES, Tables

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["KEYS", "server_number", "threads_sql"]

_SHORT = {CHECKPOINTS: "c", BLOBS: "b", WRITES: "w"}
KEYS = {
    CHECKPOINTS: ("checkpoint_ns", "checkpoint_id"),
    BLOBS: ("checkpoint_ns", "channel", "version"),
    WRITES: ("checkpoint_ns", "checkpoint_id", "task_id", "idx"),
}
"""Beside the thread's id, as far as tables have them."""

_MAY_ASK = (
    "SELECT has_function_privilege(pg_catalog.to_regprocedure("
    "'pg_catalog.pg_control_system()'), 'EXECUTE')"
)
_ASK = "SELECT system_identifier FROM pg_catalog.pg_control_system()"

_LINE = 200
"""About how many bytes a row is as a record, besides its value."""


def threads_sql(tables: Tables, thread_ids: list[str]) -> str:
    """SELECTs of each thread `id`, `version` and `size`, about the bytes that reading it brings.

    Nothing of what is kept out of line is looked at. Whatever is written, a row is written
    anew by it, and with it the number of the transaction; a thread's version is the number of
    its rows in each table, and the sum of hashes of their keys, transactions and sizes.

    The number stays with a row that is frozen or rewritten as it is (VACUUM, CLUSTER), and a
    restored dump has new ones. It means something only beside the `server_number`: two servers
    that were set up alike count alike. It would come again after four milliard transactions; and
    after a recovery to an earlier moment those that followed it are counted anew, so that a row
    which was changed by just the same number to just the same size would pass for unchanged.

    A thread is whatever has a row in any of the tables: writes may be there before their
    checkpoint is.

    Args:
        thread_ids: these alone; all where there are none.
    """
    parts = " UNION ALL ".join(
        f"SELECT {tables.text(table, 'thread_id', 'p')} AS id, '{short}' AS part, "
        f"count(*) AS rows, sum({_mix(tables, table)}) AS mix, sum({_size(table)}) AS size "
        f"FROM {tables.names(table)} AS p {_where(tables, table, thread_ids)}GROUP BY 1"
        for table, short in _SHORT.items()
    )
    version = "string_agg(l.part || l.rows || '.' || l.mix, ' ' ORDER BY l.part)"
    return (
        f"SELECT l.id, {version} AS version, sum(l.size)::bigint AS size FROM ({parts}) AS l "
        "GROUP BY l.id"
    )


def _where(tables: Tables, table: str, thread_ids: list[str]) -> str:
    return f"WHERE {tables.is_thread(table, 'p', thread_ids)} " if thread_ids else ""


def _mix(tables: Tables, table: str) -> str:
    if not tables.keeps_rows(table):
        return "hashtextextended((p.*)::text, 0::bigint)"
    held = [key for key in KEYS[table] if tables.has(table, key)]
    value = "pg_column_size(p.checkpoint)" if table == CHECKPOINTS else "octet_length(p.blob)"
    cells = ", ".join((*(f'p."{key}"' for key in held), value))
    return f"hashtextextended(concat_ws(E'\\x01', {cells}), p.xmin::text::bigint)"


def _size(table: str) -> str:
    if table == CHECKPOINTS:  # packed, which costs nothing to know
        return f"3 * (pg_column_size(p.checkpoint) + pg_column_size(p.metadata)) + {_LINE}"
    return f"4 * coalesce(octet_length(p.blob), 0) / 3 + {_LINE}"


async def server_number(connection: Connection) -> str:
    """Tells apart the servers whose counts of transactions have nothing to do with each other;
    a standby has that of its primary. Empty where the user may not know it, or there is none, as
    in some servers that only look like PostgreSQL. Called in a transaction."""
    import asyncpg

    if not await connection.fetchval(_MAY_ASK):
        return ""
    await connection.execute("SAVEPOINT lgx_number")
    try:
        return str(await connection.fetchval(_ASK))
    except (
        asyncpg.FeatureNotSupportedError,
        asyncpg.SyntaxOrAccessError,
        asyncpg.PostgresSystemError,
        asyncpg.InternalServerError,
    ):
        await connection.execute("ROLLBACK TO SAVEPOINT lgx_number")
        return ""
