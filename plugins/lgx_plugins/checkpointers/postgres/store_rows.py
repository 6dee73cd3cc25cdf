"""Rows of a store: how they are asked for, and as items."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lgx import ThreadError
from lgx_plugins.checkpointers.postgres.store_tables import STORE, VECTORS, StoreTables
from lgx_plugins.checkpointers.stores.items import Item, plain_time
from lgx_plugins.checkpointers.stores.vectors import Vector, swapped
from lgx_plugins.postgres.names import quoted

__all__ = ["item_of_row", "row_columns", "to_binary"]

_HEAD = 8  # hexadecimal digits: the number of dimensions, and two bytes that nobody uses


class _Found(Struct, array_like=True):
    field: str
    numbers: str
    created_at: str | None
    updated_at: str | None


_vectors = msgspec.json.Decoder(list[_Found])


def row_columns(tables: StoreTables) -> tuple[str, ...]:
    """SQL for the columns of a row `p`, all of them text."""
    return (
        "p.prefix::text",
        "p.key::text",
        "p.value::text",
        *(_time(tables, name) for name in ("created_at", "updated_at", "expires_at")),
        "p.ttl_minutes::text" if "ttl_minutes" in tables.types else "NULL::text",
        _vector_column(tables),
    )


def _time(tables: StoreTables, name: str) -> str:
    kind = tables.types.get(name)
    return "NULL::text" if kind is None else _time_text(f"p.{quoted(name)}", kind)


def _time_text(column: str, kind: str) -> str:
    if kind not in ("timestamptz", "timestamp"):
        return f"{column}::text"
    at = f"timezone('UTC', {column})" if kind == "timestamptz" else column
    return (
        f"CASE WHEN isfinite({column}) AND extract(year FROM {at}) BETWEEN 1 AND 9999 "
        f"THEN to_char({at}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US+00:00') ELSE {column}::text END"
    )


def _vector_column(tables: StoreTables) -> str:
    if tables.vectors is None:
        return "NULL::text"
    times = ", ".join(_time_text(f"v.{name}", "timestamptz") for name in _STAMPS)
    return (
        "(SELECT json_agg(json_build_array(v.field_name, "
        f"encode({tables.vectors.send}(v.embedding), 'hex'), {times}) "
        'ORDER BY v.field_name COLLATE "C")::text '
        f"FROM {tables.names(VECTORS)} AS v WHERE v.prefix = p.prefix AND v.key = p.key "
        "AND v.embedding IS NOT NULL)"
    )


_STAMPS = ("created_at", "updated_at")


def item_of_row(tables: StoreTables, cells: Sequence[str | None]) -> Item:
    """
    Raises:
        ThreadError: it is no item of a store's.
    """
    prefix, key, value, created_at, updated_at, expires_at, ttl_minutes, vectors = cells
    if prefix is None or key is None or value is None:
        raise ThreadError(f"a row of {STORE!r} has no prefix, key or value")
    if ttl_minutes is not None and ttl_minutes.lower() in ("nan", "infinity", "-infinity"):
        raise ThreadError(f"its time to live is {ttl_minutes}, for which JSON has no form")
    return Item(
        prefix=prefix,
        key=key,
        value=value.encode(),
        created_at=plain_time(created_at),
        updated_at=plain_time(updated_at),
        expires_at=plain_time(expires_at),
        ttl_minutes=ttl_minutes,
        vectors={} if vectors is None else _vectors_of(tables, vectors),
    )


def _vectors_of(tables: StoreTables, text: str) -> dict[str, Vector]:
    assert tables.vectors is not None, "only then they are asked for"
    type_ = tables.vectors.type
    return {
        one.field: Vector(
            type=type_,
            data=swapped(bytes.fromhex(one.numbers[_HEAD:]), type_),
            created_at=plain_time(one.created_at),
            updated_at=plain_time(one.updated_at),
        )
        for one in _vectors.decode(text)
    }


def to_binary(vector: Vector) -> bytes:
    """A cell of the type `vector` or `halfvec`."""
    numbers = swapped(vector.data, vector.type)
    return vector.dimensions.to_bytes(2, "big") + b"\0\0" + numbers
