"""Rows of a query, a bounded piece at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from lgx import Context
from lgx_plugins.sqlite.connection import CHUNK_BYTES
from lgx_plugins.sqlite.failures import explained

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Cells", "Pages", "size_of"]

Cells: TypeAlias = Sequence[Any]


class Pages:
    """Reads through one connection, in the transaction that its owner has begun."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def fetch(self, sql: str, values: Sequence[str] = ()) -> Sequence[Cells]:
        """All rows; for what is known to be small."""
        with explained(self._path):
            return list(await self._connection.execute_fetchall(sql, values))

    async def pages(
        self, sql: str, values: Sequence[str], context: Context
    ) -> AsyncGenerator[Sequence[Cells], None]:
        """Rows, a chunk at a time, each within the budget while it is in use."""
        with explained(self._path):
            cursor = await self._connection.execute(sql, values)
        try:
            while True:
                size = CHUNK_BYTES
                await context.budget.take(size)
                try:
                    with explained(self._path):
                        rows = list(await cursor.fetchmany(1000))
                    context.budget.resize(size, held := size_of(rows))
                    size = held
                    context.received(size)
                    if not rows:
                        return
                    yield rows
                finally:
                    context.budget.give_page(size)
        finally:
            await cursor.close()


def size_of(rows: Sequence[Cells]) -> int:
    """The bytes in them; text comes as bytes, too."""
    return sum(len(cell) for row in rows for cell in row if isinstance(cell, bytes))
