"""The graph whose threads the older export tool saved in the backup that tests have."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    n: Annotated[int, operator.add]
    files: Annotated[dict[str, Any] | None, operator.or_]  # absent at first, so typed


def answer(state: State) -> dict[str, Any]:
    return {"messages": [AIMessage("echo")], "n": 1}


def tool(state: State) -> dict[str, Any]:
    return {"files": {}, "n": 1}


def human(state: State) -> dict[str, Any]:
    interrupt("go on?")
    return {}


def sub(state: State) -> dict[str, Any]:
    return {"messages": [AIMessage("inner")]}


def build() -> Any:
    graph = StateGraph(State)
    for name, node in (("agent", answer), ("tool", tool), ("human", human), ("sub", sub)):
        graph.add_node(name, node)
    for start, end in ((START, "agent"), ("agent", "tool"), ("tool", "human"), ("human", "sub")):
        graph.add_edge(start, end)
    graph.add_edge("sub", END)
    return graph.compile()


agent = build()


class Talk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]


def reply(state: Talk) -> dict[str, Any]:
    return {"messages": [AIMessage("echo")]}


def build_talk(node: str) -> Any:
    """A graph of which the backup's threads have two channels too many, and nodes."""
    graph = StateGraph(Talk)
    graph.add_node(node, reply)
    graph.add_edge(START, node)
    graph.add_edge(node, END)
    return graph.compile()


talk = build_talk("agent")
strange = build_talk("nobody")
