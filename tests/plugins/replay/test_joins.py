"""Joins into nodes that other edges reach as well: what no history shows is due as it was."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.graph import START

from lgx_plugins.replay import Edge, Memory, Topology, replay_thread
from lgx_plugins.replay.joins import Joins

from .local import THREAD, LocalTarget, Place
from .zoo import State, graph, says

GRAPHS: dict[str, list[tuple[Any, str]]] = {
    "the edge first": [
        *((START, "x"), ("x", "c"), ("x", "a"), ("x", "b"), ("a", "d")),
        (["a", "b"], "c"),
    ],
    "the edge last": [
        *((START, "a"), (START, "b"), ("a", "d"), ("d", "x"), ("x", "c")),
        (["a", "b"], "c"),
    ],
    "the join in two steps": [
        *((START, "a"), (START, "x"), ("x", "c"), ("a", "m"), ("m", "b"), ("m", "n"), ("n", "o")),
        (["a", "b"], "c"),
        ("b", "p"),
    ],
    "both at once, and again": [
        *((START, "a"), ("a", "b"), (START, "b"), (START, "c"), ("b", "c"), ("c", "d")),
        (["a", "b"], "d"),
    ],
    "after itself": [
        *((START, "a"), (START, "b"), ("c", "y"), ("y", "x"), ("x", "z")),
        (["a", "b"], "c"),
    ],
}


def build(edges: list[tuple[Any, str]]) -> Any:
    return graph(State, {node: says(node) for _, node in edges}, edges)


@pytest.mark.parametrize("stop", [None, "c"])
@pytest.mark.parametrize("edges", GRAPHS.values(), ids=GRAPHS)
async def test_nothing_is_due_that_was_not(edges: list[tuple[Any, str]], stop: str | None) -> None:
    """A join that has run is over on the target, too, whether it was seen to be due or not."""
    source, there = Place(build(edges)), Place(build(edges))
    for word in ("one", "two"):
        await source.graph.ainvoke({"log": [word]}, source.head())
    if stop is not None:
        await source.graph.ainvoke({"log": ["three"]}, source.head(), interrupt_before=[stop])
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    assert outcome.exact
    assert await there.due(target.thread_id) == await source.due()
    ends = [
        await place.graph.ainvoke({"log": ["more"]}, place.head(own))
        for place, own in ((there, target.thread_id), (source, THREAD))
    ]
    assert ends[0] == ends[1]


def test_an_edge_that_leads_at_once_is_of_no_join() -> None:
    """What is left of a node's edges may be one; a single edge is none."""
    nodes = frozenset("abcxn")
    topology = Topology(nodes, tuple(Edge(node, "n") for node in "abx"))
    plain: set[tuple[str, str]] = set()
    joins = Joins(topology, plain)
    assert joins.unclear
    assert joins.led({}, "n", ("x", "c")) == "x"
    assert joins.led({}, "n", ("a", "b")) is None  # of either, or of both
    assert joins.led({"n": frozenset("a")}, "n", ("b",)) is None  # may be the last
    plain.add(("x", "n"))
    assert not joins.unclear
    assert joins.complete(joins.after({}, (), ("a", "b")), "n")
    plain.add(("a", "n"))
    assert "n" not in joins
