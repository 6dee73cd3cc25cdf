"""Threads with several branches: each is made of what it was made of, and led where it led."""

from __future__ import annotations

import json
from typing import Any

from langgraph.graph import START
from langgraph.types import Command, Send

from lgx import Checkpoint
from lgx_plugins.replay import Memory, Outcome, replay_thread

from .local import THREAD, LocalTarget, Place
from .zoo import State, graph, says


def _fanned_out_and_deferred() -> Any:
    nodes = {
        "a": says("a"),
        "piece": lambda s: {"log": [s["n"]]},
        "extra": says("extra"),
        "still": lambda s: {},
        "twice": says("twice"),
        "z": (says("z"), {"defer": True}),
    }
    edges = [(START, "a"), ("piece", "still"), ("extra", "z"), ("still", "twice"), ("twice", "z")]
    sends = lambda s: [Send("piece", {"n": 0}), Send("piece", {"n": 1}), Send("extra", {})]  # noqa: E731
    return graph(State, nodes, edges, (("a", sends),))


async def _before(place: Place, node: str) -> str:
    """The id of the newest checkpoint at which a node was next."""
    async for state in place.graph.aget_state_history(place.head()):
        if state.next == (node,):
            return str(state.config["configurable"]["checkpoint_id"])
    raise LookupError(node)


async def _rebuilt(source: Place, there: Place) -> tuple[Outcome, list[Any], list[Any]]:
    """What came of it, and of each checkpoint what it says, there and where it came from."""
    target = LocalTarget(there)
    outcome = await replay_thread(await source.export(), target, Memory().of("g"))
    sides = ((there, target.thread_id), (source, THREAD))
    made, wanted = [[_said(r) for r in await p.states(own)] for p, own in sides]
    return outcome, made, wanted


def _said(record: Checkpoint) -> dict[str, Any]:
    metadata = json.loads(bytes(record.metadata))  # type: ignore[arg-type]
    return {
        "values": json.loads(bytes(record.values)),  # type: ignore[arg-type]
        "next": sorted(json.loads(bytes(record.next))),  # type: ignore[arg-type]
        "step": metadata["step"],
        "source": {"loop": "update"}.get(metadata["source"], metadata["source"]),
    }


async def test_a_fork_of_a_fork_is_not_blamed_for_what_the_first_left_due() -> None:
    """A wrong guess at the first of them leaves a deferred node due in all that comes of it."""
    source = Place(_fanned_out_and_deferred())
    await source.graph.ainvoke({"log": ["in"]}, source.head())
    for node, as_node in (("still", "piece"), ("twice", "still")):
        past = source.at(await _before(source, node))
        fork = await source.graph.aupdate_state(past, {"log": [f"fork {node}"]}, as_node=as_node)
        await source.graph.ainvoke(None, fork)

    outcome, made, wanted = await _rebuilt(source, Place(_fanned_out_and_deferred()))

    assert made == wanted
    assert outcome.exact, outcome.losses


async def test_a_copy_is_of_the_checkpoint_that_leads_where_it_leads() -> None:
    """And not of a later one beside that, which holds the same."""
    nodes = {"a": says("a")}
    nothing: dict[str, Any] = {"log": []}
    source = Place(graph(State, nodes, [(START, "a")]))
    await source.graph.ainvoke(nothing, source.head())
    first, second = [source.at(await source.id_of(step=step)) for step in (-1, 0)]
    await source.graph.ainvoke(nothing, first)
    await source.graph.aupdate_state(second, None, as_node="__copy__")

    outcome, made, wanted = await _rebuilt(source, Place(graph(State, nodes, [(START, "a")])))

    assert made == wanted
    assert outcome.exact, outcome.losses


async def test_what_a_command_changed_in_a_copy_of_the_past_arrives() -> None:
    """Of such a copy everything but that it is one: a server's copies hold what they are of."""
    nodes = {name: says(name) for name in "abc"}
    edges = [(START, "a"), ("a", "b"), ("b", "c")]
    source = Place(graph(State, nodes, edges))
    await source.graph.ainvoke({"log": ["in"]}, source.head())
    past = source.at(await _before(source, "b"))
    await source.graph.ainvoke(Command(update={"log": ["ordered"], "q": "?"}), past)

    outcome, made, wanted = await _rebuilt(source, Place(graph(State, nodes, edges)))

    differing = [
        (ours, theirs) for ours, theirs in zip(wanted, made, strict=True) if ours != theirs
    ]
    assert [
        (ours["source"], ours | {"source": "update"} == theirs) for ours, theirs in differing
    ] == [("fork", True)]
    assert [loss.what for loss in outcome.losses if loss.holdable] == ["source of 1 checkpoint"]
