"""Rows of a store: how they are asked for, as items, and items as rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isinf
from typing import Any

import msgspec
from msgspec import Struct

from lgx import ThreadError
from lgx_plugins.checkpointers.sqlite.store_tables import VECTORS, StoreTables
from lgx_plugins.checkpointers.stores.items import Item, number_text, plain_time, when
from lgx_plugins.checkpointers.stores.vectors import WIDTHS, Vector

__all__ = ["WHOLE", "check_item", "item_cells", "item_of_row", "row_columns", "vector_cells"]

_FLOATS = WIDTHS["float32"]

WHOLE = (
    f"typeof(v.embedding) = 'blob' AND length(v.embedding) % {_FLOATS} = 0 "
    "AND length(v.embedding) > 0 AND typeof(v.field_name) = 'text' "
    "AND typeof(v.created_at) <> 'blob' AND typeof(v.updated_at) <> 'blob'"
)
"""SQL for whether a vector can be made of a row `v`, which JSON of SQLite's can hold."""


class _Found(Struct, array_like=True):
    field: str
    numbers: str
    created_at: str | float | None
    updated_at: str | float | None


_vectors = msgspec.json.Decoder(list[_Found])


def row_columns(tables: StoreTables) -> str:
    """SQL for the columns of a row `p`."""
    columns = [f"p.{name}" for name in ("prefix", "key", "value", "created_at", "updated_at")]
    columns += [
        f"p.{name}" if name in tables.columns else "NULL" for name in ("expires_at", "ttl_minutes")
    ]
    columns.append(
        "(SELECT json_group_array(json_array(v.field_name, hex(v.embedding), v.created_at, "
        f"v.updated_at)) FROM {VECTORS} AS v WHERE v.prefix = p.prefix AND v.key = p.key "
        f"AND {WHOLE})"
        if tables.vectors
        else "NULL"
    )
    return ", ".join(columns)


def item_of_row(cells: Sequence[Any]) -> Item:
    """
    Raises:
        ThreadError: it is no item of a store's.
    """
    prefix, key, value, created_at, updated_at, expires_at, ttl_minutes, vectors = cells
    if not isinstance(value, bytes):
        raise ThreadError(f"its value is of type {type(value).__name__}, and no JSON")
    if not isinstance(ttl_minutes, int | float | None):
        raise ThreadError("its time to live is no number")
    return Item(
        prefix=_text(prefix, "namespace"),
        key=_text(key, "key"),
        value=value,
        created_at=_time(created_at),
        updated_at=_time(updated_at),
        expires_at=_time(expires_at),
        ttl_minutes=None if ttl_minutes is None else number_text(ttl_minutes),
        vectors={} if vectors is None else _vectors_of(vectors),
    )


def _text(cell: object, what: str) -> str:
    if not isinstance(cell, bytes):
        raise ThreadError(f"its {what} is of type {type(cell).__name__}, and no text")
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise ThreadError(f"its {what} is no UTF-8") from error


def _time(cell: bytes | str | float | None) -> str | None:
    """A number stays one, as text: the column makes a number of it again."""
    if cell is None:
        return None
    return plain_time(cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell))


def _vectors_of(text: bytes) -> dict[str, Vector]:
    try:
        found = _vectors.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ThreadError(f"its vectors cannot be read: {error}") from error
    return {
        one.field: Vector(
            type="float32",
            data=bytes.fromhex(one.numbers),
            created_at=_time(one.created_at),
            updated_at=_time(one.updated_at),
        )
        for one in found
    }


def check_item(item: Item) -> None:
    """
    Raises:
        ThreadError: no file can hold it.
    """
    try:
        for text in (item.prefix, item.key, *item.vectors):
            text.encode()
    except UnicodeEncodeError:
        raise ThreadError(
            "its namespace or key holds a lone surrogate, which no text of SQLite's can hold"
        ) from None
    if item.ttl_minutes is not None and isinf(float(item.ttl_minutes)):
        raise ThreadError(
            f"its time to live of {item.ttl_minutes[:20]} minutes is more than its column can hold"
        )


def item_cells(item: Item, *, expiry: bool) -> tuple[object, ...]:
    """In the order of the table's columns. The value is bytes, as SqliteStore puts it in."""
    cells: tuple[object, ...] = (
        item.prefix,
        item.key,
        item.value,
        _stamp(item.created_at),
        _stamp(item.updated_at),
    )
    if expiry:
        minutes = None if item.ttl_minutes is None else float(item.ttl_minutes)
        cells += (_deadline(item.expires_at), minutes)
    return cells


def vector_cells(item: Item, field: str, vector: Vector) -> tuple[object, ...]:
    stamps = _stamp(vector.created_at), _stamp(vector.updated_at)
    return (item.prefix, item.key, field, vector.data, *stamps)


def _stamp(text: str | None) -> str | None:
    """A time as CURRENT_TIMESTAMP writes it: of UTC, without saying so."""
    found = when(text)
    return text if found is None else found.replace(tzinfo=None).isoformat(" ")


def _deadline(text: str | None) -> str | None:
    """A time as SqliteStore itself writes when an item expires."""
    found: datetime | None = when(text)
    return text if found is None else found.isoformat(" ")
