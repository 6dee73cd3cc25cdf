"""What every source and every sink promises, by lgx's own kits."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lgx import EXTRA_KINDS, Query, Record, Sink, SourceBase, ThreadEnd, ThreadRef
from lgx.testing import (
    SinkConformance,
    SourceConformance,
    make_context,
    sample_extras,
    sample_threads,
)
from lgx.testing.conformance.filling import fill
from lgx_plugins.sqlite import SqliteSink, SqliteSource
from lgx_plugins.sqlite.config import SqliteConfig, SqliteSourceConfig


def _origins(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT DISTINCT source_url FROM langgraph_threads").fetchall()
    return [origin for (origin,) in rows]


class TestSqliteSink(SinkConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def sink_factory(self, tmp_path: Path) -> Callable[[], Sink[Any]]:
        return lambda: SqliteSink(SqliteConfig(path=tmp_path / "threads.db"))

    @pytest.fixture
    def read_back(self, tmp_path: Path) -> Callable[[], Any]:
        path = tmp_path / "threads.db"

        async def merged() -> list[Record]:
            records: list[Record] = []
            context = make_context()
            for origin in _origins(path):
                async with SqliteSource(SqliteSourceConfig(path=path, origin=origin)) as source:
                    refs = [
                        ref
                        async for ref in source.list(Query(), context)
                        if isinstance(ref, ThreadRef)
                    ]
                    records += [
                        item
                        async for item in source.read(refs, context)
                        if not isinstance(item, ThreadEnd)
                    ]
            return records

        def read() -> SourceBase[Any] | Awaitable[list[Record]]:
            if path.exists() and len(_origins(path)) > 1:
                return merged()
            return SqliteSource(SqliteSourceConfig(path=path))

        return read

    @pytest.fixture
    def target_state(self, tmp_path: Path) -> Callable[[], object]:
        return lambda: {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()
        }


class TestSqliteSource(SourceConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def path(
        self,
        tmp_path: Path,
        expected: Mapping[str, Sequence[Record]],
        expected_extras: Mapping[str, Sequence[Record]],
    ) -> Path:
        path = tmp_path / "threads.db"
        sink = SqliteSink(SqliteConfig(path=path))
        asyncio.run(fill(sink, [*expected.values()], expected_extras))
        return path

    @pytest.fixture
    def source_factory(self, path: Path) -> Callable[[], SourceBase[Any]]:
        return lambda: SqliteSource(SqliteSourceConfig(path=path))

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        return {getattr(records[0], "thread_id"): records for records in sample_threads().values()}  # noqa: B009

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]]:
        return {kind: sample_extras(kind) for kind in EXTRA_KINDS}

    @pytest.fixture
    def change(self, path: Path) -> Callable[[], str]:
        def edit() -> str:
            with closing(sqlite3.connect(path)) as connection:
                ((thread_id,),) = connection.execute(
                    "SELECT thread_id FROM langgraph_checkpoints ORDER BY id LIMIT 1"
                ).fetchall()
                connection.execute(
                    "UPDATE langgraph_checkpoints SET metadata = '{\"edited\":true}' "
                    "WHERE id = (SELECT min(id) FROM langgraph_checkpoints)"
                )
                connection.commit()
            return str(thread_id)

        return edit
