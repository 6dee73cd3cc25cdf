"""What every source and every sink promises, by lgx's own kits; and what LangGraph's kit asks."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.redis import AsyncRedisSaver
from msgspec import Raw, UnsetType

from lgx import (
    CheckpointWrite,
    Context,
    RawCheckpoint,
    Record,
    Sink,
    SourceBase,
    Thread,
    ThreadEnd,
    ThreadRef,
    raw,
    split_object,
)
from lgx.testing import SinkConformance, SourceConformance, make_context, make_run
from lgx_plugins.checkpointers.redis import RedisSaverSource
from lgx_plugins.checkpointers.rows.redisform import opened

_NAMES = ("a", "B", "🎈", "z/../z")


class _Inner(RedisSaverSource):
    """What is inside of the documents."""

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        async for item in super().read(refs, context):
            if isinstance(item, RawCheckpoint):
                assert not isinstance(item.document, UnsetType)
                inner = split_object(split_object(item.document)["checkpoint"])
                yield msgspec.structs.replace(item, document=raw({"state": inner["state"]}))
            elif isinstance(item, CheckpointWrite):
                kind, blob = opened(item)
                yield msgspec.structs.replace(item, type=kind, blob=blob)
            else:
                yield item


class TestRedisSaverSink(SinkConformance):
    exact_bytes: ClassVar[bool] = True
    merges_not: ClassVar[str] = (
        "a thread's id is in the keys of its documents; test_sink.py has the rest"
    )

    @pytest.fixture
    def sink_factory(self, store: Any, dressed: Any) -> Callable[[], Sink[Any]]:
        return lambda: dressed.RowSink(store.sink(), split=True)

    @pytest.fixture
    def read_back(self, store: Any, dressed: Any) -> Callable[[], Any]:
        return lambda: dressed.PlainSource(_Inner(store.source().config))

    @pytest.fixture
    def target_state(self, store: Any) -> Callable[[], object]:
        return lambda: sorted(store.dump())


class TestRedisSaverSource(SourceConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        """Threads of several namespaces, with writes; each with a record that stands for it."""
        return {name: _records(number, name) for number, name in enumerate(_NAMES)}

    @pytest.fixture
    def filled(self, store: Any, expected: Mapping[str, Sequence[Record]]) -> Any:
        for records in expected.values():
            for one in records:
                if isinstance(one, RawCheckpoint):
                    ns = one.checkpoint_ns or "__empty__"
                    key = f"checkpoint:{one.thread_id}:{ns}:{one.checkpoint_id}"
                    assert not isinstance(one.document, UnsetType)
                    store.client.execute_command("JSON.SET", key, "$", bytes(one.document))
                elif isinstance(one, CheckpointWrite):
                    key = f"checkpoint_write:{one.thread_id}:__empty__:0:task:{one.idx}"
                    store.client.execute_command("JSON.SET", key, "$", one.blob)
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
            """As answering an interrupt does: a write under an old checkpoint."""
            key = "checkpoint_write:B:__empty__:0:task:-4"
            filled.client.execute_command("JSON.SET", key, "$", _write("B", b"\x01"))
            return "B"

        return answer


@pytest.mark.filterwarnings("ignore:get_async_redis_connection:DeprecationWarning")
async def test_langgraphs_own_kit_passes_on_indexes_that_lgx_made(store: Any) -> None:
    """langgraph-checkpoint-conformance finds no more fault with an AsyncRedisSaver on what a
    run of lgx has prepared than on what its own `asetup()` has."""

    async def failures(prepared: bool) -> set[str]:
        store.client.flushall()
        if prepared:
            async with store.sink() as sink:
                await sink.begin(make_run(), make_context())

        @checkpointer_test(name="prepared by lgx")
        async def factory() -> AsyncIterator[AsyncRedisSaver]:
            async with AsyncRedisSaver.from_conn_string(store.url) as saver:
                await saver.asetup()
                yield saver

        report = await validate(factory)
        return {
            f"{capability}: {failure.partition(':')[0]}"
            for capability, result in report.results.items()
            for failure in result.failures or ()
        }

    own = await failures(prepared=False)
    came = await failures(prepared=True)
    assert came == own, came ^ own


def _records(number: int, name: str) -> list[Record]:
    time = f"2026-01-0{number + 1}T12:00:00.000000+00:00"
    metadata = {"source": "loop", "step": number, "user": "Zoë 🎈"}
    rows: list[Record] = [Thread(thread_id=name, updated_at=time, metadata=raw(metadata))]
    for ns in ("", "child:1"):
        for at in range(number + 1):
            latest = at == number and not ns
            held = metadata if latest else {"step": -1}
            document = {
                "thread_id": name,
                "run_id": "",
                "checkpoint_ns": ns or "__empty__",
                "checkpoint_id": str(at),
                "parent_checkpoint_id": str(at - 1) if at else "",
                "checkpoint_ts": 1.5,
                "checkpoint": {"v": 4, "ts": time if latest else "2025-01-01", "id": str(at)},
                "metadata": bytes(raw(held)).decode(),
            }
            rows.append(
                RawCheckpoint(
                    thread_id=name,
                    checkpoint_ns=ns,
                    checkpoint_id=str(at),
                    parent_checkpoint_id=str(at - 1) if at else None,
                    type="redis",
                    document=raw(document),
                    metadata=raw(held),
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
            type="redis",
            blob=_write(name, b"\x00\xff"),
        ),
    ]


def _write(name: str, value: bytes) -> bytes:
    document = {
        "thread_id": name,
        "checkpoint_ns": "__empty__",
        "checkpoint_id": "0",
        "task_id": "task",
        "task_path": "",
        "idx": -4,
        "channel": "__resume__",
        "type": "bytes",
        "blob": base64.b64encode(value).decode(),
    }
    return bytes(Raw(msgspec.json.encode(document)))
