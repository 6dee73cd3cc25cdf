"""What `lgx doctor` shows of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lgx import Fact
from lgx_plugins.checkpointers.sqlite.store_tables import STORE, VECTORS, find_store
from lgx_plugins.sqlite.connection import file_size, open_to_read
from lgx_plugins.sqlite.failures import explained

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["store_facts", "target_store_facts"]


async def target_store_facts(path: Path, busy_seconds: float) -> tuple[Fact, ...]:
    """Of a file that need not exist."""
    if not file_size(path):
        return ()
    connection = await open_to_read(path, busy_seconds)
    try:
        return await store_facts(connection, path)
    finally:
        await connection.close()


async def store_facts(connection: aiosqlite.Connection, path: Path) -> tuple[Fact, ...]:
    """None where there is no store."""
    with explained(path):
        tables = await find_store(connection)
        if tables is None:
            return ()
        if tables.lacking is not None:
            value = (
                f"the table {STORE!r} is none that LangGraph for Python makes: it lacks "
                f"{tables.lacking!r}"
            )
            return (Fact(name="store", value=value, level="warn"),)
        ((count,),) = await connection.execute_fetchall(f"SELECT count(*) FROM {STORE}")
        said = f"{count} item{'s' * (count != 1)}"
        if not tables.expiry:
            said += ", in tables of an older version without expiry"
        if tables.vectors:
            ((vectors,),) = await connection.execute_fetchall(f"SELECT count(*) FROM {VECTORS}")
            said += f", {vectors} vector{'s' * (vectors != 1)}"
    facts = [Fact(name="store", value=said)]
    if tables.odd_vectors:
        value = f"those in {VECTORS!r} are of no form that lgx knows, and do not travel"
        facts.append(Fact(name="vectors", value=value, level="warn"))
    facts += [
        Fact(
            name="columns",
            value=f"{column!r} of table {STORE}: none of LangGraph's, left out",
            level="warn",
        )
        for column in tables.unknown()
    ]
    return tuple(facts)
