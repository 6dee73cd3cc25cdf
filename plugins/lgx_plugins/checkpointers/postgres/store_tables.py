"""Which of a store's tables a schema has, at whatever level of their history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from lgx_plugins.checkpointers.stores.vectors import Type
from lgx_plugins.postgres.catalog import Relation, columns_of
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = [
    "STORE",
    "STORE_TABLES",
    "VECTORS",
    "StoreTables",
    "VectorColumn",
    "find_store",
    "new_store",
    "store_relations",
]

STORE, VECTORS = STORE_TABLES = ("store", "store_vectors")

_NEEDED = ("prefix", "key", "value", "created_at", "updated_at")
_KNOWN = {*_NEEDED, "expires_at", "ttl_minutes"}
_NEEDED_VECTORS = ("prefix", "key", "field_name", "embedding", "created_at", "updated_at")

_TEXTS = frozenset({"text", "varchar", "bpchar"})
_WRITABLE = {
    "prefix": _TEXTS,
    "key": _TEXTS,
    "value": {"jsonb"},
    "created_at": {"timestamptz"},
    "updated_at": {"timestamptz"},
    "expires_at": {"timestamptz"},
    "ttl_minutes": {"int4"},
}

_TYPES: Mapping[str, Type] = {"vector": "float32", "halfvec": "float16"}

_VECTOR = """
SELECT y.typname::text, a.atttypmod, quote_ident(n.nspname) || '.' || quote_ident(p.proname)
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
JOIN pg_catalog.pg_proc AS p ON p.oid = y.typsend
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE s.nspname = $1 AND c.relname = $2 AND a.attname = 'embedding' AND NOT a.attisdropped
"""

_READABLE = """
SELECT c.relname::text FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND has_table_privilege(c.oid, 'SELECT')
AND NOT row_security_active(c.oid)
"""


class VectorColumn(Struct, frozen=True):
    """The vectors that a table has.

    Attributes:
        dimensions: None where it takes any number.
        send: SQL for the function that gives a vector as bytes.
    """

    type: Type
    dimensions: int | None
    send: str

    def __str__(self) -> str:
        size = "any number of" if self.dimensions is None else str(self.dimensions)
        return f"{size} dimensions of {self.type}"


class StoreTables(Struct, frozen=True):
    """
    Attributes:
        types: of the columns of the table of items.
        lacking: a column without which it is no store's table; None where it has all.
        vectors: None where there are none that lgx knows.
        odd_vectors: whether there is a table of vectors that lgx does not know.
    """

    names: Names
    types: Mapping[str, str]
    lacking: str | None = None
    vectors: VectorColumn | None = None
    odd_vectors: bool = False

    @property
    def expiry(self) -> bool:
        """Whether items can expire: since the third migration."""
        return "expires_at" in self.types and "ttl_minutes" in self.types

    def unknown(self) -> list[str]:
        """Columns that no store of LangGraph's has."""
        return sorted({*self.types} - _KNOWN)

    def unwritable(self) -> str | None:
        """Why items cannot be written there; None where they can."""
        name = f"the table {STORE!r} in schema {self.names.schema!r}"
        if self.lacking is not None:
            return f"{name} is no store's: it lacks {self.lacking!r}; choose another --sink-schema"
        for column, kind in self.types.items():
            if column in _WRITABLE and kind not in _WRITABLE[column]:
                return (
                    f"column {column!r} of {name} is of type {kind}, as in no table of "
                    "PostgresStore; choose another --sink-schema"
                )
        return None


def new_store(names: Names) -> StoreTables:
    """Those that would be made."""
    return StoreTables(names, dict.fromkeys(_KNOWN, ""))


async def find_store(connection: Connection, names: Names) -> StoreTables | None:
    """The tables of a schema; None where there is no table of items. Called in a transaction."""
    types, _ = await columns_of(connection, names.schema, [*map(names.plain, STORE_TABLES)])
    if STORE not in types:
        return None
    columns = types[STORE]
    lacking = next((column for column in _NEEDED if column not in columns), None)
    vectors = None
    there = VECTORS in types
    if there and all(column in types[VECTORS] for column in _NEEDED_VECTORS):
        row = await connection.fetchrow(_VECTOR, names.schema, VECTORS)
        if row is not None and row[0] in _TYPES:
            vectors = VectorColumn(_TYPES[row[0]], row[1] if row[1] > 0 else None, row[2])
    return StoreTables(
        names, columns, lacking=lacking, vectors=vectors, odd_vectors=there and vectors is None
    )


async def store_relations(connection: Connection, names: Names) -> tuple[Relation, ...]:
    """Those of the tables that are there and may be read: whoever wants them and may not is told
    when he does."""
    _, sorts = await columns_of(connection, names.schema, [*map(names.plain, STORE_TABLES)])
    allowed = await connection.fetch(_READABLE, names.schema, [*sorts])
    return tuple(Relation(names(row[0]), sorts[row[0]]) for row in allowed)
