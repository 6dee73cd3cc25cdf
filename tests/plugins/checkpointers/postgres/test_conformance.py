"""What every source and every sink promises, by lgx's own kits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest
from msgspec import Raw

from lgx import ChannelBlob, CheckpointWrite, RawCheckpoint, Record, Sink, SourceBase, Thread, raw
from lgx.testing import SinkConformance, SourceConformance

_NAMES = ("a", "B", "🎈", "z/../z")


@pytest.fixture
def store(new_store: Callable[[], Any]) -> Any:
    return new_store()


class TestPostgresSaverSink(SinkConformance):
    exact_bytes: ClassVar[bool] = True
    merges_not: ClassVar[str] = (
        "a thread's id is the key of a checkpointer's tables; test_sink.py has the rest"
    )
    may_refuse: ClassVar[Mapping[str, str]] = {"id-nul": "no text of PostgreSQL holds it"}

    @pytest.fixture
    def sink_factory(self, store: Any, dressed: Any) -> Callable[[], Sink[Any]]:
        return lambda: dressed.RowSink(store.sink(), split=True)

    @pytest.fixture
    def read_back(self, store: Any, dressed: Any) -> Callable[[], Any]:
        return lambda: dressed.PlainSource(store.source())

    @pytest.fixture
    def target_state(self, store: Any) -> Callable[[], object]:
        return lambda: store.sql(
            "SELECT c.oid, c.relname::text, pg_relation_size(c.oid) FROM pg_class AS c "
            "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'public' "
            "ORDER BY 1"
        )


class TestPostgresSaverSource(SourceConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        """Threads of several namespaces, with writes; each with a record that stands for it."""
        return {name: _records(number, name) for number, name in enumerate(_NAMES)}

    @pytest.fixture
    def filled(self, store: Any, expected: Mapping[str, Sequence[Record]]) -> Any:
        with store.saver():
            pass
        for records in expected.values():
            for one in records:
                _insert(store, one)
        return store

    @pytest.fixture
    def source_factory(
        self, filled: Any, dressed: Any, expected: Mapping[str, Sequence[Record]]
    ) -> Callable[[], SourceBase[Any]]:
        heads = {name: records[0] for name, records in expected.items()}
        return lambda: dressed.HeadedSource(filled.source(), heads)

    @pytest.fixture
    def change(self, filled: Any) -> Callable[[], str]:
        def answer() -> str:
            """As answering an interrupt does: a write under an old checkpoint is overwritten."""
            filled.sql("UPDATE checkpoint_writes SET blob = 'y' WHERE thread_id = 'B'")
            return "B"

        return answer


def _insert(store: Any, record: Record) -> None:
    if isinstance(record, RawCheckpoint):
        store.sql(
            "INSERT INTO checkpoints VALUES ($1, $2, $3, $4, NULL, $5, $6)",
            *(record.thread_id, record.checkpoint_ns, record.checkpoint_id),
            record.parent_checkpoint_id,
            *(bytes(one).decode() for one in (record.document, record.metadata)),  # type: ignore[arg-type]
        )
    elif isinstance(record, ChannelBlob):
        store.sql(
            "INSERT INTO checkpoint_blobs VALUES ($1, $2, $3, $4, $5, $6)",
            *(record.thread_id, record.checkpoint_ns, record.channel),
            *(record.version, record.type, record.blob),
        )
    elif isinstance(record, CheckpointWrite):
        store.sql(
            "INSERT INTO checkpoint_writes VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            *(record.thread_id, record.checkpoint_ns, record.checkpoint_id, record.task_id),
            *(record.idx, record.channel, record.type, record.blob, record.task_path),
        )


def _records(number: int, name: str) -> list[Record]:
    time = f"2026-01-0{number + 1}T12:00:00.000000+00:00"
    metadata = {"user": "Zoë 🎈", "source": "loop"}
    rows: list[Record] = [Thread(thread_id=name, updated_at=time, metadata=raw(metadata))]
    for at in range(number + 1):
        for ns in ("", "child:1"):
            latest = at == number and not ns
            document = {"v": 4, "id": str(at), "ts": time if latest else "2025-01-01"}
            rows.append(
                RawCheckpoint(
                    thread_id=name,
                    checkpoint_ns=ns,
                    checkpoint_id=str(at),
                    parent_checkpoint_id=str(at - 1) if at else None,
                    document=_as_jsonb(document),
                    metadata=_as_jsonb(metadata if latest else {"step": -1}),
                )
            )
    return [
        *rows,
        ChannelBlob(
            thread_id=name,
            checkpoint_ns="",
            channel="messages",
            version="1",
            type="msgpack",
            blob=b"\x91\x01",
        ),
        CheckpointWrite(
            thread_id=name,
            checkpoint_ns="",
            checkpoint_id="0",
            task_id="task",
            task_path="~x",
            idx=-4,
            channel="__resume__",
            type="bytes",
            blob=b"\x00\xff",
        ),
    ]


def _as_jsonb(value: dict[str, Any]) -> Raw:
    """Text as JSONB spells it: shorter keys first."""
    ordered = {key: value[key] for key in sorted(value, key=lambda key: (len(key), key))}
    return Raw(json.dumps(ordered, ensure_ascii=False).encode())
