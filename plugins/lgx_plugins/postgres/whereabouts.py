"""Which tables these are, and whose threads they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from lgx import RunInfo, UsageError
from lgx_plugins.postgres.cells import escape_text, restore_text
from lgx_plugins.postgres.connection import Address
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["check_not_itself", "check_sources", "may_be_tables", "tables_identity"]

_SCHEME = "postgres://"


async def tables_identity(connection: Connection, address: Address, names: Names) -> str:
    """The identity of tables that lgx did not make: where they are."""
    database = await connection.fetchval("SELECT current_database()")
    parts = (quote(part, safe="") for part in (database, names.schema, names.prefix))
    return f"{_SCHEME}{address.host}:{address.port}/{'/'.join(parts)}"


def may_be_tables(source: str) -> bool:
    """Whether an identity is one of these."""
    return source.startswith(_SCHEME)


async def check_not_itself(
    connection: Connection, address: Address, names: Names, source: str
) -> None:
    """
    Raises:
        UsageError: the run reads the tables that it is to write to. To be upgraded they would
            have to be let go by the very run that reads them.
    """
    place, _, _ = source.partition("#")  # of one origin among several
    if place == await tables_identity(connection, address, names):
        raise UsageError(
            f"the run reads the tables {names} of {address.place} that it is to write to; an "
            "export into them upgrades them, and their copy needs another --sink-schema or "
            "--sink-table-prefix"
        )


async def check_sources(connection: Connection, place: str, names: Names, run: RunInfo) -> None:
    """
    Raises:
        UsageError: the tables hold another source's threads, and the run does not merge.
    """
    if run.merge:
        return
    for table in ("threads", "assistants", "crons", "store_items"):
        name = names(table)
        rows = await connection.fetch(
            f"(SELECT source_url FROM {name} WHERE source_url < $1 "
            "ORDER BY source_url LIMIT 1) UNION ALL "
            f"(SELECT source_url FROM {name} WHERE source_url > $1 "
            "ORDER BY source_url DESC LIMIT 1)",
            escape_text(run.source).decode(),
        )
        for (other,) in rows:
            raise UsageError(
                f"the tables {names} in {place} were filled from {restore_text(other)!r}, and "
                f"this run reads {run.source!r}; a copy in an archive counts as a source of its "
                "own; write under another --sink-table-prefix or --sink-schema, or add --merge to "
                "keep both apart in these"
            )
