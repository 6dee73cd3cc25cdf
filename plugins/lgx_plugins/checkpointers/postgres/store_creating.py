"""Making the tables of a store where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx import ThreadError
from lgx_plugins.checkpointers.postgres.store_schema import (
    TYPES,
    extension,
    store_tables,
    vector_tables,
)
from lgx_plugins.checkpointers.postgres.store_tables import VECTORS, StoreTables, find_store
from lgx_plugins.checkpointers.stores.vectors import Vector
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["add_store", "add_vectors"]

_EXTENSION = """
SELECT n.nspname::text, pg_catalog.to_regtype(quote_ident(n.nspname) || '.' || $1) IS NOT NULL
FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'vector'
"""


async def add_store(connection: Connection, names: Names) -> StoreTables:
    """The tables of a store, which are made if there are none.

    Raises:
        ThreadError: no items can be written there.
    """
    tables = await find_store(connection, names)
    if tables is None:
        if await _migrated(connection, names):
            raise ThreadError(
                f"schema {names.schema!r} has 'store_migrations', and no table 'store'; remove it, "
                "or choose another --sink-schema"
            )
        for statement in store_tables(names):
            await connection.execute(statement)
        tables = await find_store(connection, names)
    assert tables is not None, "made above"
    why = tables.unwritable()
    if why is not None:
        raise ThreadError(why)
    return tables


async def _migrated(connection: Connection, names: Names) -> bool:
    """Whether migrations of the store's tables are said to be done."""
    there = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n "
        "ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'store_migrations')",
        names.schema,
    )
    return there and bool(
        await connection.fetchval(f"SELECT EXISTS (SELECT FROM {names('store_migrations')})")
    )


async def add_vectors(
    connection: Connection, tables: StoreTables, first: Vector
) -> tuple[StoreTables, str | None]:
    """The tables with one of vectors such as the first, which is made if it can be; else why
    not."""
    import asyncpg

    if tables.odd_vectors:
        return tables, f"the target's table {VECTORS!r} is of no type that lgx knows"
    names = tables.names
    name = TYPES[first.type]
    try:
        async with connection.transaction():
            if await connection.fetchrow(_EXTENSION, name) is None:
                available = await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions "
                    "WHERE name = 'vector')"
                )
                if not available:
                    return tables, "the target's server does not have the extension pgvector"
                await connection.execute(extension(names))
            schema, known = await connection.fetchrow(_EXTENSION, name)
            if not known:
                return tables, f"the target's pgvector is too old for the type {name}"
            for statement in vector_tables(names, schema, first.type, first.dimensions):
                await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        return tables, f"the target's server refuses a table for them: {error}"
    made = await find_store(connection, names)
    assert made is not None, "it is written to"
    return made, None
