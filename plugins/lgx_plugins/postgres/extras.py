"""Writing what belongs to a deployment rather than to a thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lgx import Bundle, Loss, ThreadError
from lgx_plugins.postgres.cells import escape_text
from lgx_plugins.postgres.copying import Row
from lgx_plugins.postgres.counting import none_left
from lgx_plugins.postgres.names import Names, quoted
from lgx_plugins.postgres.rows import Shape, digest_of, fields_of
from lgx_plugins.postgres.writer import copy
from lgx_plugins.tables import EXTRA_TABLES, RECORDS, Table

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["SHAPES", "write_extras"]

SHAPES: Mapping[str, Shape] = {
    kind: Shape(table, ("source_url",)) for kind, table in EXTRA_TABLES.items()
}
_OTHERS = Shape(RECORDS, ("thread", "position", "source_url"))
_STAGED = "lgx_extras"

_KEY_BYTES = 2500
"""A B-tree takes 2704 bytes a row, with what it adds; more where they can be compressed."""

_SHOWN = 80


async def write_extras(
    connection: Connection,
    names: Names,
    source: str,
    kind: str,
    bundle: Bundle,
    *,
    strictly: bool,
) -> tuple[Loss, ...]:
    """Puts the source's records of one kind in place of those held, in the transaction that
    the caller has begun; a partial bundle is added. Rows that came unchanged stay as they are.

    Args:
        strictly: looks at every cell, leaves out what cannot be held and removes nothing then:
            for records that the server has refused.

    Returns:
        What was left out.

    Raises:
        ThreadError: a record cannot be held, or the table does not take it.
    """
    shape = SHAPES.get(kind)
    if shape is None:
        await _write_others(connection, names, source, kind, bundle, strictly=strictly)
        return ()
    table = names(shape.table.name)
    columns = ", ".join(map(quoted, shape.names))
    await connection.execute(
        f"CREATE TEMP TABLE {_STAGED} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
    )
    losses: list[Loss] = []

    def rows() -> Iterator[Row]:
        for line in bundle.lines():
            try:
                if strictly:
                    _check_key(shape.table, source, line)
                row = shape.row(line, (source,), digest_of(line), strictly=strictly)
            except ThreadError as error:
                if not strictly:
                    raise
                losses.append(Loss(what=_called(shape.table, kind, line), why=str(error)))
            else:
                yield row

    await copy(connection, "pg_temp", _STAGED, shape.names, rows())
    key = [quoted(name) for name in ("source_url", *shape.table.key)]
    same = " AND ".join(f"s.{name} = t.{name}" for name in key)
    if bundle.outcome != "partial" and not losses:
        gone = (
            f"FROM {table} AS t WHERE source_url = $1 "
            f"AND NOT EXISTS (SELECT 1 FROM pg_temp.{_STAGED} AS s WHERE {same})"
        )
        cell = escape_text(source).decode()
        await connection.execute(f"DELETE {gone}", cell)
        none_left(await connection.execute(f"SELECT {gone}", cell), table)
    keys = ", ".join(key)
    update = ", ".join(
        f"{quoted(name)} = excluded.{quoted(name)}"
        for name in shape.names
        if quoted(name) not in key
    )
    last = (  # of doubled ones
        f"SELECT DISTINCT ON ({keys}) {columns} FROM pg_temp.{_STAGED} ORDER BY {keys}, ctid DESC"
    )
    await connection.execute(
        f"INSERT INTO {table} AS t ({columns}) {last} ON CONFLICT ({keys}) DO UPDATE SET {update} "
        "WHERE t.digest IS DISTINCT FROM excluded.digest"
    )
    left = await connection.execute(
        f"SELECT FROM ({last}) AS s WHERE NOT EXISTS "
        f"(SELECT FROM {table} AS t WHERE {same} AND t.digest = s.digest)"
    )
    none_left(left, table)
    return tuple(losses)


def _check_key(table: Table, source: str, line: bytes) -> None:
    fields = fields_of(line)
    size = len(source.encode()) + sum(len(bytes(fields[name])) for name in table.key)
    if size > _KEY_BYTES:
        raise ThreadError(
            f"{' and '.join(table.key)} take {size} bytes with the source's name, and PostgreSQL "
            f"indexes {_KEY_BYTES} for sure; an archive or an ndjson file can hold it"
        )


def _called(table: Table, kind: str, line: bytes) -> str:
    """A record's name in the report, of which the beginning will do."""
    fields = fields_of(line)
    key = " ".join(bytes(fields[name]).decode() for name in table.key)
    return f"{kind} {key if len(key) <= _SHOWN else key[:_SHOWN] + '…'}"


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
