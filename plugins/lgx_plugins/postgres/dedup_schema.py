"""The layout that keeps each different value once: its tables, its view, and what it saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lgx import UsageError
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["VALUES_COLUMNS", "choose_layout", "found_layout", "saving"]

VALUES_COLUMNS = ("channels", "hashes", "values_size")
"""What stands in a row of a checkpoint in place of `values`."""

_SAMPLED = 64 << 20  # bytes of rows

_PLAIN_COLUMNS = (
    "id, thread, position, thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, "
    "created_at, next, checkpoint_data, metadata, interrupts, tasks"
)


def _dedup_tables(n: Names) -> tuple[str, ...]:
    """Makes an empty plain layout one of this kind.

    Values are kept once for each thread, not once for all: writers never meet at a row, a
    thread takes its values along when it is removed, and what repeats is a thread's history.
    """
    return (
        f"ALTER TABLE {n('checkpoints')} RENAME TO {n.bare('checkpoint_rows')}",
        f"""ALTER TABLE {n("checkpoint_rows")}
            DROP COLUMN "values",
            ADD COLUMN channels TEXT[],    -- NULL where `values` is no object, but one value
            ADD COLUMN hashes UUID[],      -- of each channel's value; NULL where there are none
            ADD COLUMN values_size BIGINT  -- bytes of `values` as JSON""",
        f"""CREATE TABLE {n("channel_values")} (
            thread BIGINT NOT NULL REFERENCES {n("threads")} (id) ON DELETE CASCADE,
            hash UUID NOT NULL,            -- of the text of the value as it came
            value JSONB,
            elements UUID[],               -- hashes of a list's elements, in place of `value`
            PRIMARY KEY (thread, hash)
        )""",
        _view(n),
        f"INSERT INTO {n('info')} VALUES ('layout', 'dedup')",
        (
            f"COMMENT ON TABLE {n('checkpoint_rows')} IS "
            "'what the view of checkpoints shows, with hashes in place of values'"
        ),
        (
            f"COMMENT ON TABLE {n('channel_values')} IS "
            "'each different value of a thread once: an element of a list, or a whole value'"
        ),
    )


def _view(n: Names) -> str:
    """The checkpoints as the plain layout has them, with `xmin` of their rows."""
    values = n("channel_values")
    # What is not there fails, by a text that is no JSON: it must not pass for null.
    element = "coalesce(e.value, ('a value is missing: ' || x.hash)::jsonb)"

    def value(which: str) -> str:
        return f"""coalesce((
            SELECT CASE WHEN v.elements IS NULL THEN v.value ELSE (
                SELECT coalesce(jsonb_agg({element} ORDER BY x.number), '[]')
                FROM unnest(v.elements) WITH ORDINALITY AS x (hash, number)
                LEFT JOIN {values} AS e ON e.thread = c.thread AND e.hash = x.hash) END
            FROM {values} AS v WHERE v.thread = c.thread AND v.hash = {which}),
            ('a value is missing: ' || {which})::jsonb)"""

    return f"""CREATE VIEW {n("checkpoints")} AS
SELECT {_PLAIN_COLUMNS},
    CASE WHEN hashes IS NULL THEN NULL
        WHEN channels IS NULL THEN {value("hashes[1]")}
        ELSE (SELECT coalesce(jsonb_object_agg(k.channel, {value("k.hash")}), '{{}}')
            FROM unnest(channels, hashes) AS k (channel, hash)) END AS "values",
    extra, exact, digest, c.xmin AS xmin
FROM {n("checkpoint_rows")} AS c"""


async def found_layout(connection: Connection, names: Names) -> Literal["plain", "dedup"]:
    """The layout of lgx's own tables; called in a transaction."""
    found = await connection.fetchval(f"SELECT value FROM {names('info')} WHERE key = 'layout'")
    return "dedup" if found == "dedup" else "plain"


async def choose_layout(
    connection: Connection,
    place: str,
    names: Names,
    wanted: Literal["plain", "dedup"] | None,
    *,
    dry_run: bool = False,
) -> Literal["plain", "dedup"]:
    """The layout to write in: the wanted one, or where none is that of the tables.

    Makes tables that hold no checkpoint yet ones of this layout, unless it is a dry run; called
    in a transaction.

    Raises:
        UsageError: they have another one.
    """
    found = await found_layout(connection, names)
    if wanted in (None, found):
        return found
    if wanted == "dedup" and not await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {names('checkpoints')})"
    ):
        for statement in () if dry_run else _dedup_tables(names):
            await connection.execute(statement)
        return found if dry_run else wanted
    raise UsageError(
        f"the tables {names} in {place} hold checkpoints in the layout {found!r}, which does not "
        "change; leave out --sink-layout, or copy them under another --sink-table-prefix"
    )


async def saving(connection: Connection, names: Names) -> str | None:
    """What the layout saves, in words; None where it is the plain one, or nothing is held.

    A table of some size is sampled: every run asks, and shall not read all of it for that.
    """
    if await found_layout(connection, names) == "plain":
        return None
    rows = names("checkpoint_rows")
    on_disk = await connection.fetchval("SELECT pg_relation_size($1::regclass)", rows)
    percent = min(100.0, 100 * _SAMPLED / max(on_disk, 1))
    found = await connection.fetchrow(
        "SELECT count(*), coalesce(sum(values_size), 0)::bigint, coalesce(sum("
        "coalesce(pg_column_size(channels), 0) + coalesce(pg_column_size(hashes), 0)), 0)::bigint "
        f"FROM {rows} TABLESAMPLE SYSTEM ({percent})"
    )
    count, size, references = (int(value * 100 / percent) for value in found)
    if not size:
        return None
    kept = references + await connection.fetchval(
        "SELECT pg_total_relation_size($1::regclass)", names("channel_values")
    )
    about = "" if percent == 100 else "about "
    if kept < size:
        verdict = f"{size / kept:.1f} times less for the values alone"
    else:
        verdict = "they repeat little, and would do better in the plain layout"
    return (
        f"the values of {about}{count} checkpoints are {_megabytes(size)} of JSON and take "
        f"{_megabytes(kept)}, each different one kept once: {verdict}"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
