"""What every source promises, by lgx's own kit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from msgspec import Raw

from lgx import CheckpointWrite, RawCheckpoint, Record, SourceBase, Thread, raw
from lgx.testing import SourceConformance

_NAMES = ("a", "B", "🎈", "z/../z")


class TestSaverSource(SourceConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        """Threads of several namespaces, with writes; each with a record that stands for it."""
        return {name: _records(number, name) for number, name in enumerate(_NAMES)}

    @pytest.fixture
    def saver(self, expected: Mapping[str, Sequence[Record]]) -> InMemorySaver:
        saver = InMemorySaver()
        serde: Any = JsonPlusSerializer()
        for records in expected.values():
            for one in records:
                if isinstance(one, RawCheckpoint):
                    given = {"thread_id": one.thread_id, "checkpoint_ns": one.checkpoint_ns}
                    if one.parent_checkpoint_id:
                        given["checkpoint_id"] = one.parent_checkpoint_id
                    checkpoint = serde.loads_typed((one.type, one.blob))
                    saver.put({"configurable": given}, checkpoint, _metadata(one), {})
                elif isinstance(one, CheckpointWrite):
                    given = {
                        "thread_id": one.thread_id,
                        "checkpoint_ns": one.checkpoint_ns,
                        "checkpoint_id": one.checkpoint_id,
                    }
                    value = serde.loads_typed((one.type, one.blob))
                    saver.put_writes({"configurable": given}, [(one.channel, value)], one.task_id)
        return saver

    @pytest.fixture
    def source_factory(
        self,
        saver: InMemorySaver,
        savers: Any,
        dressed: Any,
        expected: Mapping[str, Sequence[Record]],
    ) -> Callable[[], SourceBase[Any]]:
        heads = {name: records[0] for name, records in expected.items()}
        return lambda: dressed.HeadedSource(savers.source(saver), heads)

    @pytest.fixture
    def change(self, saver: InMemorySaver) -> Callable[[], str]:
        def answer() -> str:
            """As answering an interrupt does: a write under an old checkpoint."""
            given = {"thread_id": "B", "checkpoint_ns": "", "checkpoint_id": "0"}
            saver.put_writes({"configurable": given}, [("__resume__", b"\x01")], "task")
            return "B"

        return answer


def _metadata(record: RawCheckpoint) -> Any:
    return json.loads(bytes(record.metadata))  # type: ignore[arg-type]


def _json(value: object) -> bytes:
    """As checkpointers spell it."""
    return json.dumps(value, ensure_ascii=False).encode()


def _records(number: int, name: str) -> list[Record]:
    time = f"2026-01-0{number + 1}T12:00:00.000000+00:00"
    metadata = {"source": "loop", "step": number, "user": "Zoë 🎈"}
    rows: list[Record] = [Thread(thread_id=name, updated_at=time, metadata=raw(metadata))]
    for ns in ("", "child:1"):
        for at in range(number + 1):
            latest = at == number and not ns
            checkpoint = {
                "v": 4,
                "ts": time if latest else "2025-01-01",
                "id": str(at),
                "channel_versions": {},
                "channel_values": {},
            }
            type_, blob = JsonPlusSerializer().dumps_typed(checkpoint)
            rows.append(
                RawCheckpoint(
                    thread_id=name,
                    checkpoint_ns=ns,
                    checkpoint_id=str(at),
                    parent_checkpoint_id=str(at - 1) if at else None,
                    type=type_,
                    blob=blob,
                    metadata=Raw(_json(metadata if latest else {"step": -1})),
                )
            )
    return [
        *rows,
        CheckpointWrite(
            thread_id=name,
            checkpoint_ns="",
            checkpoint_id="0",
            task_id="task",
            idx=-4,
            channel="__resume__",
            type="bytes",
            blob=b"\x00\xff",
        ),
    ]
