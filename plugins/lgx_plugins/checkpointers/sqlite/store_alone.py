"""A file that has a store, and no checkpointer: agents often keep the two apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx_plugins.checkpointers.sqlite.schema import SAVER_TABLES
from lgx_plugins.checkpointers.sqlite.store_tables import find_store
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS
from lgx_plugins.sqlite.connection import tables

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["add_missing_tables"]

_MADE = "CREATE TABLE IF NOT EXISTS"


async def add_missing_tables(connection: aiosqlite.Connection) -> None:
    """Gives a connection that reads a store alone empty tables of a checkpointer, which nobody
    else sees and which end with it; nothing is written to the file."""
    if CHECKPOINTS.encode() in await tables(connection):
        return
    store = await find_store(connection)
    if store is None or store.lacking is not None:
        return
    ((guarded,),) = await connection.execute_fetchall("PRAGMA query_only")
    await connection.execute_fetchall("PRAGMA query_only = OFF")
    for statement in SAVER_TABLES:
        await connection.execute_fetchall(statement.replace(_MADE, "CREATE TEMP TABLE"))
    await connection.execute_fetchall(f"PRAGMA query_only = {int(guarded)}")
