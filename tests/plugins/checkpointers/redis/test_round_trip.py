"""Copies out of Redis, into Redis and from one to another are what the original is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from langgraph.checkpoint.redis import AsyncRedisSaver, ShallowRedisSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from lgx import run_async, use, verify_async

_LOST_BY_REDIS = ("order", "array", "frozen")


def _stored_writes(store: Any) -> dict[tuple[str, str, str], int]:
    """How many writes lie in the store of each checkpoint: RedisSaver passes over those of a
    checkpoint that was put after them."""
    found: dict[tuple[str, str, str], int] = {}
    for text in store.json("checkpoint_write:*").values():
        write = msgspec.json.decode(text)
        ns = write["checkpoint_ns"].replace("__empty__", "")
        place = (write["thread_id"], ns, write["checkpoint_id"])
        found[place] = found.get(place, 0) + 1
    return found


def _without_unread(store: Any, before: Any, after: Any) -> None:
    """Takes out what RedisSaver did not give: a model that it left as an envelope, and writes
    that it passed over; the copy has all of them."""
    counts = _stored_writes(store)
    assert {place: len(one.pending_writes) for place, one in after.items() if one.pending_writes} \
        == {place: count for place, count in counts.items() if place in after}  # fmt: skip
    for place in before:
        if not before[place].pending_writes:
            after[place] = after[place]._replace(pending_writes=[])


async def _oracle(store: Any, zoo: Any, after: Any) -> None:
    before = store.held()
    assert 86 <= len(before) <= 88  # the writes of one or two RedisSaver cannot load
    assert len(after) == 88
    after = {place: after[place] for place in before}
    _without_unread(store, before, after)
    assert zoo.differences(before, after) == []


async def test_sqlite_holds_what_redis_gave(
    filled: Any, zoo: Any, tmp_path: Path, sorted_held: Callable[[Any], Any]
) -> None:
    """redis -> sqlite: checkpoint, metadata, parent and pending writes of every checkpoint are
    what RedisSaver itself gives."""
    report = await run_async(filled.use(), use("sqlite-saver", path=tmp_path / "x.db"))
    assert (report.threads.written, report.checkpoints.written) == (28, 88)
    assert (report.failures, report.losses) == ([], [])
    with SqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        await _oracle(filled, zoo, sorted_held(saver))


async def test_postgres_holds_what_redis_gave(
    filled: Any, zoo: Any, new_store: Any, sorted_held: Callable[[Any], Any]
) -> None:
    """The same of redis -> postgres, where values are split off."""
    target = new_store()
    report = await run_async(filled.use(), use("postgres-saver", dsn=target.dsn))
    assert (report.threads.written, report.checkpoints.written) == (28, 88)
    assert (report.failures, report.losses) == ([], [])
    with target.saver() as saver:
        after = {place: _of_postgres(one) for place, one in sorted_held(saver).items()}
    before = filled.held()
    for place, one in before.items():  # a snapshot is there for all that share its version
        if "log" not in one.checkpoint["channel_values"]:
            after[place].checkpoint["channel_values"].pop("log", None)
    await _oracle(filled, zoo, after)


def _of_postgres(item: Any) -> Any:
    """PostgresSaver itself takes a task's id that looks like hexadecimal bytes for such."""
    writes = [("\\x41" if task == "A" else task, *rest) for task, *rest in item.pending_writes]
    return item._replace(pending_writes=writes)


async def test_what_was_interrupted_goes_on_on_the_copy(
    filled: Any, zoo: Any, tmp_path: Path
) -> None:
    """Interrupts are answered, chats continued and deltas added to on the copy in SQLite."""
    await run_async(filled.use(), use("sqlite-saver", path=tmp_path / "x.db"))
    with SqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        came = await asyncio.to_thread(zoo.resume, saver)
    with SqliteSaver.from_conn_string(str(tmp_path / "own.db")) as saver:
        await asyncio.to_thread(zoo.run, saver)
        wanted = await asyncio.to_thread(zoo.resume, saver)
    assert zoo.differences(wanted, came) == []


async def test_redis_to_redis_is_the_same_text(filled: Any, other: Any) -> None:
    """Every document, every pointer and every registry is there as it is in the original."""
    report = await run_async(filled.use(), other.use())
    assert (report.threads.written, report.failures, report.losses) == (28, [], [])
    assert other.everything() == filled.everything()
    assert (await verify_async(filled.use(), other.use())).equal
    again = await run_async(filled.use(), other.use())
    assert (again.threads.unchanged, again.threads.written) == (28, 0)


@pytest.mark.filterwarnings("ignore:get_async_redis_connection:DeprecationWarning")
async def test_what_the_async_saver_wrote(store: Any, other: Any, zoo: Any) -> None:
    """AsyncRedisSaver's keys are copied as they are, and it goes on with the copy."""
    async with AsyncRedisSaver.from_conn_string(store.url) as saver:
        await saver.asetup()
        await asyncio.to_thread(zoo.put_checkpoint, saver, "one")
        await asyncio.to_thread(zoo.put_checkpoint, saver, "a:b", "c:d|e")
    report = await run_async(store.use(), other.use())
    assert (report.threads.written, report.failures) == (2, [])
    assert other.everything() == store.everything()
    async with AsyncRedisSaver.from_conn_string(other.url) as saver:
        await saver.asetup()
        found = await saver.aget_tuple({"configurable": {"thread_id": "one"}})
        assert found is not None
        assert found.checkpoint["channel_values"] == {"name": "one", "in": [""]}


@pytest.mark.parametrize("kind", ["archive", "ndjson"])
async def test_through_an_archive_or_a_file_nothing_is_lost(
    kind: str, filled: Any, other: Any, tmp_path: Path
) -> None:
    """redis -> archive or ndjson -> redis: the same text again."""
    between = use(kind, path=tmp_path / ("kept" if kind == "archive" else "kept.ndjson.zst"))
    there = await run_async(filled.use(), between)
    back = await run_async(between, other.use())
    for report in (there, back):
        assert (report.threads.written, report.failures, report.losses) == (28, [], [])
    assert other.everything() == filled.everything()


async def test_sqlite_to_redis_keeps_all_but_what_is_told(
    store: Any, sqlite_zoo: Path, zoo: Any, sorted_held: Callable[[Any], Any]
) -> None:
    """RedisSaver gives what SqliteSaver gave, Decimals, UUIDs, dates and sets among it; a thread
    with other values fails without --sink-allow-lossy, and the channels are told with it."""
    source = use("sqlite-saver", path=sqlite_zoo)
    refused = await run_async(source, store.use())
    assert refused.threads.written == 27
    (failure,) = refused.failures
    assert failure.thread_id == "values"
    for part in ("'array' (numpy.ndarray)", "'order' (", "'colour' (", "'by_number' (a dict with"):
        assert part in failure.why
    report = await run_async(source, store.use(allow_lossy=True))
    assert (report.threads.unchanged, report.threads.written, report.failures) == (27, 1, [])
    told = [loss.what for loss in report.losses if loss.thread_id is not None]
    told.remove(f"the type {zoo.__name__}.Point in channel 'point', unless it is a dataclass")
    lost = sorted(what.rpartition(" in ")[2] for what in told)
    assert lost == ["channel 'array'", "channel 'by_number'", "channel 'colour'", "channel 'order'"]
    with SqliteSaver.from_conn_string(str(sqlite_zoo)) as saver:
        before = sorted_held(saver)
    after = store.held()
    assert len(after) == len(before) == 88
    for held in (before, after):
        for one in held.values():
            for extra in ("type", "pending_sends"):
                one.checkpoint.pop(extra, None)  # RedisSaver's own
            for channel in ("array", "order", "colour", "by_number"):
                one.checkpoint["channel_values"].pop(channel, None)
    assert zoo.differences(before, after) == []


async def test_a_graph_goes_on_in_redis(store: Any, sqlite_zoo: Path, zoo: Any) -> None:
    """What was interrupted in SQLite is answered in Redis, and ends as it does there."""
    await run_async(use("sqlite-saver", path=sqlite_zoo), store.use(allow_lossy=True))
    with store.saver() as saver:
        came = await asyncio.to_thread(zoo.resume, saver)
    with SqliteSaver.from_conn_string(str(sqlite_zoo)) as saver:
        wanted = await asyncio.to_thread(zoo.resume, saver)
    assert zoo.differences(wanted, came) == []


async def test_postgres_to_redis(new_store: Any, store: Any, zoo: Any, sorted_held: Any) -> None:
    """Values that lie apart in PostgreSQL are put into RedisSaver's documents."""
    origin = new_store()
    with origin.saver() as saver:
        for name in zoo.AWKWARD:
            zoo.put_checkpoint(saver, name, "a:b|c")
        before = sorted_held(saver)
    report = await run_async(use("postgres-saver", dsn=origin.dsn), store.use())
    assert (report.threads.written, report.failures) == (len(zoo.AWKWARD), [])
    after = store.held()
    for one in (*before.values(), *after.values()):
        for extra in ("type", "pending_sends"):
            one.checkpoint.pop(extra, None)
    assert zoo.differences(before, after) == []


async def test_verify_finds_a_write_that_is_missing(filled: Any, tmp_path: Path) -> None:
    """A copy in SQLite is not equal any more where a write of the original is gone."""
    copy = use("sqlite-saver", path=tmp_path / "x.db")
    await run_async(filled.use(), copy)
    filled.client.delete(next(filled.client.scan_iter("checkpoint_write:chat:*")))
    found = await verify_async(filled.use(), copy)
    assert [one.thread_id for one in found.differences] == ["chat"]


async def test_shallow_threads(store: Any, other: Any, zoo: Any, tmp_path: Path) -> None:
    """A ShallowRedisSaver's threads come along to Redis as they are, and to SQLite with the one
    checkpoint that they have."""
    with ShallowRedisSaver.from_conn_string(store.url) as shallow:
        shallow.setup()
        for name in ("one", "a:b", "Zoë"):
            zoo.put_checkpoint(shallow, name)
            zoo.put_checkpoint(shallow, name, "child:1")
    report = await run_async(store.use(), other.use())
    assert (report.threads.written, report.failures, report.losses) == (3, [], [])
    assert other.everything() == store.everything()
    with ShallowRedisSaver.from_conn_string(other.url) as shallow:
        wanted = shallow.get_tuple({"configurable": {"thread_id": "one", "checkpoint_ns": ""}})
    assert wanted is not None
    await run_async(store.use(), use("sqlite-saver", path=tmp_path / "x.db"))
    with SqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        came = saver.get_tuple({"configurable": {"thread_id": "one", "checkpoint_ns": ""}})
        assert len(zoo.held(saver)) == 6
    assert came is not None
    assert zoo.differences(wanted.checkpoint, came.checkpoint) == []
    assert came.metadata == wanted.metadata
    assert sorted(came.pending_writes or ()) == sorted(wanted.pending_writes or ())
