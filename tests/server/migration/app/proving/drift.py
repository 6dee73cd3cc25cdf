"""Graphs that have changed between the day of the history and today: the target's are others."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from .executions import on_target, recorded


def total(old: int, new: int) -> int:
    return old + 2 * new if on_target() else old + new


def unique(old: list[str], new: list[str]) -> list[str]:
    """Once a list that took everything, today one without repetitions."""
    return list(dict.fromkeys(old + new)) if on_target() else old + new


def shortened(old: list[AnyMessage], new: Any) -> Any:
    """Today only the newest two messages stay."""
    messages: Any = add_messages(old, new)  # type: ignore[arg-type]
    return messages[-2:] if on_target() else messages


class Drift(TypedDict, total=False):
    rounds: int
    count: int
    total: Annotated[int, total]
    log: Annotated[list[str], unique]
    same: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], shortened]


@recorded
def turn(state: Drift) -> dict[str, Any]:
    count = state.get("count", 0) + 1
    return {
        "count": count,
        "total": count,
        "log": ["turn"],
        "same": ["turn"],
        "messages": [AIMessage(f"round {count}")],
    }


def more(state: Drift) -> str:
    return "turn" if state.get("count", 0) < state.get("rounds", 0) else END


def build() -> Any:
    graph = StateGraph(Drift)
    graph.add_node("turn", turn)
    graph.add_edge(START, "turn")
    graph.add_conditional_edges("turn", more, ["turn", END])
    return graph.compile()


class Renamed(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


@recorded
def work(state: Renamed) -> dict[str, Any]:
    return {"log": ["work"]}


def build_renamed() -> Any:
    """A graph whose only node bears another name today."""
    name = "new_name" if on_target() else "old_name"
    graph = StateGraph(Renamed)
    graph.add_node(name, work)
    graph.add_edge(START, name)
    graph.add_edge(name, END)
    return graph.compile()


graph = build()
renamed = build_renamed()
