"""Which of a store's tables a file has, at whatever level of their history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["STORE", "STORE_TABLES", "VECTORS", "StoreTables", "find_store"]

STORE, VECTORS = STORE_TABLES = ("store", "store_vectors")

_NEEDED = ("prefix", "key", "value", "created_at", "updated_at")
_KNOWN = {*_NEEDED, "expires_at", "ttl_minutes"}
_NEEDED_VECTORS = ("prefix", "key", "field_name", "embedding", "created_at", "updated_at")


class StoreTables(Struct, frozen=True):
    """
    Attributes:
        columns: of the table of items.
        lacking: a column without which it is no store's table; None where it has all.
        vectors: whether there is a table of vectors.
        odd_vectors: whether there is one that lgx does not know.
    """

    columns: frozenset[str]
    lacking: str | None = None
    vectors: bool = False
    odd_vectors: bool = False

    @property
    def expiry(self) -> bool:
        """Whether items can expire: since the fourth migration."""
        return {"expires_at", "ttl_minutes"} <= self.columns

    def unknown(self) -> list[str]:
        """Columns that no store of LangGraph's has."""
        return sorted(self.columns - _KNOWN)


async def find_store(connection: aiosqlite.Connection) -> StoreTables | None:
    """None where there is no table of items."""
    columns = await _columns(connection, STORE)
    if not columns:
        return None
    lacking = next((column for column in _NEEDED if column not in columns), None)
    vectors = await _columns(connection, VECTORS)
    known = vectors.issuperset(_NEEDED_VECTORS)
    return StoreTables(
        columns, lacking=lacking, vectors=known, odd_vectors=bool(vectors) and not known
    )


async def _columns(connection: aiosqlite.Connection, table: str) -> frozenset[str]:
    rows = await connection.execute_fetchall("SELECT name FROM pragma_table_info(?)", (table,))
    return frozenset(name.decode("utf-8", "replace").lower() for (name,) in rows)
