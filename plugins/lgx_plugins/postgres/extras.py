"""Writing what belongs to a deployment rather than to a thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lgx import Bundle
from lgx_plugins.postgres.cells import escape_text
from lgx_plugins.postgres.copying import Row
from lgx_plugins.postgres.names import Names, quoted
from lgx_plugins.postgres.rows import Shape, digest_of
from lgx_plugins.postgres.writer import copy
from lgx_plugins.tables import EXTRA_TABLES, RECORDS

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["write_extras"]

_SHAPES: Mapping[str, Shape] = {
    kind: Shape(table, ("source_url",)) for kind, table in EXTRA_TABLES.items()
}
_OTHERS = Shape(RECORDS, ("thread", "position", "source_url"))
_STAGED = "lgx_extras"


async def write_extras(
    connection: Connection,
    names: Names,
    source: str,
    kind: str,
    bundle: Bundle,
    *,
    strictly: bool,
) -> None:
    """Puts the source's records of one kind in place of those held, in the transaction that
    the caller has begun; a partial bundle is added. Rows that came unchanged stay as they are.

    Raises:
        ThreadError: a record cannot be held.
    """
    shape = _SHAPES.get(kind)
    if shape is None:
        await _write_others(connection, names, source, kind, bundle, strictly=strictly)
        return
    table = names(shape.table.name)
    columns = ", ".join(map(quoted, shape.names))
    await connection.execute(
        f"CREATE TEMP TABLE {_STAGED} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
    )
    rows = (
        shape.row(line, (source,), digest_of(line), strictly=strictly) for line in bundle.lines()
    )
    await copy(connection, "pg_temp", _STAGED, shape.names, rows)
    key = [quoted(name) for name in ("source_url", *shape.table.key)]
    if bundle.outcome != "partial":
        same = " AND ".join(f"s.{name} = t.{name}" for name in key)
        await connection.execute(
            f"DELETE FROM {table} AS t WHERE source_url = $1 "
            f"AND NOT EXISTS (SELECT 1 FROM pg_temp.{_STAGED} AS s WHERE {same})",
            escape_text(source).decode(),
        )
    keys = ", ".join(key)
    update = ", ".join(
        f"{quoted(name)} = excluded.{quoted(name)}"
        for name in shape.names
        if quoted(name) not in key
    )
    await connection.execute(
        f"INSERT INTO {table} AS t ({columns}) "
        f"SELECT DISTINCT ON ({keys}) {columns} FROM pg_temp.{_STAGED} "
        f"ORDER BY {keys}, ctid DESC "  # of doubled ones the last
        f"ON CONFLICT ({keys}) DO UPDATE SET {update} "
        "WHERE t.digest IS DISTINCT FROM excluded.digest"
    )


async def _write_others(
    connection: Connection,
    names: Names,
    source: str,
    kind: str,
    bundle: Bundle,
    *,
    strictly: bool,
) -> None:
    """Records of a kind without a table of its own."""
    if bundle.outcome != "partial":
        await connection.execute(
            f"DELETE FROM {names('records')} "
            "WHERE source_url = $1 AND kind = $2 AND thread IS NULL",
            escape_text(source).decode(),
            escape_text(kind).decode(),
        )

    def rows() -> Iterator[Row]:
        for position, line in enumerate(bundle.lines()):
            yield _OTHERS.row(line, (None, position, source), digest_of(line), strictly=strictly)

    await copy(connection, names.schema, names.plain("records"), _OTHERS.names, rows())
