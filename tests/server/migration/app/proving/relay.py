"""Commands, interrupts and subgraphs; `plan["way"]` says where a run goes."""

from __future__ import annotations

import operator
import time
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from .executions import recorded

WAYS: dict[str, list[str]] = {
    "one": ["ask_left"],
    "two": ["ask_left", "ask_right"],
    "beside": ["ask_left", "quiet"],
    "series": ["ask_twice"],
    "gate": ["gate"],
    "inside": ["inner"],
    "climb": ["climber"],
    "fail": ["quiet", "fail"],
    "end": [END],
}


class Work(TypedDict):
    number: int


class Relay(TypedDict, total=False):
    plan: dict[str, Any]
    log: Annotated[list[str], operator.add]
    answers: Annotated[list[Any], operator.add]
    last: str


@recorded
def route(state: Relay) -> Any:
    """Goes where the plan says, with an update or without one, or with several in parts."""
    plan = state.get("plan", {})
    way = plan.get("way", "plain")
    if way == "sends":
        return Command(
            update={"log": ["route"]}, goto=[Send("worker", {"number": n}) for n in range(3)]
        )
    if way == "parts":
        sends = Send("worker", {"number": 7})
        return [{"log": ["route"]}, Command(update={"log": ["parted"]}, goto=[sends, "pause"])]
    if way == "bare":
        return Command(goto="pause")
    return Command(update={"log": ["route"], "last": way}, goto=WAYS.get(way, ["pause"]))


@recorded
def pause(state: Relay) -> Command[str]:
    """A second command, which leaves out a node that an edge would not."""
    return Command(update={"log": ["pause"]}, goto="closing")


@recorded
def worker(state: Work) -> Command[str]:
    return Command(update={"answers": [state["number"]]}, goto="closing")


@recorded
def ask_left(state: Relay) -> dict[str, Any]:
    return {"log": ["ask_left"], "answers": [interrupt({"question": "left?"})]}


@recorded
def ask_right(state: Relay) -> dict[str, Any]:
    return {"log": ["ask_right"], "answers": [interrupt({"question": "right?", "é": [None]})]}


@recorded
def ask_twice(state: Relay) -> dict[str, Any]:
    """Two interrupts, one after the other, in one task."""
    first = interrupt("first?")
    return {"log": ["ask_twice"], "answers": [first, interrupt(f"second, after {first}?")]}


@recorded
def quiet(state: Relay) -> dict[str, Any]:
    """Finishes beside a task that does not."""
    return {"log": ["quiet"]}


@recorded
def gate(state: Relay) -> dict[str, Any]:
    """The graph stops before it."""
    return {"log": ["gate"]}


@recorded
def fail(state: Relay) -> dict[str, Any]:
    """After the task beside it has finished, whose result is then kept."""
    time.sleep(0.3)
    raise ValueError("this thread was planned to fail")


@recorded
def closing(state: Relay) -> dict[str, Any]:
    return {"log": ["closing"], "last": f"{len(state.get('answers', []))} answers"}


class Inner(TypedDict, total=False):
    plan: dict[str, Any]
    log: Annotated[list[str], operator.add]
    steps: Annotated[list[str], operator.add]


@recorded
def inner_first(state: Inner) -> dict[str, Any]:
    return {"steps": ["first"]}


@recorded
def inner_ask(state: Inner) -> dict[str, Any]:
    if state.get("plan", {}).get("ask", True):
        interrupt("from inside?")
    return {"steps": ["asked"]}


@recorded
def climb(state: Inner) -> Command[str]:
    """Leaves the subgraph, for a node of the graph around it."""
    return Command(graph=Command.PARENT, update={"log": ["climbed"]}, goto="pause")


def inner() -> Any:
    graph = StateGraph(Inner)
    graph.add_node("first", inner_first)
    graph.add_node("ask", inner_ask)
    graph.add_edge(START, "first")
    graph.add_edge("first", "ask")
    graph.add_edge("ask", END)
    return graph.compile()


def climber() -> Any:
    graph = StateGraph(Inner)
    graph.add_node("first", inner_first)
    graph.add_node("climb", climb)
    graph.add_edge(START, "first")
    graph.add_edge("first", "climb")
    return graph.compile()


def build() -> Any:
    graph = StateGraph(Relay)
    everywhere = ("pause", "worker", *sorted({n for way in WAYS.values() for n in way}))
    graph.add_node("route", route, destinations=everywhere)
    graph.add_node("pause", pause, destinations=("closing",))
    graph.add_node("worker", worker, destinations=("closing",))
    graph.add_node("ask_left", ask_left)
    graph.add_node("ask_right", ask_right)
    graph.add_node("ask_twice", ask_twice)
    graph.add_node("quiet", quiet)
    graph.add_node("gate", gate)
    graph.add_node("fail", fail)
    graph.add_node("inner", inner())
    graph.add_node("climber", climber(), destinations=("pause",))
    graph.add_node("closing", closing)
    graph.add_edge(START, "route")
    for node in ("ask_left", "ask_right", "ask_twice", "quiet", "gate", "fail", "inner"):
        graph.add_edge(node, "closing")
    graph.add_edge("closing", END)
    return graph.compile(interrupt_before=["gate"])


graph = build()
