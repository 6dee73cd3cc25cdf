"""Records that no Redis gave, and marks that no lgx wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from msgspec import Raw

from lgx import CheckpointWrite, FatalError, RawCheckpoint, Thread, run_async, use
from lgx.testing import make_bundle, make_context, make_run


async def _written(store: Any, records: list[Any], thread_id: str = "t") -> Any:
    context = make_context()
    async with store.sink() as sink:
        await sink.begin(make_run(), context)
        bundle = make_bundle(context, [Thread(thread_id=thread_id), *records])
        (outcome,) = await sink.write([bundle], context)
        bundle.close()
    return outcome


@pytest.fixture
async def records(store: Any, zoo: Any) -> list[Any]:
    """The documents of a thread `t`."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    (found,) = (await store.read()).values()
    return [one for one in found if not isinstance(one, Thread)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"thread_id": "u"}, "of thread 'u' came with thread 't'"),
        ({"extra": {"mood": Raw(b"1")}}, "the fields 'mood'"),
        ({"extra": {"expires_at": Raw(b"1" * 30)}}, "'expires_at'"),
        ({"extra": {"score": Raw(b"1" * 400)}}, "'score'"),
        ({"extra": {"score": Raw(b'"x"')}}, "'score'"),
    ],
)
async def test_a_document_that_is_none_of_the_thread_s_fails_it(
    other: Any, records: list[Any], changes: dict[str, Any], words: str
) -> None:
    """Of another thread, with fields that Redis has no place for, or with numbers that it does
    not take: nothing of the thread is written, and the run goes on."""
    write = next(one for one in records if isinstance(one, CheckpointWrite))
    changed = msgspec.structs.replace(write, **changes)
    outcome = await _written(other, [changed if one is write else one for one in records])
    assert words in (outcome.error or "")
    assert other.json() == {}


async def test_an_id_in_a_document_that_is_no_text_that_can_be_read(
    other: Any, records: list[Any]
) -> None:
    first = next(one for one in records if isinstance(one, RawCheckpoint))
    text = bytes(first.document).replace(  # type: ignore[arg-type]  # of Redis
        b'"thread_id":"t"', b'"thread_id":"\\ud800"', 1
    )
    changed = msgspec.structs.replace(first, document=Raw(text))
    outcome = await _written(other, [changed if one is first else one for one in records])
    assert "is no JSON that Redis could hold" in (outcome.error or "")


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 600 + b"]" * 600,
        b'{"a":' * 600 + b"1" + b"}" * 600,
        b'"\\ud800"',
        b"1" + b"0" * 400,
        b"1e400",
    ],
    ids=["lists", "objects", "surrogate", "integer", "float"],
)
async def test_values_of_javascript_that_no_redis_holds(store: Any, value: bytes) -> None:
    """The thread fails with a sentence, whatever JSON its channels hold."""
    checkpoint = b'{"v":4,"id":"1","ts":"2026-01-01T00:00:00+00:00","channel_values":{"x":%s}}'
    outcome = await _written(
        store,
        [
            RawCheckpoint(
                thread_id="t", checkpoint_ns="", checkpoint_id="1", type="json",
                blob=checkpoint % value, metadata=Raw(b"{}"),
            )
        ],
    )  # fmt: skip
    assert "channel 'x' of checkpoint '1'" in (outcome.error or "")
    assert store.json() == {}


async def test_fields_beside_the_values_that_no_redis_holds(store: Any) -> None:
    outcome = await _written(
        store,
        [
            RawCheckpoint(
                thread_id="t", checkpoint_ns="", checkpoint_id="1", type="json",
                blob=b'{"v":4,"id":"1","ts":"\\ud800","channel_values":{}}', metadata=Raw(b"{}"),
            )
        ],
    )  # fmt: skip
    assert "the ts of checkpoint '1'" in (outcome.error or "")


async def test_metadata_that_is_no_text_is_not_written_as_another(
    store: Any, tmp_path: Path, zoo: Any
) -> None:
    """Bytes that are no UTF-8 fail their thread: they would stand there as other letters."""
    with SqliteSaver.from_conn_string(str(tmp_path / "a.db")) as saver:
        zoo.put_checkpoint(saver, "t")
        saver.conn.execute("UPDATE checkpoints SET metadata = CAST(x'7b2261223a22ff227d' AS BLOB)")
        saver.conn.commit()
    report = await run_async(use("sqlite-saver", path=tmp_path / "a.db"), store.use())
    assert [one.thread_id for one in report.failures] == ["t"]
    assert "is no UTF-8" in report.failures[0].why


async def test_a_mark_that_nobody_wrote_is_an_error_with_a_remedy(
    store: Any, other: Any, zoo: Any
) -> None:
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    other.client.hset("lgx_marks:checkpoint", "t", b"\xff{")
    with pytest.raises(FatalError, match="is none that lgx wrote; remove that field"):
        await run_async(store.use(), other.use())
    report = await run_async(store.use(), other.use(), merge=True)
    assert "is none that lgx wrote; remove that field" in (report.aborted or "")
    assert other.json() == {}
    other.client.hdel("lgx_marks:checkpoint", "t")
    assert (await run_async(store.use(), other.use())).threads.written == 1


@pytest.mark.parametrize("whole", [True, False])
async def test_a_saver_that_goes_on_while_a_run_is_under_way_is_not_written_over(
    other: Any, zoo: Any, records: list[Any], whole: bool
) -> None:
    """With another checkpoint, or with a write of the latest alone: what stands there now counts,
    not what did when the run began."""
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    context = make_context()
    async with other.sink() as sink:
        await sink.begin(make_run(), context)
        for version in ("1", "2"):
            bundle = make_bundle(context, [Thread(thread_id="t"), *records], version=version)
            (outcome,) = await sink.write([bundle], context)
            bundle.close()
            if version == "1":
                assert outcome.error is None
                with other.saver() as saver:
                    if whole:
                        zoo.put_checkpoint(saver, "t")
                    else:
                        saver.put_writes(saver.get_tuple(config).config, [("x", 1)], "later")
                before = other.everything()
    assert "changed there after lgx wrote it" in (outcome.error or "")
    assert other.everything() == before


async def test_writes_of_javascript_that_look_like_marks_are_told(store: Any) -> None:
    """RedisSaver would make a Send of what is a dict to every other saver."""
    rows = [
        RawCheckpoint(
            thread_id="t", checkpoint_ns="", checkpoint_id="1", type="json",
            blob=b'{"v":4,"id":"1","ts":"2026-01-01T00:00:00+00:00","channel_values":{}}',
            metadata=Raw(b"{}"),
        ),
        CheckpointWrite(
            thread_id="t", checkpoint_ns="", checkpoint_id="1", task_id="a", idx=0, channel="c",
            type="json", blob=b'[{"__send__":true,"node":"n","arg":1}]', task_path="",
        ),
    ]  # fmt: skip
    outcome = await _written(store, rows)
    assert "channel 'c' (a dict that looks like a mark of RedisSaver's)" in (outcome.error or "")
    assert store.json() == {}
