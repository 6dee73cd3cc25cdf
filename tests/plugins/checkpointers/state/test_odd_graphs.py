"""States of what graphs seldom do: odd names, sends to the end, edges that fail."""

from __future__ import annotations

import asyncio
import json
import operator
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from lgx_plugins.checkpointers.sqlite import SqliteSaverSource
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig

CONFIG: Any = {"configurable": {"thread_id": "t"}}
ODD = (
    'say "hi"',
    "a+b",
    "ä🎈",
    "x\\y",
    "🎈",
    "$.a",
    "x\ny",
    "~__pregel_pull, z",
    "[0]",
    "𠀀",
    "a,b",
)


class Lines(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int


def _writing(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda _: {"log": [name]}


def _oddly_named(saver: Any) -> Any:
    graph: Any = StateGraph(Lines)
    for name in ODD:
        graph.add_node(name, _writing(name))
    for name in ODD[:4]:
        graph.add_edge(START, name)
    graph.add_edge(list(ODD[:3]), ODD[4])
    graph.add_node("the last", _writing("last"), defer=True)
    graph.add_edge(ODD[4], "the last")
    graph.add_edge(ODD[3], "the last")
    graph.add_conditional_edges("the last", lambda _: list(ODD[5:]), list(ODD[5:]))
    return graph.compile(checkpointer=saver)


def _sending_to_the_end(saver: Any) -> Any:
    sends: Any = [Send(END, {}), Send("work", {"n": 1})]
    graph: Any = StateGraph(Lines)
    graph.add_node("decide", lambda _: Command(goto=sends), destinations=("work",))
    graph.add_node("work", _writing("work"))
    graph.add_edge(START, "decide")
    return graph.compile(checkpointer=saver)


def _function_of_a_rare_name(saver: Any) -> Any:
    def ask(given: int) -> Any:
        return interrupt({"about": given})

    ask.__name__ = "𠀀"  # its UTF-8 comes after that of U+FFFF
    return entrypoint(checkpointer=saver)(ask)


def _failing_at_an_edge(saver: Any) -> Any:
    def choose(_: Lines) -> str:
        raise ValueError("nowhere to go")

    graph: Any = StateGraph(Lines)
    graph.add_node("work", _writing("work"))
    graph.add_edge(START, "work")
    graph.add_conditional_edges("work", choose, [END])
    return graph.compile(checkpointer=saver)


async def _filled(path: Path, build: Callable[[Any], Any], given: Any) -> None:
    def fill() -> None:
        with SqliteSaver.from_conn_string(str(path)) as saver, suppress(ValueError):
            build(saver).invoke(given, CONFIG)

    await asyncio.to_thread(fill)


@pytest.mark.parametrize(
    ("build", "given"),
    [
        (_oddly_named, {"log": []}),
        (_sending_to_the_end, {"log": []}),
        (_function_of_a_rare_name, 3),
        (_failing_at_an_edge, {"log": []}),
    ],
)
async def test_states_are_those_that_the_graph_shows(
    build: Any, given: Any, tmp_path: Path, oracle: ModuleType, states_of: Callable[..., Any]
) -> None:
    """Whatever nodes are called, and wherever something is sent."""
    path = tmp_path / "x.db"
    await _filled(path, build, given)
    records, losses = (await states_of(SqliteSaverSource(SqliteSaverConfig(path=path))))["t"]

    def check() -> None:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            expected = oracle.history(build(saver), saver, "t")
        found = {("", one.checkpoint_id): oracle.told(one) for one in records[1:]}
        assert found == {place: oracle.sorted_by_name(one) for place, one in expected.items()}

    await asyncio.to_thread(check)
    assert losses == []


async def test_a_run_that_failed_after_its_last_write_has_failed(
    tmp_path: Path, states_of: Callable[..., Any]
) -> None:
    """The node has a result, and no other is due: the edge behind it raised something."""
    path = tmp_path / "x.db"
    await _filled(path, _failing_at_an_edge, {"log": []})

    (head, *_), _ = (await states_of(SqliteSaverSource(SqliteSaverConfig(path=path))))["t"]

    assert (head.status, json.loads(bytes(head.interrupts))) == ("error", {})


async def test_tasks_of_other_ids_are_known_by_their_paths(
    tmp_path: Path, states_of: Callable[..., Any]
) -> None:
    """Of nodes and of what was sent: what a task wrote counts for more than what its id should
    be."""
    path = tmp_path / "x.db"
    await _filled(path, _sending_to_the_end, {"log": []})

    async def results() -> list[Any]:
        records, _ = (await states_of(SqliteSaverSource(SqliteSaverConfig(path=path))))["t"]
        return [
            [(task["name"], task["result"]) for task in json.loads(bytes(one.tasks))]
            for one in records[1:]
        ]

    before = await results()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE writes SET task_id = 'other than ' || task_id")

    assert await results() == before
    assert before[-2] == [("work", {"log": ["work"]})]
