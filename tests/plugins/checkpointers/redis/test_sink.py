"""What the sink makes, keeps, refuses and replaces."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.redis import RedisSaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Interrupt, Send
from pydantic import BaseModel

from lgx import LockedError, UsageError, run_async, use
from lgx.testing import make_bundle, make_context, make_run

_ROOT: dict[str, Any] = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


@dataclass
class Point:
    x: int
    inner: Any


class Pair(NamedTuple):
    a: int
    b: str


class Model(BaseModel):
    x: int = 1


class Colour(Enum):
    RED = "red"


@pytest.fixture
def origin(tmp_path: Path) -> Callable[..., Any]:
    """Puts values into a SqliteSaver's file, as one checkpoint of thread `t`; its use as a
    source."""

    def put(thread_id: str = "t", **values: Any) -> Any:
        with SqliteSaver.from_conn_string(str(tmp_path / "origin.db")) as saver:
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = values
            checkpoint["channel_versions"] = dict.fromkeys(
                values, saver.get_next_version(None, None)
            )
            config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
            metadata: Any = {"source": "input", "step": -1, "parents": {}}
            saved = saver.put(config, checkpoint, metadata, {})
            saver.put_writes(saved, list(values.items()), "task")
        return use("sqlite-saver", path=tmp_path / "origin.db")

    return put


def _of_threads(report: Any) -> list[Any]:
    """What was lost of threads, not of what else the source may hold."""
    return [loss for loss in report.losses if loss.thread_id is not None]


_EXACT: tuple[Any, ...] = (
    Decimal("1.50"),
    UUID(int=7),
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    datetime(2026, 1, 2),  # noqa: DTZ001 -- a naive one
    date(2026, 1, 2),
    clock(1, 2, 3, 4),
    timedelta(days=-1, microseconds=5),
    {1, 2},
    frozenset({"a"}),
    deque([1, 2]),
    {frozenset({1})},
    Path("a/b"),
    IPv4Address("10.0.0.1"),
    b"\x00\xff",
    {"deep": [b"x", {"er": b""}]},
    Send("node", {"x": [b"y", Decimal("1")]}),
    Interrupt(value={"q": Decimal("2")}, id="i"),
    _DeltaSnapshot([1, {"a": {2}}, b"z"]),
    HumanMessage(content="hi 🎈", id="1", additional_kwargs={"a": [1]}),
    AIMessage(
        content=[{"type": "text", "text": "x"}],
        tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c"}],
    ),
    ToolMessage(content="x", tool_call_id="c", artifact={"a": 1}),
    RemoveMessage(id="1"),
    [HumanMessage(content="a"), {"m": AIMessage(content="b")}],
    {"lc": 1, "type": "other"},
    {"__bytes__": "x", "more": 1},
    {"__lgx__": "bytes"},
    {"type": "human", "content": "x", "additional_kwargs": {}},
    -0.0,
    1e300,
    5e-324,
    2**64 - 1,
    -(2**63),
    1.0,
    "nul \0 and \u2028",
    "",
    None,
    {},
    [],
)


@pytest.mark.parametrize("value", _EXACT, ids=lambda one: f"{type(one).__name__}")
async def test_values_that_redis_saver_reads_back(
    value: Any, origin: Callable[..., Any], store: Any, zoo: Any
) -> None:
    """They are in the channel and in the write what they were, though RedisSaver's own
    serializer would have lost the types of most."""
    report = await run_async(origin(value=value), store.use())
    assert (report.threads.written, report.failures, _of_threads(report)) == (1, [], [])
    with store.saver() as saver:
        found = saver.get_tuple(_ROOT)
    assert zoo.differences({"value": value}, found.checkpoint["channel_values"]) == []
    assert [one[:2] for one in found.pending_writes] == [("task", "value")]
    assert zoo.differences({"value": value}, {"value": found.pending_writes[0][2]}) == []


@pytest.mark.parametrize(
    ("value", "comes_back"),
    [(Point(1, [Decimal("1"), {"a": {3}}, Point(2, None)]), True), (Pair(1, "b"), False)],
    ids=["dataclass", "namedtuple"],
)
async def test_what_may_be_no_dataclass_is_told(
    value: Any, comes_back: bool, origin: Callable[..., Any], store: Any
) -> None:
    """A dataclass comes back as what it was, a namedtuple does not: nothing but importing it
    tells which a class is. Writes are exact."""
    report = await run_async(origin(value=value), store.use())

    assert (report.threads.written, report.failures, report.exit_code) == (1, [], 0)
    name = f"{type(value).__module__}.{type(value).__name__}"
    assert [(loss.what, loss.holdable) for loss in _of_threads(report)] == [
        (f"the type {name} in channel 'value', unless it is a dataclass", False)
    ]
    with store.saver() as saver:
        found = saver.get_tuple(_ROOT)
    assert (found.checkpoint["channel_values"]["value"] == value) is comes_back
    assert found.pending_writes[0][2] == value


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (Model(), "test_sink.Model"),
        (np.arange(3), "numpy.ndarray"),
        (Colour.RED, "test_sink.Colour"),
        (float("nan"), "the float nan"),
        (float("-inf"), "the float -inf"),
        ({1: "one"}, "a dict with keys that are no texts"),
        ({b"x"}, "bytes inside of another value"),
        ({"__bytes__": "eA=="}, "a dict that looks like a mark"),
        ({"lc": 2, "type": "constructor", "id": ["os", "system"], "args": ["x"]}, "looks like"),
        ({"__send__": True, "node": "a", "arg": 1}, "a dict that looks like a mark"),
    ],
    ids=str,
)
async def test_values_that_redis_saver_would_not_read_back(
    value: Any, word: str, origin: Callable[..., Any], store: Any
) -> None:
    """The thread fails and names channel and type; with --sink-allow-lossy it is written, the
    loss is told, and its writes are what they were all the same."""
    source = origin(value=value)
    refused = await run_async(source, store.use())
    assert refused.threads.written == 0
    assert "channel 'value'" in refused.failures[0].why
    assert word in refused.failures[0].why
    assert store.everything() == {}
    report = await run_async(source, store.use(allow_lossy=True))
    assert (report.threads.written, report.failures) == (1, [])
    assert [word in loss.what for loss in _of_threads(report)] == [True]
    assert report.exit_code == 0
    with store.saver() as saver:
        ((_, _, written),) = saver.get_tuple(_ROOT).pending_writes
    assert type(written) is type(value)
    assert repr(written) == repr(value)


async def test_indexes_are_those_of_setup(store: Any, other: Any) -> None:
    """FT.INFO says the same of them, but for what it counts."""
    with store.saver():
        pass
    async with other.sink() as sink:
        await sink.begin(make_run(), make_context())
    for name in ("checkpoint", "checkpoint_write"):
        wanted, came = (
            _facts(one.client.execute_command("FT.INFO", name)) for one in (store, other)
        )
        assert came == wanted


def _facts(info: Any) -> dict[bytes, Any]:
    pairs = info if isinstance(info, dict) else dict(zip(info[::2], info[1::2], strict=True))
    return {
        key: pairs[key]
        for key in (b"index_name", b"index_options", b"index_definition", b"attributes")
    }


async def test_prefixes_of_ones_own(store: Any, other: Any, zoo: Any) -> None:
    """Stores under other prefixes are read and made as RedisSaver's options ask for."""
    prefixes: Any = {"checkpoint_prefix": "app[1]", "checkpoint_write_prefix": "w*"}
    with RedisSaver.from_conn_string(store.url, **prefixes) as saver:
        saver.setup()
        zoo.put_checkpoint(saver, "one")
    report = await run_async(store.use(**prefixes), other.use(**prefixes))
    assert (report.threads.written, report.failures) == (1, [])
    assert other.everything() == store.everything()
    with RedisSaver.from_conn_string(other.url, **prefixes) as saver:
        saver.setup()
        config: Any = {"configurable": {"thread_id": "one"}}
        found = saver.get_tuple(config)
    assert found is not None
    assert len(found.pending_writes or ()) == 2
    assert (await run_async(store.use(), other.use())).threads.listed == 0


async def test_a_changed_thread_replaces_its_copy(filled: Any, other: Any, zoo: Any) -> None:
    """What went on is copied anew, nothing of the earlier copy stays, the rest is left."""
    await run_async(filled.use(), other.use())
    with filled.saver() as saver:
        changed = await asyncio.to_thread(zoo.resume, saver)
        saver.prune(["chat"], keep_last=2)
    report = await run_async(filled.use(), other.use())
    assert (report.threads.written, report.failures) == (len(changed), [])
    assert other.everything() == filled.everything()


async def test_what_stands_there_is_not_written_over(store: Any, other: Any, zoo: Any) -> None:
    """A thread that lgx did not write, or that went on since, stays, unless the option says
    otherwise; the same content is marked, and not written."""
    for one in (store, other):
        with one.saver() as saver:
            zoo.put_checkpoint(saver, "t")
            zoo.put_checkpoint(saver, "u")
    store_dump = [
        row for row in store.dump() if b":u:" in row[0] or row[0].endswith(b"u:__empty__")
    ]
    other.client.delete(*[key for key, *_ in other.dump() if b":u:" in key])
    other.load(store_dump)
    before = other.everything()
    failed = await run_async(store.use(), other.use())
    assert (failed.threads.written, [one.thread_id for one in failed.failures]) == (0, ["t"])
    assert "with other content, which lgx did not write" in failed.failures[0].why
    assert other.everything() == before
    assert other.client.hkeys("lgx_marks:checkpoint") == [b"u"]
    skipped = await run_async(store.use(), other.use(on_conflict="skip"))
    assert (skipped.threads.written, skipped.exit_code) == (0, 0)
    replaced = await run_async(store.use(), other.use(on_conflict="replace"))
    assert (replaced.threads.written, replaced.failures) == (1, [])
    assert other.everything() == store.everything()
    with other.saver() as saver, store.saver() as origin_saver:
        zoo.put_checkpoint(saver, "t")
        zoo.put_checkpoint(origin_saver, "t")
    again = await run_async(store.use(), other.use())
    assert "changed there after lgx wrote it" in again.failures[0].why


async def test_a_thread_that_its_saver_deleted_comes_again(
    store: Any, other: Any, zoo: Any
) -> None:
    """RedisSaver knows nothing of marks: one whose thread is gone counts for nothing."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    await run_async(store.use(), other.use())
    with other.saver() as saver:
        saver.delete_thread("t")
    assert (await run_async(store.use(), other.use())).threads.written == 1
    assert other.everything() == store.everything()


async def test_two_sources_in_one_store(
    store: Any, other: Any, origin: Callable[..., Any], zoo: Any
) -> None:
    """Refused without --merge; with it, a thread that both have stays as it is."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    await run_async(store.use(), other.use())
    second = origin(value=1)
    with pytest.raises(UsageError, match="was filled from"):
        await run_async(second, other.use())
    report = await run_async(second, other.use(), merge=True)
    assert "as a copy from redis://127.0.0.1" in report.failures[0].why
    assert other.everything() == store.everything()


async def test_the_source_is_no_target(store: Any) -> None:
    """Neither itself, nor under another prefix: RedisSaver's registries of writes have none."""
    with pytest.raises(UsageError, match="is the source, too"):
        await run_async(store.use(), store.use())
    with pytest.raises(UsageError, match="is the source, too"):
        await run_async(store.use(), store.use(checkpoint_prefix="other"))


async def test_times_to_live_are_kept(store: Any, other: Any, zoo: Any) -> None:
    """Each document, pointer and registry expires when that of the original does, also by way of
    an archive; the report tells that they do."""
    with RedisSaver.from_conn_string(store.url, ttl={"default_ttl": 60}) as saver:
        saver.setup()
        zoo.put_checkpoint(saver, "t")
    report = await run_async(store.use(), other.use())
    assert any("expire" in note.message for note in report.notes)
    wanted = {key: store.client.pexpiretime(key) for key in store.everything()}
    came = {key: other.client.pexpiretime(key) for key in other.everything()}
    assert came.keys() == wanted.keys()
    assert len(came) == 5
    for key, when in came.items():
        assert abs(when - wanted[key]) < 2000
        if not key.startswith((b"write_keys", b"checkpoint_latest")):
            assert when == wanted[key]


async def test_documents_take_the_ids_of_their_records(store: Any, other: Any, zoo: Any) -> None:
    """A transform may give a thread another id: documents, keys and registries follow."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t", "child:1")
    (records,) = (await store.read()).values()
    renamed = [msgspec.structs.replace(one, thread_id="other") for one in records]
    context = make_context()
    async with other.sink() as sink:
        await sink.begin(make_run(), context)
        bundle = make_bundle(context, renamed, version="1")
        (outcome,) = await sink.write([bundle], context)
        bundle.close()
    assert (outcome.error, outcome.losses) == (None, ())
    with other.saver() as saver:
        place = {"thread_id": "other", "checkpoint_ns": "child:1"}
        found = saver.get_tuple({"configurable": place})
        assert found.checkpoint["channel_values"]["name"] == "t"
        assert len(found.pending_writes) == 2
        assert [one.config["configurable"]["thread_id"] for one in saver.list(None)] == ["other"]


async def test_ids_that_share_keys_are_told(
    store: Any, other: Any, zoo: Any, tmp_path: Path
) -> None:
    """Thread `a` with namespace `b:c` and thread `a:b` with namespace `c` have the same keys for
    checkpoints of one id: the second one fails, and the first stays."""
    with SqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        checkpoint = empty_checkpoint()
        for thread_id, ns in (("a", "b:c"), ("a:b", "c")):
            config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns}}
            saver.put(config, checkpoint, {}, {})
    report = await run_async(use("sqlite-saver", path=tmp_path / "x.db"), store.use())
    assert (report.threads.written, len(report.failures)) == (1, 1)
    assert "is that of something else there" in report.failures[0].why


async def test_what_stands_for_the_empty_is_no_id(store: Any, tmp_path: Path, zoo: Any) -> None:
    """Redis cannot tell them from empty ones: the thread fails."""
    with SqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        zoo.put_checkpoint(saver, "00000000-0000-0000-0000-000000000000")
        zoo.put_checkpoint(saver, "t", "__empty__")
        zoo.put_checkpoint(saver, "")
        zoo.put_checkpoint(saver, "nul\0", "\0")
    report = await run_async(use("sqlite-saver", path=tmp_path / "x.db"), store.use())
    assert report.threads.written == 2
    assert sorted(one.thread_id or "" for one in report.failures) == [
        "00000000-0000-0000-0000-000000000000", "t",
    ]  # fmt: skip
    assert [ref.thread_id for ref in await store.refs()] == ["", "nul\0"]


async def test_a_document_nested_too_deeply_fails_alone(
    store: Any, origin: Callable[..., Any]
) -> None:
    """RedisJSON takes 128 levels; nothing of that thread stays behind, the others are written."""
    deep: Any = 1
    for _ in range(140):
        deep = [deep]
    origin(thread_id="deep", value=deep)
    report = await run_async(origin(value=1), store.use())
    assert report.threads.written == 1
    assert "recursion limit" in report.failures[0].why
    assert not [key for key in store.client.scan_iter() if key.startswith(b"lgx_part")]


async def test_versions_that_are_numbers_become_texts(store: Any, tmp_path: Path) -> None:
    """Those of JavaScript, say: the graph goes on counting where it was."""
    with SqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"n": 1}
        checkpoint["channel_versions"] = {"n": 3}
        checkpoint["versions_seen"] = {"node": {"n": 2}}
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        saver.put(config, checkpoint, {}, {})
    report = await run_async(use("sqlite-saver", path=tmp_path / "x.db"), store.use())
    assert report.threads.written == 1
    with store.saver() as saver:
        found = saver.get_tuple(_ROOT).checkpoint
    assert found["channel_versions"]["n"] > found["versions_seen"]["node"]["n"]
    assert (
        saver.get_next_version(found["channel_versions"]["n"], None)
        > found["channel_versions"]["n"]
    )


async def test_two_runs_at_once(store: Any) -> None:
    """The second one is told who the first is, and the lock ends with its holder."""
    async with store.sink() as first:
        await first.begin(make_run(), make_context())
        async with store.sink() as second:
            with pytest.raises(LockedError, match=r"process [0-9]+ on host"):
                await second.begin(make_run(), make_context())
    async with store.sink() as third:
        await third.begin(make_run(), make_context())
    assert not store.client.exists("lgx_lock:checkpoint")


async def test_a_dry_run_changes_nothing(filled: Any, other: Any, sqlite_zoo: Path) -> None:
    """It says what would be refused, and makes no key and no index."""
    report = await run_async(use("sqlite-saver", path=sqlite_zoo), other.use(), dry_run=True)
    assert [one.thread_id for one in report.failures] == ["values"]
    assert other.client.keys() == []
    assert other.client.execute_command("FT._LIST") == []


async def test_forget_removes_threads_and_marks(filled: Any, other: Any) -> None:
    """Those of this run's source alone."""
    await run_async(filled.use(), other.use())
    run = make_run(source=await _identity(filled))
    async with other.sink() as sink:
        await sink.begin(run, make_context())
        await sink.forget([ref.thread_id for ref in await other.refs()])
    assert other.everything() == {}
    assert other.client.exists("lgx_marks:checkpoint") == 0


async def _identity(store: Any) -> str:
    async with store.source() as source:
        return str(await source.identity())


async def test_a_killed_run_leaves_threads_whole_or_absent(
    store: Any, other: Any, zoo: Any
) -> None:
    """Killed while it writes: every thread that is there is whole, and the next run, once the
    lock has ended, completes the rest and leaves nothing behind."""
    with store.saver() as saver:
        for number in range(3):
            for _ in range(30):
                zoo.put_checkpoint(saver, f"t{number}")
    code = "import lgx, sys; lgx.run(*(lgx.use('redis-saver', url=url) for url in sys.argv[1:]))"
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", code, store.url, other.url],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        if any(key.startswith(b"lgx_part") for key in other.client.scan_iter()):
            break
        await asyncio.sleep(0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = other.everything()
    wanted = store.everything()
    for number in range(3):
        mine = {key for key in there if f":t{number}:".encode() in key}
        assert mine in (set(), {key for key in wanted if f":t{number}:".encode() in key})
    other.client.delete("lgx_lock:checkpoint")
    await run_async(store.use(), other.use())
    assert other.everything() == wanted
    assert not [key for key in other.client.scan_iter() if key.startswith(b"lgx_part")]


async def test_a_thread_of_many_documents_is_written_whole(store: Any, other: Any) -> None:
    """More than one pipeline's worth, of large and small ones; RedisSaver's list finds all."""
    with store.saver() as saver:
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        for number in range(120):
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = {"n": "x" * (200_000 if number % 10 == 0 else 10)}
            config = saver.put(config, checkpoint, {"source": "loop", "step": number}, {})
            saver.put_writes(config, [(f"c{at}", at) for at in range(10)], "task")
    report = await run_async(store.use(), other.use())
    assert (report.threads.written, report.failures) == (1, [])
    assert other.everything() == store.everything()
    with other.saver() as saver:
        assert len(list(saver.list(_ROOT, limit=1000))) == 120
        found = saver.get_tuple(_ROOT)
        assert found.metadata["step"] == 119
        assert len(found.pending_writes) == 10
    mark = msgspec.json.decode(other.client.hget("lgx_marks:checkpoint", "t"))
    assert mark["kept"]["checkpoints"] == 120
