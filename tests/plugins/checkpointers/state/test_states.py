"""States made of rows are those that LangGraph's own graphs make of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from lgx import Checkpoint, Thread
from lgx_plugins.checkpointers.sqlite import SqliteSaverSource
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig

ZOO = {
    "chat": "_chat",
    "values": "_values",
    "interrupted": "_asking",
    "answered": "_asking",
    "nested": "_nested",
    "nested and answered": "_nested",
    "spread": "_spreading",
    "failed": "_failing",
    "delta": "_logging",
    "forked": "_chat",
}


def sqlite_source(path: Path) -> SqliteSaverSource:
    return SqliteSaverSource(SqliteSaverConfig(path=path))


def compare(oracle: ModuleType, graph: Any, saver: Any, thread_id: str, records: list[Any]) -> None:
    """That all states are the same, field by field."""
    expected = oracle.history(graph, saver, thread_id)
    head, *checkpoints = records
    assert isinstance(head, Thread)
    assert head.thread_id == thread_id
    found = {(c.checkpoint_ns, c.checkpoint_id): oracle.told(c) for c in checkpoints}
    assert found.keys() == expected.keys()
    for place, state in found.items():
        wanted = oracle.sorted_by_name(expected[place])
        for field in wanted:
            one, other = oracle.without_order([state[field], wanted[field]])
            assert one == other, (place, state["metadata"]["step"], field)


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory, shapes: ModuleType) -> Path:
    path: Path = tmp_path_factory.mktemp("shapes") / "shapes.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        for _, run in shapes.SHAPES.values():
            run(saver)
    return path


async def test_states_of_the_zoo_are_those_that_its_graphs_show(
    sqlite_zoo: Path, zoo: ModuleType, oracle: ModuleType, states_of: Callable[..., Any]
) -> None:
    """Values, next, tasks, interrupts, metadata, times and parents of every checkpoint equal what
    `get_state_history` of the graph gives: subgraphs, forks, interrupts, failures, Send, deltas."""
    found = await states_of(sqlite_source(sqlite_zoo))

    def check() -> None:
        with SqliteSaver.from_conn_string(str(sqlite_zoo)) as saver:
            for thread_id, builder in ZOO.items():
                graph = getattr(zoo, builder)(saver)
                compare(oracle, graph, saver, thread_id, found[thread_id][0])

    await asyncio.to_thread(check)


@pytest.mark.parametrize(
    "name",
    [
        *("joining", "deciding", "two questions", "gated", "root", "modelled"),
        *("functional", "keeping", "broken"),
    ],
)
async def test_states_of_every_shape_are_those_that_the_graph_shows(
    shaped: Path, name: str, shapes: ModuleType, oracle: ModuleType, states_of: Callable[..., Any]
) -> None:
    """The same for edges that wait, commands, several questions at once, gates, states that are
    no object, models, functions, subgraphs with a memory, and failures."""
    found = await states_of(sqlite_source(shaped))

    def check() -> None:
        with SqliteSaver.from_conn_string(str(shaped)) as saver:
            compare(oracle, shapes.SHAPES[name][0](saver), saver, name, found[name][0])

    await asyncio.to_thread(check)
    assert found[name][1] == []


async def test_both_forms_of_rows_make_the_same_states(
    filled: Any, zoo: ModuleType, oracle: ModuleType, states_of: Callable[..., Any]
) -> None:
    """What PostgresSaver keeps in parts becomes what its graphs show as well."""
    found = await states_of(filled.source())

    def check() -> None:
        with filled.saver() as saver:
            for thread_id, builder in ZOO.items():
                graph = getattr(zoo, builder)(saver)
                compare(oracle, graph, saver, thread_id, found[thread_id][0])

    await asyncio.to_thread(check)


async def test_a_thread_has_the_status_that_its_newest_state_tells(
    sqlite_zoo: Path, states_of: Callable[..., Any]
) -> None:
    """Waiting for an answer is interrupted, a task that failed is error, nothing due is idle."""
    found = await states_of(sqlite_source(sqlite_zoo))
    heads = {thread_id: records[0] for thread_id, (records, _) in found.items()}
    names = ("interrupted", "answered", "failed", "chat", "spread")
    assert [heads[name].status for name in names] == [
        *("interrupted", "idle", "error", "idle", "interrupted")
    ]
    head = heads["interrupted"]
    assert json.loads(bytes(head.metadata)) == {"user": "Zoë", "n": 1}
    assert json.loads(bytes(head.values)) == {"answers": ["first"], "n": 1}
    ((task, (question,)),) = json.loads(bytes(head.interrupts)).items()
    assert question["value"] == {"question": "who?", "n": 1}
    checkpoints: list[Any] = [r for r in found["interrupted"][0] if isinstance(r, Checkpoint)]
    assert head.created_at == checkpoints[0].created_at
    assert head.updated_at == checkpoints[-1].created_at
    assert task == json.loads(bytes(checkpoints[-1].tasks))[0]["id"]
