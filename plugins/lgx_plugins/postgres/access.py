"""Whether a user may do what a run does, and what is to be granted where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgx_plugins.postgres.names import Names
from lgx_plugins.tables import TABLES

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["refusal"]

_OTHERS = ("exports", "lease", "checkpoint_rows", "channel_values")
"""Tables that a run writes to, besides those of records."""


async def refusal(connection: Connection, names: Names, *, standing: bool) -> str | None:
    """Why the user may not write there; None where nothing is missing. Called in a transaction.

    Args:
        standing: whether lgx's tables are there, so that none has to be made.
    """
    use, create, create_schema, temporary, database, user = await connection.fetchrow(
        "SELECT (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace "
        "WHERE nspname = $1), (SELECT has_schema_privilege(oid, 'CREATE') "
        "FROM pg_catalog.pg_namespace WHERE nspname = $1), "
        "has_database_privilege(current_database(), 'CREATE'), "
        "has_database_privilege(current_database(), 'TEMPORARY'), "
        "quote_ident(current_database()), quote_ident(current_user)",
        names.schema,
    )
    schema = await connection.fetchval("SELECT quote_ident($1)", names.schema)
    if not temporary:
        return (
            "the user may not make temporary tables, through which threads are replaced; "
            f"GRANT TEMPORARY ON DATABASE {database} TO {user}"
        )
    if use is None:
        if create_schema:
            return None
        return (
            f"there is no schema {names.schema!r}, and the user may not create it; "
            f"GRANT CREATE ON DATABASE {database} TO {user}"
        )
    if not use:
        return (
            f"the user may not use the schema {names.schema!r}; "
            f"GRANT USAGE ON SCHEMA {schema} TO {user}"
        )
    if (table := await _closed(connection, names)) is not None:
        return (
            f"the user may not write to the table {table!r}; "
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES "
            f"IN SCHEMA {schema} TO {user}"
        )
    if standing and not await _may_count(connection, names):
        return (
            f"the user may not number new rows of {names.plain('threads')!r}; "
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {user}"
        )
    if not standing and not create:
        return (
            f"the user may not create tables in schema {names.schema!r}; "
            f"GRANT CREATE ON SCHEMA {schema} TO {user}"
        )
    return None


async def _closed(connection: Connection, names: Names) -> str | None:
    """A table of lgx's that is there, and that the user may not write to."""
    found: str | None = await connection.fetchval(
        "SELECT c.relname::text FROM pg_catalog.pg_class AS c "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p') "
        "AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') "
        "AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) "
        "ORDER BY c.relname DESC LIMIT 1",
        names.schema,
        [names.plain(name) for name in (*(table.name for table in TABLES), *_OTHERS)],
    )
    return found


async def _may_count(connection: Connection, names: Names) -> bool:
    """Whether the user may take numbers for new threads; where none are kept that shows later."""
    may = await connection.fetchval(
        "SELECT has_sequence_privilege(s.objid, 'USAGE') FROM pg_catalog.pg_depend AS s "
        "JOIN pg_catalog.pg_class AS c ON c.oid = s.refobjid AND s.objid <> c.oid "
        "JOIN pg_catalog.pg_class AS q ON q.oid = s.objid AND q.relkind = 'S' "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND c.relname = $2 AND s.deptype IN ('a', 'i')",
        names.schema,
        names.plain("threads"),
    )
    return may is not False
