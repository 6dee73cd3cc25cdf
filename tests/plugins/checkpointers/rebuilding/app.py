"""Graphs of a team, as langgraph.json names them; its nodes write down that they ran."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt
from langsmith.utils import tracing_is_enabled
from typing_extensions import TypedDict

RAN: list[str] = []
"""The nodes that ran, in order."""


TRACED: list[Any] = []
"""Whether LangSmith would have been told, at each choice of an edge."""


class State(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    log: Annotated[list[str], operator.add]
    size: int


def think(state: State) -> dict[str, Any]:
    RAN.append("think")
    usage = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    text = f"I think of {state['messages'][-1].content}"
    return {"messages": AIMessage(text, usage_metadata=usage), "log": ["thought"]}


def ask(state: State) -> dict[str, Any]:
    RAN.append("ask")
    first = interrupt({"question": "first?"})
    second = interrupt("second?") if state.get("size") == 2 else None
    return {"log": [f"answered {first} {second}"]}


def close(state: State) -> dict[str, Any]:
    RAN.append("close")
    return {"log": [f"closed after {len(state['log'])}"]}


def built(*, asks: bool = True) -> StateGraph[Any, Any, Any, Any]:
    made = StateGraph(State)
    made.add_node(think)
    made.add_node(close)
    made.add_edge(START, "think")
    if asks:
        made.add_node(ask)
        made.add_edge("think", "ask")
        made.add_edge("ask", "close")
    else:
        made.add_edge("think", "close")
    made.add_edge("close", END)
    return made


def again(state: State) -> dict[str, Any]:
    RAN.append("again")
    return {"log": ["x" * (state.get("size") or 1)]}


def looped() -> StateGraph[Any, Any, Any, Any]:
    """Goes round for as long as it is let."""
    made = StateGraph(State)
    made.add_node(again)
    made.add_edge(START, "again")
    made.add_edge("again", "again")
    return made


async def _choose(state: State) -> str:
    TRACED.append(tracing_is_enabled())
    return "close" if state["log"] else END


def choosing() -> StateGraph[Any, Any, Any, Any]:
    """One whose edge is chosen by an async function."""
    made = StateGraph(State)
    made.add_node(think)
    made.add_node(close)
    made.add_edge(START, "think")
    made.add_conditional_edges("think", _choose)
    return made


graph = built().compile()
uncompiled = built()
short = built(asks=False).compile()
loop = looped().compile()
chooser = choosing().compile()


def made() -> Any:
    return built().compile()


def made_with(config: dict[str, Any]) -> Any:
    assert config["configurable"] == {}
    return built().compile()


async def made_async() -> Any:
    return built().compile()


@contextmanager
def managed() -> Iterator[Any]:
    yield built().compile()
    RAN.append("closed the manager")


@asynccontextmanager
async def managed_async(config: dict[str, Any]) -> AsyncIterator[Any]:
    yield built()
    RAN.append("closed the manager")


class Holder:
    inside = graph


no_graph = 5


def failing() -> Any:
    raise RuntimeError("no model is configured")
