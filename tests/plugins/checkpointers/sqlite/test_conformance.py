"""What every source and every sink promises, by lgx's own kits."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from lgx import CheckpointWrite, RawCheckpoint, Record, Sink, SourceBase, Thread, raw
from lgx.testing import SinkConformance, SourceConformance
from lgx_plugins.checkpointers.sqlite import SqliteSaverSink, SqliteSaverSource
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig, SqliteSaverSinkConfig
from lgx_plugins.checkpointers.sqlite.schema import SAVER_TABLES

_NAMES = ("a", "B", "🎈", "z/../z")


class TestSqliteSaverSink(SinkConformance):
    exact_bytes: ClassVar[bool] = True
    merges_not: ClassVar[str] = (
        "a thread's id is the key of a checkpointer's tables; test_conflicts.py has the rest"
    )

    @pytest.fixture
    def sink_factory(self, tmp_path: Path, dressed: Any) -> Callable[[], Sink[Any]]:
        config = SqliteSaverSinkConfig(path=tmp_path / "x.db", busy_seconds=0)
        return lambda: dressed.RowSink(SqliteSaverSink(config))

    @pytest.fixture
    def read_back(self, tmp_path: Path, dressed: Any) -> Callable[[], Any]:
        config = SqliteSaverConfig(path=tmp_path / "x.db")
        return lambda: dressed.PlainSource(SqliteSaverSource(config))

    @pytest.fixture
    def target_state(self, tmp_path: Path) -> Callable[[], object]:
        return lambda: {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()
        }


class TestSqliteSaverSource(SourceConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        """Threads of several namespaces, with writes; each with a record that stands for it."""
        return {name: _records(number, name) for number, name in enumerate(_NAMES)}

    @pytest.fixture
    def path(self, tmp_path: Path, expected: Mapping[str, Sequence[Record]]) -> Path:
        path = tmp_path / "x.db"
        with closing(sqlite3.connect(path)) as connection:
            for statement in SAVER_TABLES:
                connection.execute(statement)
            for records in expected.values():
                for one in records:
                    if isinstance(one, RawCheckpoint):
                        connection.execute(
                            "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)",
                            (
                                one.thread_id,
                                one.checkpoint_ns,
                                one.checkpoint_id,
                                one.parent_checkpoint_id,
                                one.type,
                                one.blob,
                                bytes(one.metadata),  # type: ignore[arg-type]
                            ),
                        )
                    elif isinstance(one, CheckpointWrite):
                        connection.execute(
                            "INSERT INTO writes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                            (
                                one.thread_id,
                                one.checkpoint_ns,
                                one.checkpoint_id,
                                one.task_id,
                                one.task_path,
                                one.idx,
                                one.channel,
                                one.type,
                                one.blob,
                            ),
                        )
            connection.commit()
        return path

    @pytest.fixture
    def source_factory(
        self, path: Path, dressed: Any, expected: Mapping[str, Sequence[Record]]
    ) -> Callable[[], SourceBase[Any]]:
        heads = {name: records[0] for name, records in expected.items()}
        config = SqliteSaverConfig(path=path)
        return lambda: dressed.HeadedSource(SqliteSaverSource(config), heads)

    @pytest.fixture
    def change(self, path: Path) -> Callable[[], str]:
        def answer() -> str:
            """As answering an interrupt does: a write under an old checkpoint."""
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO writes VALUES ('B', '', '0', 'task', '', -4, "
                    "'__resume__', 'msgpack', x'01')"
                )
                connection.commit()
            return "B"

        return answer


def _records(number: int, name: str) -> list[Record]:
    time = f"2026-01-0{number + 1}T12:00:00.000000+00:00"
    metadata = {"source": "loop", "step": number, "user": "Zoë 🎈"}
    rows: list[Record] = [Thread(thread_id=name, updated_at=time, metadata=raw(metadata))]
    for ns in ("", "child:1"):
        for at in range(number + 1):
            type_, blob = JsonPlusSerializer().dumps_typed(
                {"v": 4, "ts": time if at == number and not ns else "2025-01-01", "id": str(at)}
            )
            rows.append(
                RawCheckpoint(
                    thread_id=name,
                    checkpoint_ns=ns,
                    checkpoint_id=str(at),
                    parent_checkpoint_id=str(at - 1) if at else None,
                    type=type_,
                    blob=blob,
                    metadata=raw(metadata if at == number and not ns else {"step": -1}),
                )
            )
    return [
        *rows,
        CheckpointWrite(
            thread_id=name,
            checkpoint_ns="",
            checkpoint_id="0",
            task_id="task",
            task_path="",
            idx=-4,
            channel="__resume__",
            type="bytes",
            blob=b"\x00\xff",
        ),
    ]
