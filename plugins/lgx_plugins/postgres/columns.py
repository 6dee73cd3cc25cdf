"""That the tables still have the columns that rows are made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lgx import UsageError
from lgx_plugins.postgres.dedup import COLUMNS as VALUE_COLUMNS
from lgx_plugins.postgres.dedup import SHAPE as DEDUP_SHAPE
from lgx_plugins.postgres.extras import SHAPES as EXTRA_SHAPES
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.rows import Shape
from lgx_plugins.postgres.writer import SHAPES

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["check_columns"]

# A binary COPY takes bytes for what a column's type makes of them, and so a number for another
# one, or JSON with a byte before it for a text.
_TYPES: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "varchar"),
    "json": ("jsonb",),
    "time": ("timestamptz", "timestamp"),  # lgx's are UTC, and so is one without a zone
    "integer": ("int8",),
    "flag": ("bool",),
    "bytes": ("bytea",),
    "texts": ("_text",),
    "hash": ("uuid",),
    "hashes": ("_uuid",),
}

_SHOWN = {"int8": "bigint", "bool": "boolean", "_text": "text[]", "_uuid": "uuid[]"}

_BESIDE = {
    "id": "integer",
    "thread": "integer",
    "position": "integer",
    "source_url": "text",
    "exported_at": "time",
    "source_version": "text",
    "fingerprint": "text",
    "checkpoints": "integer",
    "size": "integer",
    "exact": "json",
    "digest": "bytes",
    "channels": "texts",
    "hashes": "hashes",
    "hash": "hash",
    "value": "json",
    "elements": "hashes",
    "values_size": "integer",
}
"""Of columns that hold no field of a record."""

_SORTS = {"v": "a view", "m": "a materialized view", "S": "a sequence", "i": "an index"}

_CATALOG = """
SELECT c.relname::text, c.relkind::text, a.attname::text, coalesce(b.typname, y.typname)::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type AS b ON b.oid = y.typbasetype AND y.typtype = 'd'
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])
"""


async def check_columns(connection: Connection, place: str, names: Names, *, dedup: bool) -> None:
    """Called in a transaction, with the tables as they are to be written to.

    Raises:
        UsageError: others altered a table; the message names it and what to do.
    """
    wanted = _wanted(dedup=dedup)
    relations: dict[str, str] = {}
    found: dict[str, dict[str, str]] = {}
    for name, sort, column, kind in await connection.fetch(
        _CATALOG, names.schema, [names.plain(table) for table in wanted]
    ):
        relations[name] = sort
        found.setdefault(name, {})[column] = kind
    for table, columns in wanted.items():
        name = names.plain(table)
        called = f"{name!r} in schema {names.schema!r} of {place}"
        sort = relations.get(name, "")
        if sort not in ("r", "p"):
            what = f"is {_SORTS.get(sort, 'no table')}" if sort else "is not there"
            raise UsageError(
                f"{called} {what}, and lgx made a table of that name; bring it back, or write "
                "under another --sink-table-prefix"
            )
        for column, kind in columns.items():
            held = found[name].get(column)
            if held not in _TYPES[kind]:
                had = _SHOWN.get(_TYPES[kind][0], _TYPES[kind][0])
                is_now = "is not there" if held is None else f"has type {_SHOWN.get(held, held)}"
                raise UsageError(
                    f"column {column!r} of {called} {is_now}, and lgx made it with type {had}; "
                    f"make it that again, or write under another --sink-table-prefix"
                )


def _wanted(*, dedup: bool) -> dict[str, dict[str, str]]:
    """By table what each of its columns is to hold."""
    shapes = [*SHAPES.values(), *EXTRA_SHAPES.values()]
    if dedup:
        shapes = [DEDUP_SHAPE if shape.name == "checkpoints" else shape for shape in shapes]
    wanted = {shape.name: _columns(shape) for shape in shapes}
    if dedup:
        wanted["channel_values"] = {name: _BESIDE[name] for name in VALUE_COLUMNS}
    return wanted


def _columns(shape: Shape) -> dict[str, str]:
    kinds: dict[str, str] = dict(_BESIDE)
    for column in (*shape.table.columns, *shape.table.derived):
        kinds[column.name] = column.type
    return {name: kinds[name] for name in shape.names}
