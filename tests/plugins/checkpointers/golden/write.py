"""Runs graphs on the saver that is installed: what the files in `postgres` and `sqlite` hold, each
named after the version of langgraph-checkpoint-postgres or -sqlite that wrote it.

    python write.py DSN && pg_dump --inserts --no-owner DSN
    python write.py FILE && sqlite3 FILE .dump
"""

from __future__ import annotations

import operator
import sqlite3
import sys
from contextlib import closing
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.constants import Send  # where versions before 0.2.27 have it, too
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages


class State(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    done: Annotated[list[str], operator.add]
    job: str
    n: int
    half: float
    tags: set[str]
    raw: bytes


def _first(state: State) -> dict[str, Any]:
    n = state.get("n", 0)
    return {
        "n": n + 1,
        "half": 0.5,
        "tags": {"a", "b"},
        "raw": b"\x00\xff",
        "messages": [AIMessage(content="hi 🎈", id=f"a{n}")],
    }


def _graph() -> StateGraph[Any]:
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("first", _first)
    graph.add_node("work", lambda state: {"done": [state["job"]]})
    graph.add_node("last", lambda _: {"done": ["last"]})
    graph.add_edge(START, "first")
    graph.add_conditional_edges(
        "first", lambda _: [Send("work", {"job": job}) for job in "ab"], ["work"]
    )
    graph.add_edge("work", "last")
    graph.add_edge("last", END)
    return graph


def _outer() -> StateGraph[Any]:
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("child", _graph().compile())
    graph.add_node("end", lambda _: {"n": 9})
    graph.add_edge(START, "child")
    graph.add_edge("child", "end")
    graph.add_edge("end", END)
    return graph


def _config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}


def _fill(saver: Any) -> None:
    begin: Any = {"messages": [HumanMessage(content="hello", id="h")], "n": 1}
    plain = _graph().compile(checkpointer=saver)
    plain.invoke(begin, _config("plain"))
    waiting = _graph().compile(checkpointer=saver, interrupt_before=["work"])
    waiting.invoke(begin, _config("sends"))
    _outer().compile(checkpointer=saver).invoke(begin, _config("outer"))
    history = list(plain.get_state_history(_config("plain")))
    plain.update_state(history[2].config, {"done": ["forked"]}, as_node="last")


def main(place: str) -> None:
    if not place.startswith("postgres"):
        from langgraph.checkpoint.sqlite import SqliteSaver

        with closing(sqlite3.connect(place, check_same_thread=False)) as connection:
            _fill(SqliteSaver(connection))
        return
    from langgraph.checkpoint.postgres import PostgresSaver

    with PostgresSaver.from_conn_string(place) as saver:
        saver.setup()
        _fill(saver)


if __name__ == "__main__":
    main(sys.argv[1])
