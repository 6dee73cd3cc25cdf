"""What one thread of a graph teaches the others, and what it must not."""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import Sequence
from typing import Annotated, Any

from langgraph.channels import Topic
from langgraph.graph import START
from typing_extensions import TypedDict

from lgx import Bundle, Checkpoint
from lgx_plugins.replay import GraphMemory, Memory, Outcome, replay_thread
from lgx_plugins.replay.method import Form

from .local import LocalTarget, Place
from .zoo import CASES, State, graph, says, turns


async def _replayed(bundle: Bundle, builder: Any, memory: GraphMemory) -> Outcome:
    return await replay_thread(bundle, LocalTarget(Place(builder)), memory)


def _chosen(choose: Any) -> Any:
    nodes = {"a": says("a"), "b": says("b"), "c": says("c")}
    return graph(State, nodes, [(START, "a"), ("b", "c")], (("a", choose),))


async def test_a_thread_that_was_refused_spoils_no_other() -> None:
    """A function of today fails on states of old: threads with states of today go as they are."""
    today = lambda s: {"yes": "b", "no": "c"}[s["q"]]  # noqa: E731
    old, new = Place(_chosen(lambda s: "b")), Place(_chosen(today))
    await turns(3)(old)
    await turns(3, {"log": ["in"], "q": "yes"})(new)
    memory = GraphMemory()

    first = await _replayed(await old.export(), _chosen(today), memory)
    second = await _replayed(await new.export(), _chosen(today), memory)

    assert first.fidelity == "values"
    assert (second.fidelity, second.exact, second.losses) == ("replayed", True, ())


async def test_what_was_refused_once_is_not_climbed_to_again() -> None:
    """A thread that is refused where another was goes at once as that one went in the end."""
    today = lambda s: {"yes": "b", "no": "c"}[s["q"]]  # noqa: E731
    old = Place(_chosen(lambda s: "b"))
    await turns(3)(old)
    bundle = await old.export()
    memory = GraphMemory()

    first = await _replayed(bundle, _chosen(today), memory)
    second = await _replayed(bundle, _chosen(today), memory)

    assert second.attempts < first.attempts
    assert second.losses == first.losses


async def test_a_second_thread_of_a_graph_with_other_nodes_comes_out_no_worse() -> None:
    """A channel that takes what is added to it, and nodes that go by another name there."""

    class Gathering(TypedDict, total=False):
        log: Annotated[list[Any], operator.add]
        gathered: Annotated[list[Any], Topic(str, accumulate=True)]

    nodes = {name: _gathers(name) for name in ("a", "b", "c")}
    source = Place(graph(Gathering, nodes, [(START, "a"), ("a", "b"), ("b", "c")]))
    await turns(4)(source)
    bundle = await source.export()
    other = {"a": _gathers("a"), "z": _gathers("z")}
    memory = GraphMemory()

    first, second = [
        await _replayed(bundle, graph(Gathering, other, [(START, "a"), ("a", "z")]), memory)
        for _ in range(2)
    ]

    assert [loss.what for loss in first.losses] == ["next of 8 checkpoints"]
    assert second.losses == first.losses
    assert second.attempts < first.attempts


def _gathers(name: str) -> Any:
    return lambda state: {"log": [name], "gathered": name}


async def test_a_form_that_does_not_suit_is_left_again() -> None:
    """Whatever another thread has taught of the channel."""
    case = next(case for case in CASES if case.name == "line")
    source = Place(case.build())
    await case.play(source)
    bundle = await source.export()

    for form in Form:
        outcome = await _replayed(bundle, case.build(), GraphMemory(forms={"log": form}))
        assert outcome.exact, form


async def test_threads_of_one_graph_may_be_written_at_once() -> None:
    """Each comes out as it would alone."""
    names = ("join", "join that waits", "time travel", "updates and copies")
    cases = [case for case in CASES if case.name in names]
    there = Place(cases[0].build())
    memory = Memory()

    async def replayed(case: Any) -> tuple[LocalTarget, list[Checkpoint], Outcome]:
        source = Place(case.build())
        await case.play(source)
        target = LocalTarget(there)
        outcome = await replay_thread(await source.export(), target, memory.of("g"))
        return target, await source.states(), outcome

    for target, wanted, outcome in await asyncio.gather(*map(replayed, cases * 2)):
        assert outcome.exact
        rebuilt = await there.states(target.thread_id)
        assert [record.values for record in rebuilt] == [record.values for record in wanted]


async def test_one_thread_that_cannot_be_staged_is_an_accident() -> None:
    """The next one is staged all the same; after two in a row none is tried any more."""

    class Lenient(LocalTarget):
        async def go_on(self, supersteps: Sequence[bytes]) -> None:
            steps = [json.loads(step) for step in supersteps]
            for step in steps:
                if len(step["updates"]) > 2:
                    del step["updates"][-2:]
            await super().go_on([json.dumps(step).encode() for step in steps])

    case = next(case for case in CASES if case.name == "two joins at once")
    source = Place(case.build())
    await case.play(source)
    bundle = await source.export()
    there = Place(case.build())
    memory = GraphMemory()

    kinds = (Lenient, LocalTarget, Lenient, Lenient, Lenient)
    outcomes = [await replay_thread(bundle, kind(there), memory) for kind in kinds]

    told = ["that j1, j2 had run"]
    assert [[loss.what for loss in outcome.losses] for outcome in outcomes] == [
        *(told, [], told, told, told)
    ]
    assert [outcome.attempts for outcome in outcomes[2:]] == [2, 2, 1]
