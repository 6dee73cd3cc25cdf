"""What rows do not tell is left out or given as it seems, and told."""

from __future__ import annotations

import asyncio
import json
import operator
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command

import lgx
from lgx import Checkpoint
from lgx_plugins.checkpointers.sqlite import SqliteSaverSource
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig


def added(state: list[Any], writes: Any) -> list[Any]:
    return [*state, *(line for write in writes for line in write)]


def newest_first(state: list[Any], writes: Any) -> list[Any]:
    return [*reversed([line for write in writes for line in write]), *state]


class Plain(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int


class Rare(TypedDict, total=False):
    log: Annotated[list[str], DeltaChannel(added, list, snapshot_frequency=100)]


class Often(TypedDict, total=False):
    log: Annotated[list[str], DeltaChannel(newest_first, list, snapshot_frequency=2)]


class Talk(TypedDict, total=False):
    messages: Annotated[list[Any], DeltaChannel(lambda s, w: _said(s, w), list)]


def _said(state: list[Any], writes: Any) -> Any:
    for write in writes:
        state = add_messages(state, write)  # type: ignore[assignment]
    return state


def compiled(schema: Any, saver: Any, lines: Any, channel: str = "log") -> Any:
    graph: Any = StateGraph(schema)
    graph.add_node("one", lambda _: {channel: lines})
    graph.add_node("two", lambda _: {channel: lines})
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    return graph.compile(checkpointer=saver)


CONFIG: Any = {"configurable": {"thread_id": "t"}}


async def states(states_of: Callable[..., Any], path: Path) -> tuple[list[Any], list[Any]]:
    """The checkpoints and losses of the one thread."""
    found = await states_of(SqliteSaverSource(SqliteSaverConfig(path=path)))
    records, losses = found["t"]
    checkpoints = [record for record in records if isinstance(record, Checkpoint)]
    assert all(not loss.holdable for loss in losses)
    return [json.loads(bytes(c.values)) for c in checkpoints], losses  # type: ignore[arg-type]


async def test_a_delta_that_nothing_confirms_is_given_and_told(
    tmp_path: Path, states_of: Callable[..., Any]
) -> None:
    """Every value is there, put together from the writes of all ancestors; the channel is named."""
    path = tmp_path / "x.db"

    def fill() -> list[Any]:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            graph = compiled(Rare, saver, ["x", "y"])
            for _ in range(2):
                graph.invoke({"log": ["in"]}, CONFIG)
            history = [state.values for state in graph.get_state_history(CONFIG)]
            return history[::-1]

    expected = await asyncio.to_thread(fill)
    found, (loss,) = await states(states_of, path)
    assert found == [{} if value == {"log": []} else value for value in expected]
    assert loss.what.startswith("channel 'log' at ")
    assert "only the graph knows" in loss.why
    assert loss.thread_id == "t"


async def test_messages_of_a_delta_replace_those_of_their_ids(
    tmp_path: Path, states_of: Callable[..., Any], oracle: Any
) -> None:
    """As `add_messages` does, where the messages have ids."""
    path = tmp_path / "x.db"

    def fill() -> list[Any]:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            message = {"type": "ai", "content": "again", "id": "a"}
            graph = compiled(Talk, saver, _said([], [[message]]), "messages")
            graph.invoke({"messages": _said([], [[("human", "hi")]])}, CONFIG)
            return [oracle.as_json(s.values) for s in graph.get_state_history(CONFIG)][::-1]

    expected = await asyncio.to_thread(fill)
    found, losses = await states(states_of, path)
    assert found[1:] == expected[1:]
    assert [len(value["messages"]) for value in found[1:]] == [1, 2, 2]
    assert len(losses) == 1


async def test_a_delta_that_adds_up_to_something_else_is_left_out_and_told(
    tmp_path: Path, states_of: Callable[..., Any]
) -> None:
    """Values that are kept whole refute the way that suggests itself: none is made up."""
    path = tmp_path / "x.db"

    def fill() -> list[Any]:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            graph = compiled(Often, saver, ["x", "y"])
            for _ in range(3):
                graph.invoke({"log": ["in"]}, CONFIG)
            return [state.values for state in graph.get_state_history(CONFIG)][::-1]

    expected = await asyncio.to_thread(fill)
    found, (loss,) = await states(states_of, path)
    kept = [(one, other) for one, other in zip(found, expected, strict=True) if "log" in one]
    assert kept
    assert len(kept) < len(found)
    assert all(one == other for one, other in kept)
    missing = sum("log" not in one and other["log"] != [] for one, other in zip(
        found, expected, strict=True
    ))  # fmt: skip
    assert loss.what == f"channel 'log' at {missing} checkpoints"
    assert "left out" in loss.why


async def test_updates_by_a_command_are_told(tmp_path: Path, states_of: Callable[..., Any]) -> None:
    """LangGraph puts them into the values when it reads, by the graph's reducers."""
    path = tmp_path / "x.db"

    def fill() -> list[Any]:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            graph = compiled(Plain, saver, ["x"])
            graph.invoke({"log": ["in"]}, CONFIG)
            graph.invoke(Command(update={"log": ["told"]}, goto="two"), CONFIG)
            return [state.values for state in graph.get_state_history(CONFIG)][::-1]

    expected = await asyncio.to_thread(fill)
    found, losses = await states(states_of, path)
    differing = [
        number
        for number, (one, other) in enumerate(zip(found, expected, strict=True))
        if one != other and other != {"log": []}
    ]
    assert len(differing) == 1
    assert [loss.what for loss in losses] == ["1 update of channel 'log' that came with a command"]


async def test_writes_without_a_checkpoint_are_told(
    tmp_path: Path, states_of: Callable[..., Any]
) -> None:
    path = tmp_path / "x.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        compiled(Plain, saver, ["x"]).invoke({"log": ["in"]}, CONFIG)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "DELETE FROM checkpoints WHERE checkpoint_id = "
            "(SELECT min(checkpoint_id) FROM checkpoints)"
        )
    _, (loss,) = await states(states_of, path)
    assert loss.what == "2 writes at absent checkpoints"


async def test_tasks_whose_ids_are_made_in_another_way_are_told(
    tmp_path: Path, states_of: Callable[..., Any]
) -> None:
    """As in the tables of the JavaScript packages: values and next are right, and who wrote what
    is told to be unknown."""
    path = tmp_path / "x.db"
    document = {
        "v": 4,
        "ts": "2026-01-01T00:00:00.000Z",
        "id": "1f000000-0000-6000-8000-000000000000",
        "channel_values": {"log": ["in"], "branch:to:one": None},
        "channel_versions": {"log": 1, "branch:to:one": 1},
        "versions_seen": {"__start__": {"__start__": 1}},
    }
    with SqliteSaver.from_conn_string(str(path)) as saver:
        saver.setup()
    with closing(sqlite3.connect(path)) as connection, connection:
        place = ("t", "", document["id"])
        connection.execute(
            "INSERT INTO checkpoints VALUES (?, ?, ?, NULL, 'json', ?, '{\"step\": 0}')",
            (*place, json.dumps(document).encode()),
        )
        connection.execute(
            "INSERT INTO writes VALUES (?, ?, ?, 'other', '', 0, 'log', 'json', '[\"x\"]')", place
        )
    found = await states_of(SqliteSaverSource(SqliteSaverConfig(path=path)))
    (head, checkpoint), (loss,) = found["t"]
    assert json.loads(bytes(checkpoint.values)) == {"log": ["in"]}
    assert json.loads(bytes(checkpoint.next)) == ["one"]
    assert head.status == "interrupted"
    assert loss.what == "results and questions of tasks at 1 checkpoint"


async def test_what_was_never_written_is_absent_and_noted(tmp_path: Path) -> None:
    """A graph shows an empty list there; no row has one. The report says so once."""
    path = tmp_path / "x.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        compiled(Plain, saver, ["x"]).invoke({"log": ["in"]}, CONFIG)
    report = await lgx.run_async(
        lgx.use("sqlite-saver", path=path),
        lgx.use("ndjson", path=tmp_path / "x.ndjson"),
        fidelity="state",
    )
    assert report.exit_code == 0
    assert sum("nothing was written to are absent" in n.message for n in report.notes) == 1
    lines = (tmp_path / "x.ndjson").read_text().split("\n")
    values = [json.loads(line)["values"] for line in lines if '"checkpoint_id"' in line]
    assert values[0] == {}
    assert values[1] == {"log": ["in"]}


@pytest.mark.parametrize("limit", [200])
async def test_a_long_thread_of_deltas_is_read_in_bounded_time(
    limit: int, tmp_path: Path, states_of: Callable[..., Any]
) -> None:
    """Each value is made of its parent's: the work grows with what is given out."""
    path = tmp_path / "x.db"

    def fill() -> None:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            graph = compiled(Rare, saver, ["x"])
            for _ in range(limit // 4):
                graph.invoke({"log": ["in"]}, CONFIG)

    await asyncio.to_thread(fill)
    found, _ = await states(states_of, path)
    assert len(found) == limit
    assert len(found[-1]["log"]) == limit // 4 * 3
