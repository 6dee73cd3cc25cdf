"""The graph whose threads the conformance kit writes: one node, which is always next."""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    n: int
    text: str


def model(state: State) -> dict[str, Any]:
    raise AssertionError("nothing that a sink writes runs a node")


def build() -> Any:
    graph = StateGraph(State)
    graph.add_node("model", model)
    graph.add_edge(START, "model")
    graph.add_edge("model", "model")
    return graph.compile()


agent = build()
