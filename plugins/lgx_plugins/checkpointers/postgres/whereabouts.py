"""Which tables these are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from lgx import UsageError
from lgx_plugins.postgres.connection import Address

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["check_not_itself", "tables_identity"]

_SCHEME = "postgres-saver://"


async def tables_identity(connection: Connection, address: Address, schema: str) -> str:
    """A checkpointer's tables have no name of their own: where they are."""
    database = await connection.fetchval("SELECT current_database()")
    parts = (quote(part, safe="") for part in (database, schema))
    return f"{_SCHEME}{address.host}:{address.port}/{'/'.join(parts)}"


async def check_not_itself(
    connection: Connection, address: Address, schema: str, source: str
) -> None:
    """
    Raises:
        UsageError: the run reads the tables that it is to write to.
    """
    if source.startswith(_SCHEME) and source == await tables_identity(connection, address, schema):
        raise UsageError(
            f"the run reads the tables in schema {schema!r} of {address.place} that it is to "
            "write to; a copy of them needs another --sink-schema, or another database"
        )
