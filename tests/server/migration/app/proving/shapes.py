"""Small graphs whose states have other shapes than a dictionary of lists, and a long one."""

from __future__ import annotations

import operator
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, TypedDict

from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Overwrite
from pydantic import BaseModel, Field

from .executions import recorded


class Loop(TypedDict, total=False):
    rounds: int
    count: int


@recorded
def turn(state: Loop) -> dict[str, int]:
    return {"count": state.get("count", 0) + 1}


def more(state: Loop) -> str:
    return "turn" if state.get("count", 0) < state.get("rounds", 0) else END


def build_loop() -> Any:
    graph = StateGraph(Loop)
    graph.add_node("turn", turn)
    graph.add_edge(START, "turn")
    graph.add_conditional_edges("turn", more, ["turn", END])
    return graph.compile()


@recorded
def append(state: list[str]) -> list[str]:
    return [f"after {len(state)}"]


def build_root() -> Any:
    """A state that is one list, without names of channels."""
    graph: Any = StateGraph(Annotated[list[str], operator.add])  # type: ignore[arg-type]
    graph.add_node("append", append)
    graph.add_node("again", append)
    graph.add_edge(START, "append")
    graph.add_edge("append", "again")
    graph.add_edge("again", END)
    return graph.compile()


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Person(BaseModel):
    name: str
    born: date | None = None


class Typed(BaseModel):
    mood: Mood = Mood.GOOD
    people: Annotated[list[Person], operator.add] = Field(default_factory=list)
    count: Annotated[int, operator.add] = 0
    dated: bool = False


@recorded
def meet(state: Typed) -> dict[str, Any]:
    """With a date in it, the server cannot read the history again."""
    born = date(1990, 1, 2) if state.dated else None
    person = Person(name=f"nr {state.count}", born=born)
    return {"people": [person], "count": 1, "mood": Mood.BAD}


def build_typed() -> Any:
    """A state that is a model, with models in it."""
    graph = StateGraph(Typed)
    graph.add_node("meet", meet)
    graph.add_node("again", meet)
    graph.add_edge(START, "meet")
    graph.add_edge("meet", "again")
    graph.add_edge("again", END)
    return graph.compile()


class Sets(TypedDict, total=False):
    seen: Annotated[set[str], operator.or_]
    log: Annotated[list[str], operator.add]


@recorded
def see(state: Sets) -> dict[str, Any]:
    number = len(state.get("seen", ()))
    return {"seen": {f"thing {number}"}, "log": ["see"]}


def build_sets() -> Any:
    """A reducer that cannot take what JSON makes of its values."""
    graph = StateGraph(Sets)
    graph.add_node("see", see)
    graph.add_node("again", see)
    graph.add_edge(START, "see")
    graph.add_edge("see", "again")
    graph.add_edge("again", END)
    return graph.compile()


class Stacked(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    table: dict[str, Any]


@recorded
def replace(state: Stacked) -> dict[str, Any]:
    """Goes round the reducer itself."""
    return {"log": Overwrite(["anew"]), "table": {"__overwrite__": "a key of ours"}}


@recorded
def deep(state: Stacked) -> dict[str, Any]:
    return {"log": [f"deep after {len(state.get('log', []))}"]}


def stack(depth: int) -> Any:
    """A graph in a graph in a graph."""
    graph = StateGraph(Stacked)
    graph.add_node("deep", stack(depth - 1) if depth else deep)
    graph.add_edge(START, "deep")
    graph.add_edge("deep", END)
    return graph.compile()


def build_stacked() -> Any:
    graph = StateGraph(Stacked)
    graph.add_node("replace", replace)
    graph.add_node("stack", stack(2))
    graph.add_edge(START, "replace")
    graph.add_edge("replace", "stack")
    graph.add_edge("stack", END)
    return graph.compile()


@task
def double(number: int) -> int:
    return 2 * number


@entrypoint()
def functional(number: int, *, previous: int | None = None) -> Any:
    """A workflow of the functional API: its state is what it returned last."""
    saved = (previous or 0) + double(number).result()
    return entrypoint.final(value={"said": saved}, save=saved)


loop = build_loop()
root = build_root()
typed = build_typed()
sets = build_sets()
stacked = build_stacked()
gone = build_loop()
