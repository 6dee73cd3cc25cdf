"""Branches that part and meet, a fan-out, and channels of every kind."""

from __future__ import annotations

import operator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from langgraph.channels import EphemeralValue, UntrackedValue
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from .executions import recorded


def larger(old: int | None, new: int | None) -> int:
    """A reducer of our own; without a first value it begins with 0."""
    return max(old or 0, new or 0)


def merged(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    """Merges tables; a null removes its key, which a replay of mere differences cannot say."""
    table = {**(old or {}), **(new or {})}
    return {key: value for key, value in table.items() if value is not None}


class Input(TypedDict, total=False):
    plan: dict[str, Any]
    log: Annotated[list[str], operator.add]


class Output(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


class Weave(TypedDict, total=False):
    plan: dict[str, Any]
    log: Annotated[list[str], operator.add]
    pieces: Annotated[list[Any], operator.add]
    best: Annotated[int, larger]
    table: Annotated[dict[str, Any], merged]
    last: Any
    odd: Any
    flash: Annotated[Any, EphemeralValue(Any)]
    untracked: Annotated[Any, UntrackedValue(Any)]


class Private(TypedDict, total=False):
    """What two nodes whisper to each other, outside the schema of the graph."""

    secret: str
    log: Annotated[list[str], operator.add]


class Piece(TypedDict):
    number: int


@recorded
def plant(state: Input) -> dict[str, Any]:
    return {
        "log": ["plant"],
        "best": 3,
        "table": {"a": 1, "b": {"deep": [1, 2]}},
        "flash": "here for one step",
        "untracked": "never kept",
        "last": state.get("plan", {}).get("topic"),
    }


@recorded
def left(state: Weave) -> dict[str, Any]:
    return {"log": ["left"], "best": 9, "table": {"left": True, "a": None}}


@recorded
def right(state: Weave) -> dict[str, Any]:
    return {"log": ["right"], "best": 2, "table": {"right": 1.5}}


@recorded
def silent(state: Weave) -> None:
    """A branch that gives nothing."""


@recorded
def gather(state: Weave) -> dict[str, Any]:
    """Runs once all three branches are done."""
    return {"log": ["gather"], "secret": "between us"}


@recorded
def whisper(state: Private) -> dict[str, Any]:
    return {"log": [f"heard {state.get('secret')}"]}


def fan_out(state: Weave) -> list[Send]:
    count = state.get("plan", {}).get("pieces", 3)
    return [*(Send("piece", {"number": n}) for n in range(count)), Send("extra", {"number": -1})]


@recorded
def piece(state: Piece) -> dict[str, Any] | None:
    """The middle one has nothing to say."""
    return None if state["number"] == 1 else {"pieces": [{"n": state["number"]}]}


@recorded
def extra(state: Piece) -> dict[str, Any]:
    return {"pieces": ["extra"], "last": "extra"}


@recorded
def still(state: Weave) -> dict[str, Any]:
    """A step that changes nothing."""
    return {}


@recorded
def twice(state: Weave) -> list[Any]:
    """Several updates of one channel by one task."""
    return [
        {"log": ["twice"], "best": 4},
        Command(update={"log": ["and again"]}),
        Command(update={"pieces": ["one"]}),
    ]


@recorded
def strange(state: Weave) -> dict[str, Any]:
    """Values that JSON renders with loss."""
    return {
        "log": ["strange"],
        "odd": {
            "bytes": b"\x00\xff",
            "decimal": Decimal("1.50"),
            "tuple": (1, 2),
            "date": date(2024, 1, 31),
            "moment": datetime(2024, 1, 31, 12, tzinfo=UTC),
            "text": 'nul \x00, quote ", line\nbreak \u2028 \N{GRINNING FACE}',
            "big": 2**63 - 1,
            "float": 1e300,
            "whole": 3.0,
            "minus": -0.0,
        },
    }


@recorded
def harvest(state: Weave) -> dict[str, Any]:
    """Waits until nothing else is left to run."""
    return {"log": ["harvest"], "last": None}


def build() -> Any:
    graph = StateGraph(Weave, input_schema=Input, output_schema=Output)
    graph.add_node("plant", plant)
    graph.add_node("left", left)
    graph.add_node("right", right)
    graph.add_node("silent", silent)
    graph.add_node("gather", gather)
    graph.add_node("whisper", whisper)
    graph.add_node("piece", piece)
    graph.add_node("extra", extra)
    graph.add_node("still", still)
    graph.add_node("twice", twice)
    graph.add_node("strange", strange)
    graph.add_node("harvest", harvest, defer=True)
    graph.add_edge(START, "plant")
    for branch in ("left", "right", "silent"):
        graph.add_edge("plant", branch)
    graph.add_edge(["left", "right", "silent"], "gather")
    graph.add_edge("gather", "whisper")
    graph.add_conditional_edges("whisper", fan_out, ["piece", "extra"])
    graph.add_edge("piece", "still")
    graph.add_edge("extra", "harvest")
    graph.add_edge("still", "twice")
    graph.add_edge("twice", "strange")
    graph.add_edge("strange", "harvest")
    graph.add_edge("harvest", END)
    return graph.compile()


graph = build()
