"""What `lgx doctor` shows of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx import Fact
from lgx_plugins.checkpointers.postgres.store_tables import STORE, VECTORS, find_store
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["store_facts"]


async def store_facts(connection: Connection, names: Names) -> tuple[Fact, ...]:
    """None where there is no store; called in a transaction."""
    tables = await find_store(connection, names)
    if tables is None:
        return ()
    if not await connection.fetchval(
        "SELECT has_table_privilege($1::text, 'SELECT')", names(STORE)
    ):
        return (Fact(name="store", value="this user may not read it", level="warn"),)
    if tables.lacking is not None:
        value = (
            f"the table {STORE!r} is none that LangGraph for Python makes: it lacks "
            f"{tables.lacking!r}"
        )
        return (Fact(name="store", value=value, level="warn"),)
    count = await connection.fetchval(f"SELECT count(*) FROM {names(STORE)}")
    said = f"{count} item{'s' * (count != 1)}"
    if not tables.expiry:
        said += ", in tables of an older version without expiry"
    if tables.vectors is not None:
        vectors = await connection.fetchval(f"SELECT count(*) FROM {names(VECTORS)}")
        said += f", {vectors} vector{'s' * (vectors != 1)} of {tables.vectors}"
    facts = [Fact(name="store", value=said)]
    if tables.odd_vectors:
        value = f"those in {VECTORS!r} are of no type that lgx knows, and do not travel"
        facts.append(Fact(name="vectors", value=value, level="warn"))
    facts += [
        Fact(
            name="column",
            value=f"{column!r} of {STORE!r} is not LangGraph's and does not travel",
            level="warn",
        )
        for column in tables.unknown()
    ]
    return tuple(facts)
