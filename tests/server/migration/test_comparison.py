"""The comparison finds equal what is equal, and every difference that a poor replay leaves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from .comparison import compare, same
from .fill import Filled
from .requests import Server
from .sketch import replay

EQUAL = {
    *("bare-graph", "bare-nothing", "bare-strange", "bare-ttl", "lost-graph", "loop-cron"),
    *("chat-cleared", "chat-everything", "chat-inputs", "chat-invalid", "chat-plain"),
    *("chat-quiet", "chat-usage", "loop-configured", "loop-replayed", "loop-strange"),
    *("loop-turns", "loop-marked", "loop-paused", "relay-end", "typed-plain", "stacked-plain"),
}

TOLD = {
    "loop-long": {"thread"},
    "loop-busy": {"status"},
    "gone-plain": {"history"},
    "chat-letters": {"values", "final"},
    "chat-forked": {"status", "missing", "final", "waits"},
    "chat-rerun": {"values", "next", "step", "source", "parent", "missing", "final"},
    "drift-plain": {"values", "final"},
    "relay-plain": {"next"},
    "relay-one": {"status", "next", "waits"},
    "relay-recovered": {"values", "next", "source", "extra", "final"},
    "renamed-plain": {"missing", "next", "final", "waits"},
}


async def test_a_thread_is_equal_to_itself(source: Filled) -> None:
    found = await compare(source.url, source.url, source.threads)
    loops = sum("source" in {d.field for d in t.differences} for t in found.threads.values())
    assert set(found.fields()) == {"source"}  # a loop is to become an update
    assert loops > 40
    assert found.checkpoints > 1400


async def test_a_simple_replay_is_equal_where_a_thread_is_plain(
    source: Filled, target: str
) -> None:
    """So that the comparison can succeed."""
    threads = {n: source.threads[n] for n in ("chat-plain", "loop-turns", "loop-replayed")}
    for thread_id in threads.values():
        assert await replay(source.url, target, thread_id) == 200
    found = await compare(source.url, target, threads)
    assert found.differences == {}, str(found)
    assert found.equal == found.checkpoints == 8 + 15 + 3


async def test_a_simple_replay_is_found_out(
    source: Filled, target: str, executed: Callable[[], list[str]]
) -> None:
    """It is equal where a thread is a plain line, and wherever it is not, that is told."""
    left = [i for n, i in source.threads.items() if n != "loop-long"]
    answers = await asyncio.gather(*(replay(source.url, target, i) for i in left))
    assert set(answers) == {200, 201, 400, 422, 500}
    found = await compare(source.url, target, source.threads)
    assert set(found.threads) - set(found.differences) == EQUAL, str(found)
    assert found["chat-usage"].usage == 5
    assert (found["chat-everything"].usage, found["chat-everything"].invalid) == (18, 13)
    fields = {name: set(found[name].fields()) for name in TOLD}
    assert fields == TOLD, str(found)
    assert found.equal < found.checkpoints
    assert executed() == []


async def test_absence_is_a_difference(source: Filled, target: str) -> None:
    one = {"chat-plain": source.threads["chat-plain"]}
    assert (await compare(source.url, target, one)).fields() == {"thread": 1}
    async with Server(target) as server:
        await server.post("/threads", {"thread_id": one["chat-plain"]})
    found = (await compare(source.url, target, one)).fields()
    assert found == {"metadata": 1, "missing": 8}


async def test_a_difference_names_its_place(source: Filled, target: str) -> None:
    """Checkpoint, field, channel, and the first place in it that differs."""
    thread_id = source.threads["drift-plain"]
    assert await replay(source.url, target, thread_id) == 200
    found = await compare(source.url, target, {"drift": thread_id})
    assert found["drift"].fields() == {"values": 3, "final": 1}
    (first, *_) = found["drift"].of("values")
    assert (first.checkpoint, first.channels) == (2, ("total",))
    assert str(first) == "checkpoint 2, values total.total: 1 | 2"


def test_values_are_compared_exactly() -> None:
    assert same({"a": [1, None, "é"]}, {"a": [1, None, "é"]})
    for other in (True, 1.0, "1", None, [1]):
        assert not same(1, other)
    assert not same([1, 2], [2, 1])
    assert not same({"a": None}, {})


def ai(**fields: Any) -> dict[str, Any]:
    """A message as a history gives it."""
    empty: dict[str, Any] = {
        "additional_kwargs": {},
        "invalid_tool_calls": [],
        "usage_metadata": None,
    }
    return {"type": "ai", "content": "x", "id": "m", **empty, **fields}


def test_only_what_the_server_moves_is_excepted() -> None:
    """Where it is still there, as it was; what is gone, or otherwise, is a difference."""
    usage, broken = {"total_tokens": 3}, [{"id": "c", "args": "{"}]
    ours = ai(usage_metadata=usage, invalid_tool_calls=broken, additional_kwargs={"a": 1})
    moved = {"usage_metadata": usage, "invalid_tool_calls": broken}
    counts = Counter[str]()
    assert same([ours], [ai(additional_kwargs={"a": 1, **moved})], counts)
    assert counts == {"u": 1, "i": 1}
    assert not same([ours], [ai(additional_kwargs={"a": 1, **moved})])
    for kwargs in (
        {"a": 1},
        moved,
        {"a": 1, **moved, "b": 2},
        {"a": 1, **moved, "usage_metadata": {}},
    ):
        assert not same([ours], [ai(additional_kwargs=kwargs)], Counter())
    # An empty field that went there should not have been sent.
    assert not same([ai()], [ai(additional_kwargs={"usage_metadata": None})], Counter())
    human = {**ours, "type": "human"}
    assert not same(
        [human], [{**ai(additional_kwargs={"a": 1, **moved}), "type": "human"}], Counter()
    )


async def test_a_copy_that_a_branch_began_with_is_extra(source: Filled, target: str) -> None:
    """And what comes after it is still compared with its own partner."""
    thread_id = source.threads["loop-turns"]
    assert await replay(source.url, target, thread_id) == 200
    async with Server(target) as server:
        past = (await server.history(thread_id))[0]["checkpoint_id"]
        branch = {"values": [[{"count": 7}, "turn"]], "as_node": "__copy__", "checkpoint_id": past}
        await server.post(f"/threads/{thread_id}/state", branch)
    async with Server(source.url) as server:
        twin = (await server.post(f"/threads/{thread_id}/copy", None))["thread_id"]
        try:
            await server.post(f"/threads/{twin}/state", {"values": {"count": 7}, "as_node": "turn"})
            found = await compare(source.url, target, {"t": twin}, ids={twin: thread_id})
        finally:
            await server.delete(f"/threads/{twin}")
    assert (found["t"].checkpoints, found["t"].equal) == (16, 15)
    assert found["t"].fields() == {"extra": 1, "step": 1, "parent": 1}
