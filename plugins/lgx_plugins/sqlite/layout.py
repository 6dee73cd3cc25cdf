"""Which of the columns a database has: lgx's own tables, or an older tool's, as far as they go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lgx import UsageError
from lgx_plugins.sqlite.names import Names, quoted
from lgx_plugins.tables import TABLES, THREADS, Table

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Layout", "find_layout"]


class Layout:
    """The tables under a prefix, and SQL for what differs between layouts."""

    def __init__(
        self, names: Names, columns: dict[str, frozenset[str]], *, text_ids: bool = True
    ) -> None:
        self.names = names
        self._columns = columns
        self.thread_id = "t.thread_id" if text_ids else "CAST(t.thread_id AS TEXT)"
        """A thread's id as text; the column may hold numbers where others made the table."""

    def has(self, table: str, column: str | None = None) -> bool:
        """Whether there is such a table, or such a column of it."""
        held = self._columns.get(table, frozenset())
        return column in held if column else bool(held)

    def cells(self, table: Table, alias: str) -> str:
        """The columns of a table for a SELECT, NULL for those that are not there."""
        return ", ".join(self._cell(table, column.name, alias) for column in table.columns)

    def _cell(self, table: Table, name: str, alias: str) -> str:
        if self.has(table.name, name):
            return f"{alias}.{quoted(name)}"
        if name == "checkpoint_ns":
            return (
                f"coalesce(CASE WHEN json_valid({alias}.checkpoint_data) THEN "
                f"json_extract({alias}.checkpoint_data, '$.checkpoint_ns') END, '')"
                if self.has(table.name, "checkpoint_data")
                else "''"
            )
        return "NULL"

    def column(self, name: str) -> str:
        """A column of the threads' table, NULL where it is not there."""
        return f"t.{quoted(name)}" if self.has("threads", name) else "NULL"

    @property
    def own(self) -> bool:
        """Whether lgx made the tables."""
        return self.has("threads", "revision") and self.has("checkpoints", "thread")

    def rows(self, table: Table, ids: Sequence[int]) -> str:
        """Selects the rows of threads: the rowid of the thread and the cells, in order; in lgx's
        own tables also those of derived columns, behind them."""
        wanted = ", ".join(map(str, ids))
        if table is THREADS:
            return (
                f"SELECT t.rowid, {self.cells(table, 't')} FROM {self.names('threads')} AS t "
                f"WHERE t.rowid IN ({wanted})"
            )
        if self.own:
            derived = "".join(f", p.{quoted(column.name)}" for column in table.derived)
            return (
                f"SELECT p.thread, {self.cells(table, 'p')}{derived} "
                f"FROM {self.names(table.name)} AS p "
                f"WHERE p.thread IN ({wanted}) ORDER BY p.thread, p.position"
            )
        order = [c for c in ("created_at", "checkpoint_id") if self.has(table.name, c)]
        return (
            f"SELECT t.rowid, {self.cells(table, 'p')} FROM {self.names('threads')} AS t "
            f"JOIN {self.names(table.name)} AS p ON p.thread_id = t.thread_id "
            f"WHERE t.rowid IN ({wanted}) ORDER BY t.rowid, "
            + "".join(f"p.{quoted(column)}, " for column in order)
            + "p.rowid"
        )


async def find_layout(connection: aiosqlite.Connection, path: Path, names: Names) -> Layout:
    """
    Raises:
        UsageError: there is no table of threads under that prefix.
    """
    columns: dict[str, frozenset[str]] = {}
    text_ids = True
    for table in TABLES:
        rows = await connection.execute_fetchall(
            "SELECT name, type FROM pragma_table_info(?)", (names.plain(table.name),)
        )
        types = {name.decode("utf-8", "replace"): kind for name, kind in rows}
        columns[table.name] = frozenset(types)
        if table is THREADS:
            text_ids = _holds_text(types.get("thread_id", b""))
    if "thread_id" not in columns["threads"]:
        raise UsageError(
            f"{str(path)!r} has no table {names.plain('threads')!r} of threads; "
            "choose another file or --source-table-prefix"
        )
    return Layout(names, columns, text_ids=text_ids)


def _holds_text(declared: bytes) -> bool:
    """Whether SQLite turns numbers into text in a column of that type."""
    words = declared.upper()
    return b"INT" not in words and any(word in words for word in (b"CHAR", b"CLOB", b"TEXT"))
