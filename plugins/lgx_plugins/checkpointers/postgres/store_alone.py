"""A schema that has a store, and no checkpointer: agents often keep the two apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx import Fact, UsageError
from lgx_plugins.checkpointers.postgres.facts import server_facts
from lgx_plugins.checkpointers.postgres.store_tables import find_store
from lgx_plugins.checkpointers.postgres.tables import CHECKPOINTS
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["check_alone", "facts_alone"]


async def check_alone(connection: Connection, place: str, names: Names) -> None:
    """Called in a transaction, where there are no tables of a checkpointer.

    Raises:
        UsageError: there is no store either.
    """
    store = await find_store(connection, names)
    if store is None or store.lacking is not None:
        raise UsageError(
            f"{place} has no table {CHECKPOINTS!r} in schema {names.schema!r}; choose another "
            "--source-dsn or --source-schema"
        )


async def facts_alone(connection: Connection, place: str, names: Names) -> tuple[Fact, ...]:
    """What is to be shown besides the store's own facts; called in a transaction."""
    value = f"none of a checkpointer's in schema {names.schema!r}"
    return (*await server_facts(connection, place), Fact(name="tables", value=value))
