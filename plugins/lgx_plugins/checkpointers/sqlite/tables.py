"""Which columns a file has: programs of many years wrote them, in two languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lgx import UsageError
from lgx_plugins.sqlite.names import quoted

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["CHECKPOINTS", "WRITES", "Tables", "find_tables"]

CHECKPOINTS = "checkpoints"
WRITES = "writes"

_COLUMNS = {
    CHECKPOINTS: (
        "checkpoint_ns",
        "checkpoint_id",
        "parent_checkpoint_id",
        "type",
        "checkpoint",
        "metadata",
    ),
    WRITES: (
        "checkpoint_ns",
        "checkpoint_id",
        "task_id",
        "idx",
        "channel",
        "type",
        "value",
        "task_path",
    ),
}
"""Beside the thread's id, in the order in which they are selected."""

_NEEDED = {
    CHECKPOINTS: ("thread_id", "checkpoint_id", "checkpoint"),
    WRITES: ("thread_id", "checkpoint_id", "task_id", "idx", "channel", "value"),
}


class Tables(Struct, frozen=True):
    """The columns of both tables; none where there is no such table."""

    columns: dict[str, frozenset[str]]

    def has(self, table: str, column: str | None = None) -> bool:
        """Whether there is such a table, or such a column of it."""
        held = self.columns[table]
        return column in held if column else bool(held)

    @property
    def others(self) -> dict[str, list[str]]:
        """Columns that LangGraph does not know, by table: somebody has added them."""
        known = {table: {"thread_id", *columns} for table, columns in _COLUMNS.items()}
        found = {table: sorted(held - known[table]) for table, held in self.columns.items()}
        return {table: columns for table, columns in found.items() if columns}

    def cells(self, table: str) -> list[str]:
        """SQL for the columns of a table; those that it has not are NULL, as the rows of all
        programs have them, a namespace is empty."""
        return [self._cell(table, column) for column in _COLUMNS[table]]

    def _cell(self, table: str, column: str) -> str:
        if self.has(table, column):
            return quoted(column)
        return "''" if column == "checkpoint_ns" else "NULL"

    def missing(self) -> Sequence[str]:
        """What a table would need that lgx could write to it, `TABLE.COLUMN`."""
        return [
            f"{table}.{column}"
            for table, columns in _COLUMNS.items()
            for column in ("thread_id", *columns)
            if column != "task_path" and not self.has(table, column)
        ]


async def find_tables(connection: aiosqlite.Connection, path: Path) -> Tables:
    """
    Raises:
        UsageError: there is no table of checkpoints, or one that no known SqliteSaver made.
    """
    tables = Tables({table: await _columns(connection, table) for table in _COLUMNS})
    if not tables.has(CHECKPOINTS):
        raise UsageError(
            f"{str(path)!r} has no table {CHECKPOINTS!r}, so no SqliteSaver has written to it; "
            "name another file"
        )
    for table, columns in _NEEDED.items():
        lacking = [column for column in columns if not tables.has(table, column)]
        if lacking and tables.has(table):
            raise UsageError(
                f"the table {table!r} in {str(path)!r} has no column {lacking[0]!r}: it is not of "
                "a SqliteSaver that lgx knows; open the file once with a newer "
                "langgraph-checkpoint-sqlite, which brings it up to date, or name another"
            )
    return tables


async def _columns(connection: aiosqlite.Connection, table: str) -> frozenset[str]:
    rows = await connection.execute_fetchall("SELECT name FROM pragma_table_info(?)", (table,))
    return frozenset(name.decode("utf-8", "replace").lower() for (name,) in rows)
