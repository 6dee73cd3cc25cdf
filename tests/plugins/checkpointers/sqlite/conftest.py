"""Files of SqliteSaver, and what stands in their rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lgx import Query, Record, RunInfo, ThreadEnd, ThreadRef, WriteOutcome
from lgx.testing import make_context
from lgx_plugins.checkpointers.sqlite import SqliteSaverSink, SqliteSaverSource
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig, SqliteSaverSinkConfig

Rows = dict[str, list[tuple[Any, ...]]]

_BEFORE_PATHS = """
CREATE TABLE checkpoints (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
    parent_checkpoint_id TEXT, type TEXT, checkpoint BLOB, metadata BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE TABLE writes (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL, idx INTEGER NOT NULL, channel TEXT NOT NULL, type TEXT, value BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
"""


class Files:
    """Reads and writes files by lgx, and looks at their rows without it."""

    older_tables = _BEFORE_PATHS
    """SQL of the tables before langgraph-checkpoint-sqlite 3.1.2, and of the JavaScript package."""

    def __init__(self, folder: Path, move: Callable[..., Any]) -> None:
        self.folder = folder
        self._move = move
        self.target = folder / "copy.db"

    def source(self, path: Path) -> SqliteSaverSource:
        return SqliteSaverSource(SqliteSaverConfig(path=path, busy_seconds=0))

    def sink(self, path: Path | None = None, **options: Any) -> SqliteSaverSink:
        config: dict[str, Any] = {"path": path or self.target, "busy_seconds": 0, **options}
        return SqliteSaverSink(SqliteSaverSinkConfig(**config))

    async def copy(
        self, path: Path, target: Path | None = None, run: RunInfo | None = None, **options: Any
    ) -> list[WriteOutcome]:
        """One run from file to file."""
        outcomes: list[WriteOutcome] = await self._move(
            self.source(path), self.sink(target, **options), run=run
        )
        return outcomes

    async def refs(self, path: Path, query: Query | None = None) -> list[Any]:
        async with self.source(path) as source:
            return [item async for item in source.list(query or Query(), make_context())]

    async def records(self, path: Path, thread_id: str) -> tuple[list[Record], ThreadEnd]:
        """Everything of one thread, and its end."""
        records: list[Record] = []
        context = make_context()
        async with self.source(path) as source:
            refs = [
                ref
                async for ref in source.list(Query(thread_ids=(thread_id,)), context)
                if isinstance(ref, ThreadRef)
            ] or [ThreadRef(thread_id=thread_id, version="")]
            async for item in source.read(refs, context):
                if isinstance(item, ThreadEnd):
                    assert context.budget.used == 0
                    return records, item
                records.append(item)
        raise AssertionError("the thread did not end")

    def rows(self, path: Path) -> Rows:
        """Every row of both tables, with the storage class of each cell, in the order of keys."""
        found: Rows = {}
        for table, key in (
            ("checkpoints", "1, 2, 3"),
            ("writes", "1, 2, 3, 4, 5, 6"),
        ):
            columns = [name for _, name, *_ in self.query(path, f"PRAGMA table_info({table})")]
            columns.sort(key="task_path".__eq__)  # where a newer saver adds it
            cells = ", ".join(f"{name}, typeof({name})" for name in columns)
            found[table] = self.query(path, f"SELECT {cells} FROM {table} ORDER BY {key}")
        return found

    def query(self, path: Path, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """What another program sees; changes are committed."""
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(sql, parameters).fetchall()
            connection.commit()
            return rows

    def state(self) -> dict[str, tuple[int, bytes]]:
        """The mode and the bytes of each file of the folder."""
        return {
            path.name: (path.stat().st_mode, path.read_bytes())
            for path in self.folder.iterdir()
            if path.is_file()
        }

    def script(self, path: Path, sql: str) -> Path:
        """Makes or changes a file by statements."""
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(sql)
        return path


@pytest.fixture
def files(tmp_path: Path, move: Callable[..., Any]) -> Files:
    return Files(tmp_path, move)


@pytest.fixture
def thread_rows() -> Callable[..., str]:
    """SQL of one thread with some checkpoints, each with a write."""

    def build(thread_id: str = "t", count: int = 2) -> str:
        name = thread_id.replace("'", "''")
        checkpoints, writes = [], []
        for n in range(count):
            parent = f"'c{n - 1}'" if n else "NULL"
            metadata = f"CAST('{{\"step\": {n}}}' AS BLOB)"
            checkpoints.append(f"('{name}', '', 'c{n}', {parent}, 'msgpack', x'8{n}', {metadata})")
            writes.append(f"('{name}', '', 'c{n}', 'task', 0, 'in', 'null', x'')")
        return (
            f"INSERT INTO checkpoints VALUES {', '.join(checkpoints)};"
            "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, "
            f"type, value) VALUES {', '.join(writes)};"
        )

    return build
