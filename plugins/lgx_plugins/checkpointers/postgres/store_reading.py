"""Reading the items of a store, of the moment of the checkpoints."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from lgx import Context, StoreItem, ThreadError, UsageError
from lgx_plugins.checkpointers.postgres.store_rows import item_of_row, row_columns
from lgx_plugins.checkpointers.postgres.store_tables import (
    STORE,
    STORE_TABLES,
    VECTORS,
    StoreTables,
    find_store,
)
from lgx_plugins.checkpointers.stores.items import Room, called, record_of, room
from lgx_plugins.checkpointers.stores.unread import unread
from lgx_plugins.postgres.catalog import check_policies, check_rights
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.paging import Paging
from lgx_plugins.postgres.snapshot import Moment

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["store_coverage", "store_items"]


async def store_items(
    moment: Moment, place: str, names: Names, context: Context
) -> AsyncGenerator[StoreItem, None]:
    """All items; none where there is no store.

    Raises:
        ThreadError: some could not be read, or none may be; after the others.
    """

    async def find() -> StoreTables | None:
        async with moment.keeper() as keeper:
            with explained(place, again=True):
                found = await find_store(keeper, names)
                if found is None or found.lacking is not None:
                    return found
                wanted = [*map(names.plain, STORE_TABLES)]
                await check_rights(keeper, place, names.schema, wanted)
                await check_policies(keeper, place, names.schema, wanted)
                return found

    try:
        tables = await context.request(find, what="tables of the store")
    except UsageError as error:
        raise ThreadError(f"the store of {error}") from error
    if tables is None:
        return
    if tables.lacking is not None:
        context.note(
            f"the table {STORE!r} in schema {names.schema!r} is none that LangGraph for Python "
            f"makes: it lacks {tables.lacking!r}"
        )
        return
    for column in tables.unknown():
        context.note(
            f"column {column!r} of {STORE!r} is not LangGraph's, and what it holds does not travel"
        )
    if tables.odd_vectors:
        context.note(
            f"the vectors in {VECTORS!r} are of no type that lgx knows, and were left out; they "
            "can be made again from the items"
        )
    columns = row_columns(tables)
    sql = (
        f"SELECT {', '.join(columns)} FROM {names(STORE)} AS p "
        'ORDER BY p.prefix COLLATE "C", p.key COLLATE "C"'
    )
    failed: list[str] = []
    pages = Paging(moment, place).pages(
        sql, (0,) * len(columns), context, what="items of the store"
    )
    async with aclosing(pages):
        async for page in pages:
            for cells in page.rows:
                texts = [
                    None if cell is None else cell.decode("utf-8", "replace") for cell in cells
                ]
                try:
                    record = record_of(item_of_row(tables, texts))
                except ThreadError as error:
                    failed.append(f"{called(texts[0] or '', texts[1] or '')}: {error}")
                    continue
                yield record
    if failed:
        raise unread(failed)


async def store_coverage(connection: Connection, names: Names) -> Room:
    """What there is room for; called in a transaction."""
    tables = await find_store(connection, names)
    if tables is None or tables.lacking is not None:
        return room(expiry=True, vectors=True)  # a sink would make it
    return room(expiry=tables.expiry, vectors=tables.vectors is not None)
