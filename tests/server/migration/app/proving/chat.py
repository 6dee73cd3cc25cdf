"""A conversation with tools, without a model: everything that a list of messages goes through.

`plan` tells the nodes what to say: `usage` and `invalid` put token counts and broken tool
calls into answers, `clear` removes all messages, `quiet` leaves the state as it is, `letters`
puts messages into other channels, too: those of another name, and those that are not made for
messages, where nothing gives them ids nor turns JSON into messages again.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages

from .executions import recorded


class Chat(TypedDict, total=False):
    plan: dict[str, Any]
    messages: Annotated[list[AnyMessage], add_messages]
    notes: Annotated[list[str], operator.add]
    summary: str
    thoughts: Annotated[list[AnyMessage], add_messages]
    archive: Annotated[list[Any], operator.add]
    newest: AnyMessage


@recorded
def remember(state: Chat) -> dict[str, Any] | None:
    """Adds messages without ids, or nothing at all."""
    plan = state.get("plan", {})
    if plan.get("quiet"):
        return None
    opening = [("system", "be brief"), {"role": "user", "content": plan.get("topic", "hello")}]
    return {"messages": opening, "notes": ["remember"]}


@recorded
def ask_model(state: Chat) -> dict[str, Any]:
    """Asks for two tools at once; the reducer gives the answer its id."""
    plan = state.get("plan", {})
    usage = UsageMetadata(
        input_tokens=11,
        output_tokens=7,
        total_tokens=18,
        input_token_details={"cache_read": 3},
    )
    answer = AIMessage(
        "",
        tool_calls=[
            {
                "name": "look_up",
                "args": {"query": "é \N{GRINNING FACE}", "n": [1, 2.5]},
                "id": "c1",
            },
            {"name": "look_up", "args": {}, "id": "c2"},
        ],
        invalid_tool_calls=(
            [{"name": "look_up", "args": "{broken", "id": "c3", "error": "no JSON"}]
            if plan.get("invalid")
            else []
        ),
        usage_metadata=usage if plan.get("usage") else None,
        response_metadata={"model_name": "none", "logprobs": None},
        additional_kwargs={"refusal": None},
    )
    return {"messages": answer, "notes": ["ask_model"]}


@recorded
def use_tools(state: Chat) -> dict[str, Any]:
    """One tool that worked and one that did not."""
    return {
        "messages": [
            ToolMessage(
                "found", tool_call_id="c1", name="look_up", artifact={"rows": [[1, "a"], None]}
            ),
            ToolMessage([{"type": "text", "text": "lost"}], tool_call_id="c2", status="error"),
        ]
    }


@recorded
def answer(state: Chat) -> dict[str, Any]:
    """An answer in blocks, with an id of its own, and what a provider adds to it."""
    number = len(state.get("notes", []))
    blocks: list[str | dict[str, Any]] = [
        {"type": "text", "text": "see ", "annotations": []},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        "plain",
    ]
    letters: dict[str, Any] = {}
    if state.get("plan", {}).get("letters"):
        letters = {
            "thoughts": AIMessage("hm"),
            "archive": [AIMessage("kept"), HumanMessage("kept, too", id="kept")],
            "newest": AIMessage("last", name="Zoë"),
        }
    return letters | {
        "messages": [
            AIMessage(blocks, id=f"answer-{number}", name="Zoë"),
            AIMessage(f"draft {number}", id=f"draft-{number}"),
        ],
        "notes": ["answer"],
    }


@recorded
def tidy(state: Chat) -> dict[str, Any]:
    """Removes the oldest message, edits the newest in place, and adds one more."""
    messages = state["messages"]
    if state.get("plan", {}).get("clear"):
        return {
            "messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), HumanMessage("all over again")],
            "summary": "cleared",
        }
    newest = messages[-1]
    return {
        "messages": [
            RemoveMessage(id=str(messages[0].id)),
            AIMessage(f"{newest.content}, mended", id=newest.id),
            SystemMessage("tidied"),
        ],
        "summary": f"{len(messages)} messages",
    }


@recorded
def rest(state: Chat) -> dict[str, Any]:
    """A step that changes nothing."""
    return {}


def build() -> Any:
    graph = StateGraph(Chat)
    graph.add_node("remember", remember)
    graph.add_node("ask_model", ask_model)
    graph.add_node("use_tools", use_tools)
    graph.add_node("answer", answer)
    graph.add_node("tidy", tidy)
    graph.add_node("rest", rest)
    graph.add_edge(START, "remember")
    graph.add_edge("remember", "ask_model")
    graph.add_conditional_edges(
        "ask_model",
        lambda state: "use_tools" if state["messages"][-1].tool_calls else END,
        ["use_tools", END],
    )
    graph.add_edge("use_tools", "answer")
    graph.add_edge("answer", "tidy")
    graph.add_edge("tidy", "rest")
    graph.add_edge("rest", END)
    return graph.compile()


graph = build()
