"""Which of lgx's tables a database has, and of what columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from lgx import UsageError
from lgx_plugins.postgres.layout import Layout, index_key
from lgx_plugins.postgres.names import Names
from lgx_plugins.tables import TABLES

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = [
    "Relation",
    "check_policies",
    "check_rights",
    "columns_of",
    "find_layout",
    "found_tables",
]


class Relation(Struct, frozen=True):
    """What stands under the name of one of lgx's tables.

    Attributes:
        sql: its name.
        sort: `r` is a table, `p` one of several parts, `v` a view, `m` one that is kept,
            `f` a foreign table.
    """

    sql: str
    sort: str

    @property
    def lockable(self) -> bool:
        return self.sort in "rpv"

    @property
    def foreign(self) -> bool:
        return self.sort == "f"


_CATALOG = """
SELECT c.relname::text,
    CASE WHEN c.relkind = 'r' AND c.relhassubclass THEN 'p' ELSE c.relkind::text END,
    a.attname::text, coalesce(b.typname, y.typname)::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type AS b ON b.oid = y.typbasetype AND y.typtype = 'd'
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

_INDEXED = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND i.indisvalid AND i.indpred IS NULL
    AND pg_catalog.pg_get_indexdef(i.indexrelid, 1, true) = $3)
"""


_HIDDEN = """
SELECT c.relname::text FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND row_security_active(c.oid)
"""


_CLOSED = """
SELECT has_schema_privilege(n.oid, 'USAGE'), quote_ident(n.nspname), quote_ident(current_user),
    (SELECT c.relname::text FROM pg_catalog.pg_class AS c WHERE c.relnamespace = n.oid
    AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT has_table_privilege(c.oid, 'SELECT') ORDER BY c.relname LIMIT 1)
FROM pg_catalog.pg_namespace AS n WHERE n.nspname = $1
"""

_BESIDE = ("info", "migrations", "channel_values")
"""Tables that are read besides those of records."""


async def found_tables(connection: Connection, place: str, names: Names) -> tuple[Relation, ...]:
    """Those of lgx's tables that are there.

    Raises:
        UsageError: the user may not read one, or some of their rows would not show.
    """
    wanted = [names.plain(name) for name in (*(table.name for table in TABLES), *_BESIDE)]
    await check_rights(connection, place, names.schema, wanted)
    _, relations = await _catalog(connection, names)
    await check_policies(connection, place, names.schema, [*map(names.plain, relations)])
    return tuple(Relation(names(table), sort) for table, sort in relations.items())


async def check_policies(
    connection: Connection, place: str, schema: str, tables: Sequence[str]
) -> None:
    """
    Raises:
        UsageError: some rows of these would not show.
    """
    hidden = await connection.fetchval(_HIDDEN, schema, tables)
    if hidden is not None:
        raise UsageError(
            f"{place} may hide rows of {hidden!r} from this user, by policies for rows; name a "
            "user whom they do not bind (the table's owner, or one with BYPASSRLS), or read a "
            "view that holds what you want"
        )


async def check_rights(
    connection: Connection, place: str, schema: str, tables: Sequence[str]
) -> None:
    """
    Raises:
        UsageError: the user may not read one of these that is there.
    """
    row = await connection.fetchrow(_CLOSED, schema, tables)
    if row is None:
        return
    may_use, quoted_schema, user, closed = row
    if not may_use:
        why, grant = f"use the schema {schema!r}", "USAGE ON SCHEMA"
    elif closed is not None:
        why, grant = f"read the table {closed!r}", "SELECT ON ALL TABLES IN SCHEMA"
    else:
        return
    raise UsageError(
        f"{place} cannot be read: the user may not {why}; GRANT {grant} {quoted_schema} TO {user}"
    )


async def find_layout(connection: Connection, place: str, names: Names) -> Layout:
    """
    Raises:
        UsageError: there is no table of threads under that prefix.
    """
    types, relations = await _catalog(connection, names)
    if "thread_id" not in types.get("threads", {}):
        raise UsageError(
            f"{place} has no table {names.plain('threads')!r} of threads in schema "
            f"{names.schema!r}; choose another --source-dsn, --source-schema or "
            "--source-table-prefix"
        )
    if "checkpoints" in types and "thread_id" not in types["checkpoints"]:
        raise UsageError(
            f"{place} has a table {names.plain('checkpoints')!r} in schema {names.schema!r} that "
            "does not say whose its rows are: it lacks thread_id; choose another "
            "--source-table-prefix"
        )
    indexed = await connection.fetchval(
        _INDEXED,
        names.schema,
        names.plain("checkpoints"),
        index_key(types.get("checkpoints", {}).get("thread_id")),
    )
    encoding = await connection.fetchval("SHOW server_encoding")
    any_text = encoding in ("UTF8", "SQL_ASCII")  # the latter takes bytes for what they are
    return Layout(names, types, relations, indexed=indexed, any_text=any_text)


async def _catalog(
    connection: Connection, names: Names
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    wanted = {names.plain(name): name for name in (*(t.name for t in TABLES), "info")}
    types, sorts = await columns_of(connection, names.schema, list(wanted))
    return (
        {wanted[relation]: columns for relation, columns in types.items()},
        {wanted[relation]: sort for relation, sort in sorts.items()},
    )


async def columns_of(
    connection: Connection, schema: str, relations: Sequence[str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Of those that are there the types of their columns, and their sorts as of `Relation`."""
    types: dict[str, dict[str, str]] = {}
    sorts: dict[str, str] = {}
    for relation, sort, column, kind in await connection.fetch(_CATALOG, schema, relations):
        types.setdefault(relation, {})[column] = kind
        sorts[relation] = sort
    return types, sorts
