"""What was more than JSON in the source, as far as it can be seen, is told once for a graph."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage
from langgraph.graph import START
from langgraph.graph.message import add_messages
from langgraph_api.serde import json_dumpb  # type: ignore[import-untyped]
from msgspec import Raw
from typing_extensions import TypedDict

from lgx import Bundle, Thread, raw
from lgx.testing import make_bundle, make_context
from lgx_plugins.replay import GraphMemory, Memory, Outcome, foresee, replay_thread

from .local import LocalTarget, Place
from .zoo import CASES, graph


class Rich(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    found: Any
    inner: Any
    born: Any
    price: Any
    others: Any
    plain: Any


STATE: dict[str, Any] = {
    "messages": [HumanMessage('{"page_content":"x","type":"Document"}', id="h")],
    "found": {"by": [Document(page_content="text", metadata={"source": "x"})]},
    "inner": {"agent": [AIMessage("a", id="a")]},
    "born": [{"on": date(1990, 1, 2)}],
    "price": Decimal("1.50"),
    "others": {"a": timedelta(1, 2), "b": Path("/a/b"), "c": time(1, 2, 3, 4), "d": {1, 2}},
    "plain": {"type": "Document", "on": "1990-01-02", "price": 1.5, "ids": [1990, 1, 2]},
}


def _graph() -> Any:
    return graph(Rich, {"a": lambda s: {}}, [(START, "a")])


async def _exported(state: Any, thread_id: str) -> Bundle:
    """As a server gives it: the thread's values are spelled otherwise than its history's."""
    place = Place(_graph())
    await place.graph.ainvoke(state, place.head(thread_id))
    _, *states = await place.export(thread_id)
    found = await place.graph.aget_state(place.head(thread_id))
    thread = Thread(thread_id=thread_id, values=Raw(json_dumpb(found.values)))
    return make_bundle(make_context(), [thread, *states])


async def _replayed(bundle: Bundle, memory: GraphMemory) -> Outcome:
    return await replay_thread(bundle, LocalTarget(Place(_graph())), memory)


async def test_what_was_no_json_is_told_by_its_channel() -> None:
    """Of no thread in particular, and not of what only looks like it."""
    outcome = await _replayed(await _exported(STATE, "one"), Memory().of("agent"))

    assert outcome.exact
    assert [(loss.what, loss.thread_id, loss.holdable) for loss in outcome.losses] == [
        (f"{kind} of channel {channel!r} of graph 'agent' as such", None, False)
        for channel, kind in (
            ("born", "dates"),
            ("found", "documents"),
            ("inner", "messages"),
            ("others", "durations and paths and times"),
            ("price", "decimals"),
        )
    ]


async def test_it_is_told_once_for_a_graph() -> None:
    """By the first thread that shows it, however often that one is written."""
    memory = Memory()
    some = {**STATE, "price": None, "others": None}
    also = {**STATE, "others": None}
    first, other = await _exported(some, "one"), await _exported(also, "two")

    told = [
        [loss.what.partition(" of ")[0] for loss in (await _replayed(bundle, memory)).losses]
        for bundle, memory in (
            (first, memory.of("agent")),
            (first, memory.of("agent")),
            (other, memory.of("agent")),
            (other, memory.of("another")),
        )
    ]

    found = ["dates", "documents", "messages"]
    assert told == [found, found, ["decimals"], [*found, "decimals"]]


async def test_a_channel_that_no_checkpoint_has_is_told() -> None:
    """What a graph does not track is in the values of the thread alone."""
    _, *states = await _exported(STATE, "one")
    thread = Thread(thread_id="one", values=raw({"plain": 1, "passing": 2}))
    bundle = make_bundle(make_context(), [thread, *states])

    outcome = await _replayed(bundle, Memory().of("agent"))

    assert outcome.losses[-1].what == "channel 'passing' of graph 'agent'"
    assert not outcome.losses[-1].holdable


async def test_a_reducer_that_does_not_take_json_is_told_by_the_node() -> None:
    """A set comes back as a list, which the next run cannot be added to."""
    case = next(case for case in CASES if case.name == "reducers")
    source, there = Place(case.build()), Place(case.build())
    await case.play(source)
    bundle = await source.export()
    target = LocalTarget(there)
    memory = GraphMemory("g")

    outcomes = [
        await replay_thread(bundle, target, memory),
        await replay_thread(bundle, LocalTarget(there), memory),
    ]

    told = [[(loss.what, loss.thread_id) for loss in outcome.losses] for outcome in outcomes]
    nodes = [(f"steps of node {name} of graph 'g' as tasks wrote them", None) for name in "ab"]
    assert told == [nodes, nodes]
    with pytest.raises(TypeError):
        await there.graph.ainvoke({"x": 1}, there.head(target.thread_id))


@pytest.mark.parametrize(
    "messages", [[], [HumanMessage("after", id="z")]], ids=["last", "not last"]
)
async def test_a_message_that_no_server_makes_is_told(messages: list[Any]) -> None:
    """Its list is put in place as data, and those beside it with it."""

    class Talk(TypedDict):
        messages: Annotated[list[Any], add_messages]

    def build() -> Any:
        nodes = {
            "a": lambda s: {"messages": [ChatMessage(content="hm", role="critic", id="c")]},
            "b": lambda s: {"messages": messages},
        }
        return graph(Talk, nodes, [(START, "a"), ("a", "b")])

    source, there = Place(build()), Place(build())
    await source.graph.ainvoke({"messages": [HumanMessage("hi", id="h")]}, source.head())
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    assert outcome.losses[0].what == "messages of channel 'messages' of graph 'g' as such"
    told = {loss.what.partition(" of ")[0] for loss in outcome.losses}
    assert told == {"messages", "steps"}


async def test_it_is_foreseen_in_the_same_words() -> None:
    """Once, too; where nothing is known of a graph what is true of all its threads is no
    thread's to tell."""
    bundle = await _exported(STATE, "one")
    outcome = await _replayed(bundle, Memory().of("agent"))
    memory = Memory().of("agent")

    foreseen = list(foresee(bundle, memory))

    assert foreseen == list(outcome.losses)
    assert len(foreseen) > 3
    assert list(foresee(await _exported(STATE, "two"), memory)) == []
    assert list(foresee(bundle)) == []
