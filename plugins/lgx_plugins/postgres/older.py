"""The tables of the threads-export tool that came before: brought up to date in place.

    langgraph_threads      id, thread_id UNIQUE, metadata, values, created_at, updated_at,
                           source_url, exported_at
    langgraph_checkpoints  id, thread_id, checkpoint_id, parent_checkpoint_id,
                           checkpoint_data, values, metadata, created_at

Its columns keep their names and meanings, its rows their ids: queries written for it go
on working. Its times without zone are UTC. What it allowed and lgx does not - checkpoints
without id or thread, one checkpoint several times - goes into a table of its own,
`set_aside`, where it differs from what stays. Threads have no mark, so the next run
writes those that it reads again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx_plugins.lineage import parents_first
from lgx_plugins.postgres.cells import MARK
from lgx_plugins.postgres.names import Names, quoted
from lgx_plugins.postgres.schema import checkpoint_indexes, other_tables, thread_indexes

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["is_older", "upgrade"]

_THREADS = frozenset(
    {"id", "thread_id", "metadata", "values", "created_at", "updated_at", "source_url"}
)
_CHECKPOINTS = frozenset(
    {"id", "thread_id", "checkpoint_id", "parent_checkpoint_id", "checkpoint_data", "values"}
)


_JSON = ("metadata", "values", "checkpoint_data")


async def is_older(connection: Connection, names: Names) -> bool:
    """Whether the two tables are there as that tool made them."""
    threads = await _columns(connection, names, "threads")
    checkpoints = await _columns(connection, names, "checkpoints")
    return (
        threads >= _THREADS
        and checkpoints >= _CHECKPOINTS
        and "digest" not in threads | checkpoints
    )


async def upgrade(connection: Connection, names: Names) -> tuple[str, ...]:
    """Makes them version 1 of the schema, in the transaction that the caller has begun.

    Returns:
        What was done to which rows: sentences for the report.
    """
    n = names
    await connection.execute("SET LOCAL timezone = 'UTC'")  # types change without rewriting
    await _drop_keys(connection, n)
    await _types(connection, n, "threads", ("created_at", "updated_at", "exported_at"))
    await _types(connection, n, "checkpoints", ("created_at",))
    sourceless = await _fill_threads(connection, n)
    await _add(connection, n, "checkpoints", _CHECKPOINT_COLUMNS)
    await _place_checkpoints(connection, n)
    repeated = await _remove_repeated(connection, n)
    aside = await _set_aside(connection, n)
    await _escape(connection, n)
    for column in ("thread", "position", "thread_id", "checkpoint_ns", "checkpoint_id"):
        await connection.execute(
            f"ALTER TABLE {n('checkpoints')} ALTER COLUMN {column} SET NOT NULL"
        )
    await connection.execute(
        f"ALTER TABLE {n('checkpoints')} ADD FOREIGN KEY (thread) "
        f"REFERENCES {n('threads')} (id) ON DELETE CASCADE"
    )
    for statement in (*thread_indexes(n), *checkpoint_indexes(n), *other_tables(n)):
        await connection.execute(statement)
    for table in ("threads", "checkpoints"):
        await connection.execute(f"ANALYZE {n(table)}")
    await _put_parents_first(connection, n)
    return _sentences(n, repeated=repeated, aside=aside, sourceless=sourceless)


_THREAD_COLUMNS = {
    "status": "TEXT",
    "exported_at": "TIMESTAMPTZ",
    "source_version": "TEXT",
    "fingerprint": "TEXT",
    "checkpoints": "BIGINT",
    "size": "BIGINT",
    "config": "JSONB",
    "interrupts": "JSONB",
    "extra": "JSONB",
    "exact": "JSONB",
    "digest": "BYTEA",
}

_CHECKPOINT_COLUMNS = {
    "thread": "BIGINT",
    "position": "BIGINT",
    "checkpoint_ns": "TEXT",
    "created_at": "TIMESTAMPTZ",
    "next": "JSONB",
    "metadata": "JSONB",
    "interrupts": "JSONB",
    "tasks": "JSONB",
    "extra": "JSONB",
    "exact": "JSONB",
    "digest": "BYTEA",
}


async def _columns(connection: Connection, names: Names, table: str) -> frozenset[str]:
    rows = await connection.fetch(
        "SELECT a.attname FROM pg_catalog.pg_attribute AS a "
        "JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p') "
        "AND a.attnum > 0 AND NOT a.attisdropped",
        names.schema,
        names.plain(table),
    )
    return frozenset(row[0] for row in rows)


async def _drop_keys(connection: Connection, n: Names) -> None:
    """The references of checkpoints, and the uniqueness of a thread's id alone."""
    found = await connection.fetch(
        "SELECT c.conrelid = $1::regclass, c.conname FROM pg_catalog.pg_constraint AS c "
        "WHERE (c.contype = 'f' AND c.conrelid = $2::regclass) "
        "OR (c.contype = 'u' AND c.conrelid = $1::regclass "
        "AND c.conkey = ARRAY(SELECT attnum FROM pg_catalog.pg_attribute "
        "WHERE attrelid = $1::regclass AND attname = 'thread_id')) ORDER BY c.contype",
        n("threads"),
        n("checkpoints"),
    )
    for of_threads, name in found:
        table = n("threads" if of_threads else "checkpoints")
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quoted(name)}")
    indexes = await connection.fetch(
        "SELECT c.relname FROM pg_catalog.pg_index AS i "
        "JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = $1::regclass AND i.indisunique AND NOT i.indisprimary "
        "AND i.indkey::text = (SELECT attnum::text FROM pg_catalog.pg_attribute "
        "WHERE attrelid = $1::regclass AND attname = 'thread_id')",
        n("threads"),
    )
    for (name,) in indexes:
        await connection.execute(f"DROP INDEX {quoted(n.schema)}.{quoted(name)}")


async def _types(connection: Connection, n: Names, table: str, times: tuple[str, ...]) -> None:
    held = await _columns(connection, n, table)
    wanted = {"id": "BIGINT", "thread_id": "TEXT"}
    wanted |= dict.fromkeys(times, "TIMESTAMPTZ")
    wanted |= dict.fromkeys(("checkpoint_id", "parent_checkpoint_id", "source_url"), "TEXT")
    wanted |= dict.fromkeys(_JSON, "JSONB")
    changes = ", ".join(
        f"ALTER COLUMN {quoted(name)} TYPE {kind}" for name, kind in wanted.items() if name in held
    )
    await connection.execute(f"ALTER TABLE {n(table)} {changes}")
    sequence = await connection.fetchval("SELECT pg_get_serial_sequence($1, 'id')", n(table))
    if sequence is None:
        await connection.execute(
            f"ALTER TABLE {n(table)} ALTER COLUMN id SET NOT NULL, "
            "ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY"
        )
        sequence = await connection.fetchval("SELECT pg_get_serial_sequence($1, 'id')", n(table))
    else:
        await connection.execute(f"ALTER SEQUENCE {sequence} AS BIGINT")
    # A restored dump may have left it behind the rows.
    await connection.execute(
        "SELECT setval($1::text::regclass, greatest(last_value, top)) "
        f"FROM {sequence}, (SELECT max(id) AS top FROM {n(table)}) AS rows WHERE top IS NOT NULL",
        sequence,
    )


async def _add(connection: Connection, n: Names, table: str, columns: dict[str, str]) -> None:
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in columns.items())
    await connection.execute(f"ALTER TABLE {n(table)} {added}")


async def _fill_threads(connection: Connection, n: Names) -> int:
    """Returns the number of threads that do not say where they came from."""
    await _add(connection, n, "threads", _THREAD_COLUMNS)
    sourceless: int = await connection.fetchval(
        f"SELECT count(*) FROM {n('threads')} WHERE coalesce(source_url, '') = ''"
    )
    # Addresses as lgx has them, without final slash: the next run finds its threads.
    await connection.execute(
        f"UPDATE {n('threads')} SET source_url = rtrim(coalesce(source_url, ''), '/'), "
        "exported_at = coalesce(exported_at, 'epoch') "
        "WHERE source_url IS NULL OR source_url LIKE '%/' OR exported_at IS NULL"
    )
    await connection.execute(
        f"ALTER TABLE {n('threads')} ALTER COLUMN source_url SET NOT NULL, "
        "ALTER COLUMN exported_at SET NOT NULL, ALTER COLUMN exported_at SET DEFAULT now()"
    )
    return sourceless


async def _place_checkpoints(connection: Connection, n: Names) -> None:
    """Thread, namespace, id and place of each row that has them."""
    text = "c.checkpoint_data ->> "
    await connection.execute(
        f"""UPDATE {n("checkpoints")} AS c SET thread = found.thread, position = found.position,
            checkpoint_ns = coalesce(c.checkpoint_ns, {text} 'checkpoint_ns', ''),
            checkpoint_id = coalesce(c.checkpoint_id, {text} 'checkpoint_id')
        FROM (
            SELECT p.id, t.id AS thread, row_number() OVER (
                PARTITION BY t.id ORDER BY p.created_at NULLS FIRST,
                p.checkpoint_id COLLATE "C" NULLS FIRST, p.id) - 1 AS position
            FROM {n("checkpoints")} AS p JOIN {n("threads")} AS t USING (thread_id)
        ) AS found WHERE found.id = c.id"""
    )


async def _put_parents_first(connection: Connection, n: Names) -> None:
    """Times tell the order of nearly all threads; the others are ordered one by one."""
    threads = await connection.fetch(
        f"""SELECT DISTINCT c.thread FROM {n("checkpoints")} AS c
            JOIN {n("checkpoints")} AS p ON p.thread = c.thread
            AND p.checkpoint_ns = c.checkpoint_ns AND p.checkpoint_id = c.parent_checkpoint_id
        WHERE p.position >= c.position AND p.id <> c.id"""
    )
    for (thread,) in threads:
        rows = await connection.fetch(
            "SELECT id, position, checkpoint_ns, checkpoint_id, parent_checkpoint_id "
            f"FROM {n('checkpoints')} WHERE thread = $1 ORDER BY position",
            thread,
        )
        parents = {(ns, own): (ns, parent) if parent else None for _, _, ns, own, parent in rows}
        ids = {(ns, own): row for row, _, ns, own, _ in rows}
        await connection.execute(
            f"UPDATE {n('checkpoints')} AS c SET position = w.position "
            "FROM unnest($1::bigint[], $2::bigint[]) AS w (id, position) WHERE w.id = c.id",
            [ids[identity] for identity in parents_first(parents)],
            [position for _, position, _, _, _ in rows],
        )


_IDENTITY = "thread, checkpoint_ns, checkpoint_id"


async def _remove_repeated(connection: Connection, n: Names) -> int:
    """Removes rows that a later one repeats in every column; returns how many."""
    status = await connection.execute(
        f"""DELETE FROM {n("checkpoints")} WHERE id IN (
            SELECT id FROM (
                SELECT id, lead(id) OVER (
                    PARTITION BY to_jsonb(c) - ARRAY['id', 'position'] ORDER BY id) AS later
                FROM {n("checkpoints")} AS c
                WHERE (thread, checkpoint_ns, checkpoint_id) IN (
                    SELECT {_IDENTITY} FROM {n("checkpoints")}
                    GROUP BY {_IDENTITY} HAVING count(*) > 1)
            ) AS rows WHERE later IS NOT NULL)"""
    )
    return _count(status)


async def _set_aside(connection: Connection, n: Names) -> int:
    """Moves rows away that cannot be checkpoints of lgx's; returns how many."""
    reasons = f"""SELECT id, CASE WHEN thread IS NULL THEN 'of no thread'
            WHEN checkpoint_id IS NULL THEN 'without id'
            WHEN lead(id) OVER (PARTITION BY {_IDENTITY} ORDER BY id) IS NOT NULL
            THEN 'replaced by a later row' END AS why FROM {n("checkpoints")}"""
    if not await connection.fetchval(
        f"SELECT EXISTS (SELECT 1 FROM ({reasons}) AS r WHERE why IS NOT NULL)"
    ):
        return 0
    await connection.execute(
        f"CREATE TABLE {n('set_aside')} (table_name TEXT NOT NULL, why TEXT NOT NULL, "
        '"row" JSONB NOT NULL)'
    )
    status = await connection.execute(
        f"""WITH gone AS (
            DELETE FROM {n("checkpoints")} AS c USING ({reasons}) AS r
            WHERE r.id = c.id AND r.why IS NOT NULL RETURNING r.why, to_jsonb(c) AS "row"
        ) INSERT INTO {n("set_aside")} SELECT 'checkpoints', why, "row" FROM gone"""
    )
    return _count(status)


_TEXTS = {
    "threads": ("thread_id", "source_url", "status", "metadata", "values"),
    "checkpoints": (
        "thread_id",
        "checkpoint_ns",
        "checkpoint_id",
        "parent_checkpoint_id",
        "checkpoint_data",
        "metadata",
        "values",
    ),
}


async def _escape(connection: Connection, n: Names) -> None:
    """Tells the character that begins lgx's escapes from an escape, where it stands already."""
    for table, columns in _TEXTS.items():
        held = ", ".join(
            f"{quoted(name)} = replace({quoted(name)}::text, '{MARK}', '{MARK}fdd0')"
            + ("::jsonb" if name in _JSON else "")
            for name in columns
        )
        found = " OR ".join(f"position('{MARK}' IN {quoted(name)}::text) > 0" for name in columns)
        await connection.execute(f"UPDATE {n(table)} SET {held} WHERE {found}")


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])


def _sentences(n: Names, *, repeated: int, aside: int, sourceless: int) -> tuple[str, ...]:
    table = repr(n.plain("checkpoints"))
    found = [f"the tables {n} of an older tool were brought up to date"]
    if repeated:
        found.append(f"{repeated} rows of {table} repeated a later one exactly: removed")
    if aside:
        found.append(
            f"{aside} rows of {table} had no thread, no checkpoint_id, or the identity of a later "
            f"row: moved into {n.plain('set_aside')!r}"
        )
    if sourceless:
        found.append(
            f"{sourceless} rows of {n.plain('threads')!r} do not say where they came from; set "
            "their source_url, and a run from there replaces them"
        )
    return tuple(found)
