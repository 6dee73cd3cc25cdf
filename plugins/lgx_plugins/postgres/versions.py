"""What tells that a thread in a database has changed: the transactions that wrote its rows,
and the digests of what lgx wrote."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from lgx_plugins.postgres.layout import Layout
from lgx_plugins.tables import CHECKPOINTS, Table

__all__ = ["Versions", "row_version", "versions"]


class Versions(Struct, frozen=True):
    """SQL for the versions of a list of threads named `l`, with `l.key` and `l.row_version`.

    Attributes:
        joins: what is joined to it.
        version: the text of the version.
        size: about how many bytes the rows of the thread's checkpoints are.
    """

    joins: str
    version: str
    size: str


def row_version(layout: Layout) -> str:
    """SQL for what changes with every change of a thread's own row, `t`."""
    if not layout.keeps_rows("threads"):
        return "md5((t.*)::text)"
    if layout.own:
        return f"concat_ws('.', t.id, t.xmin, left({_digest('t')}, 12))"
    return "t.xmin::text" if not layout.has("threads", "id") else "concat_ws('.', t.id, t.xmin)"


def versions(layout: Layout, parts: Sequence[Table], *, by_index: bool) -> Versions:
    """How the versions of threads come about.

    No trigger: each change writes a row anew, and with it the number of the transaction. What
    a thread consists of is how many rows it has in each table, and the sum of hashes of their
    ids and transactions, so that removing, adding, editing and moving any of them shows.

    A server that was restored, or that took over from one whose last transactions were lost,
    gives their numbers out again; so where rows have a digest of what lgx wrote it counts too.

    Args:
        by_index: the rows of one thread are found quickly; else each table is read once.
    """
    joins, pieces, size = [], ["l.row_version"], "NULL::bigint"
    for number, table in enumerate(parts):
        alias = f"v{number}"
        aggregates = f"count(*) AS rows, sum({_mix(layout, table)}) AS mix"
        if table is CHECKPOINTS:
            aggregates += f", {_size(layout, table)} AS size"
            size = f"coalesce({alias}.size, 0)"
        source = f"{layout.names(table.name)} AS p"
        key = layout.part_key(table)
        if by_index:
            joins.append(
                f"LEFT JOIN LATERAL (SELECT {aggregates} FROM {source} WHERE {key} = l.key) "
                f"AS {alias} ON true"
            )
        else:
            joins.append(
                f"LEFT JOIN (SELECT {key} AS key, {aggregates} FROM {source} GROUP BY 1) "
                f"AS {alias} ON {alias}.key = l.key"
            )
        pieces.append(
            f"CASE WHEN {alias}.rows > 0 THEN "
            f"'{table.name[:2]}' || {alias}.rows || '.' || {alias}.mix END"
        )
    if layout.dedup:
        joins.append(
            "LEFT JOIN LATERAL (SELECT count(*) AS rows, "
            "sum(hashtextextended(p.hash::text, p.xmin::text::bigint)) AS mix "
            f"FROM {layout.names('channel_values')} AS p WHERE p.thread = l.key) AS v ON true"
        )
        pieces.append("CASE WHEN v.rows > 0 THEN 'va' || v.rows || '.' || v.mix END")
    return Versions(" ".join(joins), f"concat_ws(' ', {', '.join(pieces)})", size)


def _mix(layout: Layout, table: Table) -> str:
    if not layout.tells_writers(table.name):
        return "hashtextextended((p.*)::text, 0::bigint)"
    mixed = "hashint8extended({0}, p.xmin::text::bigint)"
    if layout.own:
        return f"hashtextextended(coalesce({_digest('p')}, ''), {mixed.format('p.id')})"
    if layout.counted(table.name):
        return mixed.format("coalesce(p.id, 0)")
    return mixed.format("hashtextextended(p.ctid::text, 0::bigint)")


def _digest(alias: str) -> str:
    return f"encode({alias}.digest, 'hex')"


def _size(layout: Layout, table: Table) -> str:
    """What JSON takes where it lies, packed, which costs nothing to know; three times that."""
    columns = [column.name for column in table.columns if column.type == "json"]
    held = [name for name in columns if layout.has(table.name, name)]
    if not held or layout.own:
        return "NULL::bigint"
    packed = " + ".join(f'coalesce(pg_column_size(p."{name}"), 0)' for name in held)
    return f"(3 * sum({packed}))::bigint"
