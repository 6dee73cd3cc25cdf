"""Targets whose graph is not the source's: how far replay climbs down, and what it tells."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.graph import START
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from lgx import Bundle
from lgx.testing import make_bundle, make_context
from lgx_plugins.replay import Memory, Outcome, RefusedError, replay_thread

from .local import LocalTarget, Place
from .zoo import graph, turns


class Source(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]
    s: Annotated[list[Any], operator.add]
    x: int


def _marking(left: list[Any], right: list[Any]) -> list[Any]:
    return [*left, *right, "!"]


def _refusing(left: list[Any], right: list[Any]) -> list[Any]:
    raise RuntimeError("never")


class Marked(TypedDict, total=False):
    log: Annotated[list[Any], _marking]
    s: Annotated[set[Any], operator.or_]
    x: int


class Swapped(TypedDict, total=False):
    log: list[Any]
    s: list[Any]
    x: Annotated[int, operator.add]


class Refusing(TypedDict, total=False):
    log: Annotated[list[Any], _refusing]
    s: Annotated[list[Any], _refusing]
    x: int


class Smaller(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]
    x: int


NODES: dict[str, Any] = {
    "a": lambda s: {"log": ["a"], "x": len(s["log"]), "s": ["q"]},
    "b": lambda s: {"log": ["b"], "s": [len(s["log"])]},
    "c": lambda s: {"log": ["c"]},
}
EDGES: list[tuple[Any, str]] = [(START, "a"), ("a", "b"), ("b", "c")]


async def _exported(cut: int = 0) -> tuple[Place, Bundle]:
    source = Place(graph(Source, NODES, EDGES))
    await turns(3)(source)
    thread, *states = await source.export()
    return source, make_bundle(make_context(), [thread, *states[cut:]])


async def _replayed(
    bundle: Bundle, builder: Any, memory: Memory | None = None
) -> tuple[Place, LocalTarget, Outcome]:
    there = Place(builder)
    target = LocalTarget(there)
    outcome = await replay_thread(bundle, target, (memory or Memory()).of("g"))
    return there, target, outcome


async def _values(place: Place, thread_id: str) -> list[Any]:
    return [json.loads(bytes(r.values)) for r in await place.states(thread_id)]  # type: ignore[arg-type]


@pytest.mark.parametrize("schema", [Marked, Refusing], ids=["other result", "error"])
async def test_where_a_reducer_does_something_else_values_are_put_in_its_place(schema: Any) -> None:
    """Every state is as it was, whatever today's reducers make of what was once written."""
    source, bundle = await _exported()

    there, target, outcome = await _replayed(bundle, graph(schema, NODES, EDGES))

    assert outcome.exact
    assert outcome.fidelity == "replayed"
    assert await _values(there, target.thread_id) == await _values(source, bundle.thread_id)


async def test_what_one_thread_has_taught_the_next_one_knows() -> None:
    """The second thread of a graph whose reducers have changed is written once."""
    _, bundle = await _exported()
    memory = Memory()
    _, _, first = await _replayed(bundle, graph(Marked, NODES, EDGES), memory)

    _, _, second = await _replayed(bundle, graph(Marked, NODES, EDGES), memory)

    assert first.attempts > 2
    assert (second.attempts, second.exact) == (1, True)


def _holdable(outcome: Outcome) -> list[str]:
    return [loss.what for loss in outcome.losses if loss.holdable]


@pytest.mark.parametrize("schema", [Marked, Swapped, Refusing, Smaller])
async def test_a_second_thread_comes_out_no_worse(schema: Any) -> None:
    """Nor does it take more attempts: what was learnt of the graph is of use."""
    _, bundle = await _exported()
    memory = Memory()

    _, _, first = await _replayed(bundle, graph(schema, NODES, EDGES), memory)
    _, _, second = await _replayed(bundle, graph(schema, NODES, EDGES), memory)

    assert _holdable(second) == _holdable(first)
    assert second.attempts <= first.attempts


async def test_messages_that_had_to_be_put_in_place_are_told() -> None:
    """A target that takes a step only where all of it overwrites gets data for messages."""

    class Talk(TypedDict, total=False):
        messages: Annotated[list[Any], add_messages]
        x: Any

    class Deaf(TypedDict, total=False):
        messages: Annotated[list[Any], add_messages]
        x: Annotated[Any, _refusing]

    nodes = {"a": lambda s: {"messages": [AIMessage("a", id="a")], "x": [1]}}
    source = Place(graph(Talk, nodes, [(START, "a")]))
    await source.graph.ainvoke({"messages": [HumanMessage("hi", id="h")], "x": [0]}, source.head())
    bundle = await source.export()
    there = Place(graph(Deaf, nodes, [(START, "a")]))
    target = LocalTarget(there)

    outcome = await replay_thread(bundle, target, Memory().of("g"))

    held = (await there.graph.aget_state(there.head(target.thread_id))).values["messages"]
    data = [message for message in held if not isinstance(message, BaseMessage)]
    told = [loss.what for loss in outcome.losses if loss.what.startswith("messages of")]
    assert bool(data) == bool(told)


async def test_where_reducers_were_swapped_only_what_is_never_written_differs() -> None:
    """No update brings back an empty list before the first write; a zero that nobody has written
    is no difference."""
    _, bundle = await _exported()

    _, _, outcome = await _replayed(bundle, graph(Swapped, NODES, EDGES))

    assert [(loss.what, loss.holdable) for loss in outcome.losses] == [
        ("channel 'log' of 1 checkpoint", True),
        ("channel 's' of 1 checkpoint", True),
    ]


async def test_a_channel_that_the_target_lacks_is_told() -> None:
    """It is lost in every state, and nothing else is."""
    _, bundle = await _exported()
    memory = Memory()

    _, _, outcome = await _replayed(bundle, graph(Smaller, NODES, EDGES), memory)
    _, _, second = await _replayed(bundle, graph(Smaller, NODES, EDGES), memory)

    assert [loss.what for loss in outcome.losses] == ["channel 's' of 15 checkpoints"]
    assert second.losses == outcome.losses
    assert second.attempts == 1


async def test_a_node_that_the_target_lacks_leaves_the_values() -> None:
    """Its steps are sent under other nodes: states are equal, what comes next is not."""
    source, bundle = await _exported()
    nodes = {name: body for name, body in NODES.items() if name != "b"}

    there, target, outcome = await _replayed(
        bundle, graph(Source, nodes, [(START, "a"), ("a", "c")])
    )

    assert outcome.fidelity == "values"
    assert {loss.what.partition(" of ")[0] for loss in outcome.losses} == {"next"}
    assert await _values(there, target.thread_id) == await _values(source, bundle.thread_id)


async def test_what_cannot_be_mended_keeps_nothing_else_from_being_mended() -> None:
    """A node under another name, a channel that is gone and a reducer that has changed: all
    checkpoints stand there, with all that the graph there can hold. What comes next differs where
    it is the node, and not after it."""

    class Other(TypedDict, total=False):
        log: Annotated[list[Any], _marking]
        x: int

    source, bundle = await _exported()
    nodes = {**NODES, "renamed": NODES["b"]}
    del nodes["b"]
    edges = [(START, "a"), ("a", "renamed"), ("renamed", "c")]

    there, target, outcome = await _replayed(bundle, graph(Other, nodes, edges))

    assert (outcome.fidelity, outcome.checkpoints) == ("values", 15)
    told = [loss.what for loss in outcome.losses]
    assert told == ["channel 's' of 15 checkpoints", "next of 3 checkpoints"]
    held = await _values(there, target.thread_id)
    wanted = await _values(source, bundle.thread_id)
    assert held == [{k: v for k, v in state.items() if k != "s"} for state in wanted]


async def test_edges_that_changed_are_told_and_nothing_else() -> None:
    """What comes next follows today's graph."""
    _, bundle = await _exported()
    nodes = {**NODES, "new": lambda s: {}}
    edges = [(START, "a"), ("a", "new"), ("new", "b"), ("b", "c")]

    _, _, outcome = await _replayed(bundle, graph(Source, nodes, edges))

    assert outcome.fidelity == "replayed"
    assert [loss.what for loss in outcome.losses] == ["next of 3 checkpoints"]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 14])
async def test_a_history_that_begins_in_the_middle_is_rebuilt_from_there(cut: int) -> None:
    """What its first checkpoint came upon is made up of that checkpoint's own values; numbers
    begin anew, and that is told."""
    source, bundle = await _exported(cut)

    there, target, outcome = await _replayed(bundle, graph(Source, NODES, EDGES))

    assert outcome.exact
    based = cut == 5  # an input comes first
    assert outcome.inserted == ((0,) if based else ())
    wanted = (await _values(source, bundle.thread_id))[: 15 - cut]
    rebuilt = await _values(there, target.thread_id)
    assert rebuilt[: 15 - cut] == wanted
    assert len(rebuilt) == 15 - cut + based
    told = ["what 1 checkpoint came from", *(["the step number"] if cut > 1 else [])]
    assert [loss.what for loss in outcome.losses] == told


async def test_a_body_that_is_refused_whole_is_sent_step_by_step() -> None:
    """Nothing of it is applied: which of its steps is to blame shows only then."""

    class Strict(LocalTarget):
        async def _apply(self, supersteps: Sequence[bytes]) -> None:
            for step in supersteps:
                if b'"as_node":"b"' in step and b"__overwrite__" not in step:
                    raise RefusedError("not valid under any of the schemas")
            await super()._apply(supersteps)

    source, bundle = await _exported()
    there = Place(graph(Source, NODES, EDGES))
    target = Strict(there)

    outcome = await replay_thread(bundle, target, Memory().of("g"))

    assert (outcome.fidelity, outcome.exact) == ("replayed", True)
    assert await _values(there, target.thread_id) == await _values(source, bundle.thread_id)


async def test_where_no_history_is_taken_the_last_state_is() -> None:
    """The lowest rung, and the loss says what is missing."""

    class Short(LocalTarget):
        async def create(self, supersteps: Sequence[bytes]) -> None:
            if len(supersteps) > 1:
                raise RefusedError("one step is enough")
            await super().create(supersteps)

        async def go_on(self, supersteps: Sequence[bytes]) -> None:
            raise RefusedError("one step is enough")

    source, bundle = await _exported()
    there = Place(graph(Source, NODES, EDGES))
    target = Short(there)

    outcome = await replay_thread(bundle, target, Memory().of("g"))

    assert (outcome.fidelity, outcome.exact, outcome.checkpoints) == ("latest", False, 1)
    assert await _values(there, target.thread_id) == (await _values(source, bundle.thread_id))[:1]
    holdable = [(loss.what, loss.checkpoints) for loss in outcome.losses if loss.holdable]
    assert holdable == [("14 checkpoints", 14)]


async def test_the_last_state_climbs_as_the_others_do() -> None:
    """Also of a history that begins in the middle, with an input upon what is not there."""

    class Odd(LocalTarget):
        async def create(self, supersteps: Sequence[bytes]) -> None:
            if len(supersteps) > 1:
                raise RefusedError("one step is enough")
            if b"__overwrite__" not in supersteps[0]:
                raise RefusedError("put it in place")
            await super().create(supersteps)

        async def go_on(self, supersteps: Sequence[bytes]) -> None:
            raise RefusedError("one step is enough")

    source, bundle = await _exported(5)
    there = Place(graph(Source, NODES, EDGES))
    target = Odd(there)

    outcome = await replay_thread(bundle, target, Memory().of("g"))

    assert (outcome.fidelity, outcome.checkpoints) == ("latest", 1)
    assert await _values(there, target.thread_id) == (await _values(source, bundle.thread_id))[:1]


async def test_no_node_is_tried_twice_for_what_somebody_updated() -> None:
    """Nor passed over: which ones are likely changes while threads beside it are read."""
    nodes: dict[str, Any] = {name: lambda s: {} for name in "abcde"}
    choices = (("b", lambda s: "d"), ("c", lambda s: "e"))
    source, there = (Place(graph(Source, nodes, [(START, "a")], choices)) for _ in range(2))
    await source.graph.ainvoke({"log": ["in"]}, source.head())
    past = source.at(await source.id_of(step=0))
    await source.graph.aupdate_state(past, {"x": 1}, as_node="c")
    memory = Memory().of("g")
    memory.equal["x"] = 1

    class Among(LocalTarget):
        async def remove(self) -> None:
            await super().remove()
            names = "bdc" if self.calls.count("remove") < 3 else "cbd"
            memory.successors = dict.fromkeys(names, ("elsewhere",))

    outcome = await replay_thread(await source.export(), Among(there), memory)

    assert (outcome.exact, outcome.losses) == (True, ())
