"""Rows of a join that hold what arrived later: states show what LangGraph's own history shows."""

from __future__ import annotations

import json
import operator
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypedDict

import ormsgpack
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph

import lgx

CONFIG: Any = {"configurable": {"thread_id": "t"}}
JOIN = "join:a+b:c"


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def graph(saver: Any) -> Any:
    made = StateGraph(State)
    for name in "abc":
        made.add_node(name, lambda _, name=name: {"log": [name]})
    made.add_edge(START, "a")
    made.add_edge(START, "b")
    made.add_edge(["a", "b"], "c")
    return made.compile(checkpointer=saver)


def history(saver: Any) -> dict[str, list[str]]:
    found = graph(saver).get_state_history(CONFIG)
    return {one.config["configurable"]["checkpoint_id"]: sorted(one.next) for one in found}


async def test_a_join_that_holds_what_arrived_later_is_due_in_both(tmp_path: Path) -> None:
    """The value of a join is a set, which a run goes on to fill while a saver has yet to write
    it: under its old version, which its node has not seen yet, both then lie in the row."""
    path = tmp_path / "rows.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        for word in ("one", "two"):
            graph(saver).invoke({"log": [word]}, CONFIG)
        before = history(saver)
    at = max(key for key, due in before.items() if {"a", "b"} <= set(due))
    with closing(sqlite3.connect(path)) as connection, connection:
        ((blob,),) = connection.execute(
            "SELECT checkpoint FROM checkpoints WHERE checkpoint_id = ?", (at,)
        )
        ext: Any = lambda code, data: ormsgpack.Ext(code, data)  # noqa: E731
        document = ormsgpack.unpackb(blob, ext_hook=ext)
        full = ormsgpack.packb(("builtins", "set", ["a", "b"]))
        document["channel_values"][JOIN] = ormsgpack.Ext(0, full)
        connection.execute(
            "UPDATE checkpoints SET checkpoint = ? WHERE checkpoint_id = ?",
            (ormsgpack.packb(document), at),
        )
    with SqliteSaver.from_conn_string(str(path)) as saver:
        wanted = history(saver)
    file = tmp_path / "states.ndjson"

    await lgx.run_async(
        lgx.use("sqlite-saver", path=path), lgx.use("ndjson", path=file), fidelity="state"
    )

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    found = {one["checkpoint_id"]: one["next"] for one in lines if one["kind"] == "checkpoint"}
    assert wanted[at] == ["a", "b", "c"]
    assert found == wanted
