"""Reading the items of a store, in the transaction in which the checkpoints are read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from lgx import Context, StoreItem, ThreadError
from lgx_plugins.checkpointers.sqlite.store_rows import WHOLE, item_of_row, row_columns
from lgx_plugins.checkpointers.sqlite.store_tables import STORE, VECTORS, find_store
from lgx_plugins.checkpointers.stores.items import Room, called, record_of, room
from lgx_plugins.checkpointers.stores.unread import unread
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.pages import Pages

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["store_coverage", "store_items"]


async def store_items(
    connection: aiosqlite.Connection, path: Path, context: Context
) -> AsyncIterator[StoreItem]:
    """All items; none where there is no store.

    Raises:
        ThreadError: some could not be read; after the others.
    """
    with explained(path):
        tables = await find_store(connection)
    if tables is None:
        return
    if tables.lacking is not None:
        context.note(
            f"the table {STORE!r} in {str(path)!r} is none that LangGraph for Python makes: it "
            f"lacks {tables.lacking!r}"
        )
        return
    for column in tables.unknown():
        context.note(
            f"column {column!r} of {STORE!r} is not LangGraph's, and what it holds does not travel"
        )
    pages = Pages(connection, path)
    odd = await _odd_vectors(pages, known=tables.vectors, there=tables.odd_vectors)
    if odd:
        context.note(
            f"{odd} rows of {VECTORS!r} are of no form that lgx knows, and were left out; they "
            "can be made again from the items"
        )
    failed: list[str] = []
    sql = f"SELECT {row_columns(tables)} FROM {STORE} AS p ORDER BY p.prefix, p.key"
    async with aclosing(pages.pages(sql, (), context)) as found:
        async for page in found:
            for cells in page:
                try:
                    record = record_of(item_of_row(cells))
                except ThreadError as error:
                    failed.append(f"{called(_shown(cells[0]), _shown(cells[1]))}: {error}")
                    continue
                yield record
    if failed:
        raise unread(failed)


async def _odd_vectors(pages: Pages, *, known: bool, there: bool) -> int:
    """How many rows there are of which no vector can be made."""
    if not (known or there):
        return 0
    where = f"WHERE NOT ({WHOLE})" if known else ""
    ((count,),) = await pages.fetch(f"SELECT count(*) FROM {VECTORS} AS v {where}")
    return int(count)


def _shown(cell: object) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


async def store_coverage(connection: aiosqlite.Connection) -> Room:
    """What there is room for."""
    tables = await find_store(connection)
    if tables is None or tables.lacking is not None:
        return room(expiry=True, vectors=True)  # a sink would make it
    return room(expiry=tables.expiry, vectors=tables.vectors)
