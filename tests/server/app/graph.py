"""The graphs of the test server: everything that makes a history hard to export, and no model.

`tour` has an adding list, messages with removals, parallel branches that meet in a join edge,
a subgraph without and one with its own checkpointer, one inside another, a fan-out by
`Send`, an interrupt, a node that fails and nodes whose values break the server's JSON.
`loop` makes one checkpoint a round.
"""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send, interrupt


class Tour(TypedDict, total=False):
    """`plan` chooses what a run meets: fork-free runs differ by their input only."""

    plan: dict[str, Any]
    log: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], add_messages]
    pieces: Annotated[list[int], operator.add]
    kept: int
    odd: Any
    answer: Any


class Piece(TypedDict):
    number: int


def _note(name: str) -> dict[str, Any]:
    return {"log": [name]}


def draft(state: Tour) -> dict[str, Any]:
    topic = state.get("plan", {}).get("topic", "nothing")
    turn = len(state.get("log", []))
    return {
        "log": ["draft"],
        "messages": [
            HumanMessage(f"tell me about {topic}", id=f"question-{turn}"),
            AIMessage(f"{topic}: a first draft", id=f"draft-{turn}"),
        ],
    }


def left(state: Tour) -> dict[str, Any]:
    return _note("left")


def right(state: Tour) -> dict[str, Any]:
    return _note("right")


def rare(state: Tour) -> dict[str, Any]:
    """Values that JSON renders with loss, or that the server cannot render at all."""
    match state.get("plan", {}).get("odd"):
        case "integer":
            return {"log": ["rare"], "odd": 10**30}
        case "nesting":
            nested: list[Any] = []
            for _ in range(300):
                nested = [nested]
            return {"log": ["rare"], "odd": nested}
        case "types":
            return {
                "log": ["rare"],
                "odd": {
                    "bytes": b"\x00\xff",
                    "decimal": Decimal("1.50"),
                    "set": {3},
                    "text": 'nul \x00, quote ", emoji \N{GRINNING FACE}, line\nbreak \u2028',
                    "big": 2**63 - 1,
                    "float": 1e300,
                },
            }
    return {"log": ["rare"]}


def usual(state: Tour) -> dict[str, Any]:
    """What `rare` left is gone from here on: later checkpoints are healthy."""
    odd = state.get("plan", {}).get("odd")
    return {"log": ["usual"], "odd": None} if odd in {"integer", "nesting"} else _note("usual")


class Inner(TypedDict, total=False):
    """The subgraphs share the plan with their parent, and give nothing back to it."""

    plan: dict[str, Any]
    notes: Annotated[list[str], operator.add]
    strange: Any


def inner_first(state: Inner) -> dict[str, Any]:
    odd = state.get("plan", {}).get("odd")
    return {"notes": ["first"], "strange": 10**30 if odd == "inner" else None}


def inner_second(state: Inner) -> dict[str, Any]:
    return {"notes": ["second"]}


def inner_last(state: Inner) -> dict[str, Any]:
    if state.get("plan", {}).get("ask") == "inside":
        interrupt({"question": "from inside a subgraph?"})
    return {"notes": ["last"], "strange": None}


class Kept(TypedDict, total=False):
    plan: dict[str, Any]
    kept: int


def keep(state: Kept) -> dict[str, Any]:
    return {"kept": state.get("kept", 0) + 1}


def fan_out(state: Tour) -> list[Send]:
    return [Send("piece", {"number": n}) for n in range(state.get("plan", {}).get("pieces", 2))]


def piece(state: Piece) -> dict[str, Any]:
    return {"pieces": [state["number"]]}


def trim(state: Tour) -> dict[str, Any]:
    """Removes all messages but the newest two."""
    old = state.get("messages", [])[:-2]
    return {"log": ["trim"], "messages": [RemoveMessage(id=str(m.id)) for m in old]}


def ask(state: Tour) -> dict[str, Any]:
    plan = state.get("plan", {})
    if plan.get("fail"):
        raise ValueError("this thread was planned to fail")
    if plan.get("ask") is not True:
        return _note("ask")
    return {"log": ["ask"], "answer": interrupt({"question": f"is {plan.get('topic')} right?"})}


def deepest() -> Any:
    graph = StateGraph(Inner)
    graph.add_node("bottom", inner_second)
    graph.add_edge(START, "bottom")
    return graph.compile()


def inner() -> Any:
    graph = StateGraph(Inner)
    graph.add_node("first", inner_first)
    graph.add_node("deep", deepest())
    graph.add_edge(START, "first")
    graph.add_node("last", inner_last)
    graph.add_edge("first", "deep")
    graph.add_edge("deep", "last")
    return graph.compile()


def keeper() -> Any:
    """A subgraph that remembers: its checkpoints go on from run to run."""
    graph = StateGraph(Kept)
    graph.add_node("keep", keep)
    graph.add_edge(START, "keep")
    return graph.compile(checkpointer=True)


called = inner()


def call(state: Tour) -> dict[str, Any]:
    """Calls a subgraph as a function."""
    result = called.invoke({"plan": state.get("plan", {})})
    return {"log": [f"called {len(result['notes'])}"]}


def build_tour() -> Any:
    graph = StateGraph(Tour)
    graph.add_node("draft", draft)
    graph.add_node("left", left)
    graph.add_node("right", right)
    graph.add_node("rare", rare)
    graph.add_node("usual", usual)
    graph.add_node("inner", inner())
    graph.add_node("keeper", keeper())
    graph.add_node("call", call)
    graph.add_node("piece", piece)
    graph.add_node("trim", trim)
    graph.add_node("ask", ask)
    graph.add_edge(START, "draft")
    graph.add_edge("draft", "left")
    graph.add_edge("draft", "right")
    graph.add_edge(["left", "right"], "rare")
    graph.add_edge("rare", "usual")
    graph.add_edge("usual", "inner")
    graph.add_edge("inner", "keeper")
    graph.add_edge("keeper", "call")
    graph.add_conditional_edges("call", fan_out, ["piece"])
    graph.add_edge("piece", "trim")
    graph.add_edge("trim", "ask")
    graph.add_edge("ask", END)
    return graph.compile()


class Loop(TypedDict, total=False):
    rounds: int
    count: int


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


tour = build_tour()
loop = build_loop()
