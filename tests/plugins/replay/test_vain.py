"""Threads of a graph that leads elsewhere now: what nothing betters is not tried for ever."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START
from langgraph.types import Command

from lgx import Bundle
from lgx_plugins.replay import Memory, Outcome, replay_thread
from lgx_plugins.replay.differences import Difference, Differences
from lgx_plugins.replay.method import GraphMemory
from lgx_plugins.replay.vain import in_vain, note_tries

from .local import LocalTarget, Place
from .zoo import State, graph, says


def _c(state: Any) -> Any:
    """Leads on to `e` where it is told to, which no edge does."""
    return Command(update={"log": ["c"]}, goto=["e"] if "on" in state["log"] else [])


NODES: dict[str, Any] = {
    **{name: says(name) for name in "abde"},
    "c": (_c, {"destinations": ("e",)}),
}
THERE = graph(State, NODES, [(START, "a"), ("a", "b"), ("b", "d")])


async def _thread(*inputs: str) -> Bundle:
    source = Place(graph(State, NODES, [(START, "a"), ("a", "b"), ("b", "c")]))
    for given in inputs:
        await source.graph.ainvoke({"log": [given]}, source.head())
    return await source.export()


async def _replayed(bundle: Bundle, memory: Memory) -> Outcome:
    return await replay_thread(bundle, LocalTarget(Place(THERE)), memory.of("g"))


def _lost(outcome: Outcome) -> list[str]:
    return [loss.what for loss in outcome.losses if loss.holdable]


async def test_what_two_threads_could_not_have_the_third_is_not_tried_for() -> None:
    """`b` leads to `d` there, whatever is sent; it is told of each thread all the same."""
    memory = Memory()

    outcomes = [await _replayed(await _thread(f"{number}"), memory) for number in range(4)]

    attempts = [outcome.attempts for outcome in outcomes]
    assert min(attempts[:2]) > 1
    assert attempts[2:] == [1, 1]
    assert [_lost(outcome) for outcome in outcomes] == [["next of 1 checkpoint"]] * 4


async def test_one_accident_teaches_nothing() -> None:
    """The thread after it is tried in every way."""
    memory = Memory()

    first, second = [await _replayed(await _thread("1"), memory) for _ in range(2)]

    assert first.attempts == second.attempts > 1


async def test_a_thread_that_can_be_bettered_still_is() -> None:
    """What else differs in it is mended, and what does not go by itself is told."""
    memory, fresh = Memory(), Memory()
    for _ in range(3):
        await _replayed(await _thread("1"), memory)

    outcome = await _replayed(await _thread("1", "on"), memory)

    assert _lost(outcome) == _lost(await _replayed(await _thread("1", "on"), fresh))
    assert _lost(outcome) == ["next of 2 checkpoints"]  # of three that came out different
    assert outcome.attempts == 2


def test_what_was_bettered_once_is_tried_again() -> None:
    """Two threads that could not have it must come one after the other, each of which keeps all
    of it."""
    memory = GraphMemory("g")
    places = {3: Difference(missing=("e",)), 7: Difference(missing=("e",), step=True)}
    found, better = Differences(places=places), Differences(places={3: places[3]})
    said = []

    for best in (found, better, found, found, found, Differences()):
        note_tries(memory, found, best)
        said.append(in_vain(memory, found))

    assert said == [False, False, False, True, True, False]


def test_where_nothing_can_be_tried_nothing_is_in_vain() -> None:
    """As of a thread that has too few checkpoints, or a number that is another."""
    for found in (Differences(lacking=1), Differences(places={1: Difference(step=True)})):
        assert not in_vain(GraphMemory("g"), found)
