"""Which of a checkpointer's tables a schema has, at whatever level of their history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from lgx import UsageError
from lgx_plugins.postgres.catalog import Relation, check_policies, check_rights, columns_of
from lgx_plugins.postgres.layout import text_literal
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = [
    "BLOBS",
    "CHECKPOINTS",
    "SAVER_TABLES",
    "WRITES",
    "Tables",
    "check_writable",
    "find_tables",
    "new_tables",
    "readable",
]

CHECKPOINTS, BLOBS, WRITES = SAVER_TABLES = (
    "checkpoints",
    "checkpoint_blobs",
    "checkpoint_writes",
)

_NEEDED = {
    CHECKPOINTS: ("thread_id", "checkpoint_ns", "checkpoint", "metadata"),
    BLOBS: ("thread_id", "checkpoint_ns", "channel", "type", "blob"),
    WRITES: (
        "thread_id",
        "checkpoint_ns",
        "checkpoint_id",
        "task_id",
        "idx",
        "channel",
        "type",
        "blob",
    ),
}
"""What every level has."""

_KNOWN = {
    CHECKPOINTS: {*_NEEDED[CHECKPOINTS], "checkpoint_id", "parent_checkpoint_id", "type"},
    BLOBS: {*_NEEDED[BLOBS], "version"},
    WRITES: {*_NEEDED[WRITES], "task_path"},
}

_TEXTS = frozenset({"text", "varchar", "bpchar"})
_OTHERS = {"checkpoint": "jsonb", "metadata": "jsonb", "blob": "bytea", "idx": "int4"}
"""Types of columns, as `setup()` makes them, that are not text."""


class Tables(Struct, frozen=True):
    """
    Attributes:
        types: of the columns, by table.
        sorts: of the tables, as of `Relation`.
    """

    names: Names
    types: Mapping[str, Mapping[str, str]]
    sorts: Mapping[str, str]

    def has(self, table: str, column: str) -> bool:
        return column in self.types[table]

    @property
    def shallow(self) -> bool:
        """Whether they are those of ShallowPostgresSaver, which keeps of each thread and
        namespace the last checkpoint alone."""
        return not self.has(CHECKPOINTS, "checkpoint_id")

    def keeps_rows(self, table: str) -> bool:
        """Whether rows tell which transaction wrote them."""
        return self.sorts[table] in "rpm"

    def text(self, table: str, column: str, alias: str) -> str:
        """SQL for a column as text."""
        sql = f'{alias}."{column}"'
        return sql if self.types[table][column] == "text" else f"{sql}::text"

    def is_thread(self, table: str, alias: str, thread_ids: list[str]) -> str:
        """SQL for the condition that a row is of one of these threads, such that an index is
        of use."""
        kind = self.types[table]["thread_id"]
        cast = "" if kind in _TEXTS else f"::{kind}"
        wanted = ", ".join(f"{text_literal(one)}{cast}" for one in thread_ids)
        return f"{alias}.thread_id IN ({wanted})"

    def unknown(self) -> tuple[str, ...]:
        """Columns that no checkpointer of LangGraph's has, by name and table."""
        return tuple(
            f"{column!r} of {table!r}"
            for table in SAVER_TABLES
            for column in self.types[table]
            if column not in _KNOWN[table]
        )


def new_tables(names: Names) -> Tables:
    """Those that a run would make."""
    types = {
        table: {column: _OTHERS.get(column, "text") for column in columns}
        for table, columns in _KNOWN.items()
    }
    return Tables(names, types, dict.fromkeys(types, "r"))


async def find_tables(connection: Connection, place: str, names: Names) -> Tables | None:
    """The tables of a schema; None where there are none. Called in a transaction.

    Raises:
        UsageError: something else has their names, or some of them are missing.
    """
    types, sorts = await columns_of(connection, names.schema, [*map(names.plain, SAVER_TABLES)])
    if not types:
        return None
    for table, columns in _NEEDED.items():
        if table not in types:
            held = ", ".join(map(repr, types))
            raise UsageError(
                f"{place} has in schema {names.schema!r} the table {held} and no {table!r}; run "
                "the checkpointer's setup() there, or choose another schema"
            )
        for column in columns:
            if column not in types[table]:
                raise UsageError(
                    f"{place} has in schema {names.schema!r} a table {table!r} that is no "
                    f"checkpointer's: it lacks {column!r}; choose another schema"
                )
    return Tables(names, types, sorts)


_WRITABLE = {
    "checkpoint": {"jsonb", "json"},
    "metadata": {"jsonb", "json"},
    "blob": {"bytea"},
    "idx": {"int4", "int8"},
}
"""Types of columns, where they are not text."""


def check_writable(tables: Tables, place: str) -> None:
    """
    Raises:
        UsageError: threads cannot be written there as they are.
    """
    schema = tables.names.schema
    if tables.shallow or not tables.has(BLOBS, "version"):
        raise UsageError(
            f"the tables in schema {schema!r} of {place} are those of ShallowPostgresSaver, which "
            "keep the last checkpoint of a thread alone; choose another --sink-schema"
        )
    for table, known in _KNOWN.items():
        for column in known:
            kind = tables.types[table].get(column)
            if kind is not None and kind not in _WRITABLE.get(column, _TEXTS):
                raise UsageError(
                    f"column {column!r} of {table!r} in schema {schema!r} of {place} is of type "
                    f"{kind}, as in no tables of PostgresSaver; choose another --sink-schema"
                )


async def readable(connection: Connection, place: str, names: Names) -> tuple[Relation, ...]:
    """Those of the tables that are there.

    Raises:
        UsageError: the user may not read one, or some of their rows would not show.
    """
    wanted = [*map(names.plain, SAVER_TABLES)]
    await check_rights(connection, place, names.schema, wanted)
    _, sorts = await columns_of(connection, names.schema, wanted)
    await check_policies(connection, place, names.schema, [*sorts])
    return tuple(Relation(names(table), sort) for table, sort in sorts.items())
