"""A team leaves its server: its threads go on in checkpointers, with the same graphs."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer, _msgpack_ext_hook_to_json
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command
from langgraph_api.serde import json_dumpb  # type: ignore[import-untyped]
from langgraph_api.state import state_snapshot_to_thread_state  # type: ignore[import-untyped]
from langgraph_sdk import get_client

import lgx

from .fill import Filled

pytestmark = pytest.mark.timeout(300)

THREADS = (
    "idle-1",
    "interrupted-0",
    "failed-0",
    "resumed",
    "updated",
    "twice",
    "branched",
    "forked-late",
    "copy",
    "replayed",
)
LOST = "checkpoints of subgraphs"


@asynccontextmanager
async def _opened(sink: lgx.Use) -> AsyncIterator[Any]:
    """The checkpointer on what a sink wrote, as a team's program opens it."""
    if sink.name == "postgres-saver":
        async with AsyncPostgresSaver.from_conn_string(str(sink.options["dsn"])) as postgres:
            yield postgres
    else:
        async with AsyncSqliteSaver.from_conn_string(str(sink.options["path"])) as sqlite:
            yield sqlite


@pytest.mark.parametrize("name", ["sqlite-saver", "postgres-saver"])
async def test_threads_go_on_where_they_were(
    name: str, filled_server: Filled, database: str, tmp_path: Path, app: Path
) -> None:
    """Their histories are those that the server shows: every field of each state, with ids and
    times, questions and errors. A question is answered, and a second run writes nothing."""
    names = ("tour", "loop")
    graphs = [f"{graph}={app / 'graph.py'}:{graph}" for graph in names]
    place: dict[str, dict[str, Any]] = {
        "postgres-saver": {"dsn": database},
        "sqlite-saver": {"path": tmp_path / "copy.db"},
    }
    sink = lgx.use(name, graph=graphs, **place[name])
    ids = {thread: filled_server.threads[thread] for thread in THREADS}
    source = lgx.use("cloud", url=filled_server.url)

    report = await lgx.run_async(source, sink, thread_ids=tuple(ids.values()))
    again = await lgx.run_async(source, sink, thread_ids=tuple(ids.values()))

    assert (report.threads.written, report.exit_code) == (len(ids), 0)
    assert {loss.what.split(" ", 1)[1] for loss in report.losses if loss.thread_id} == {LOST}
    assert (again.threads.unchanged, again.threads.written) == (len(ids), 0)
    module = sys.modules["graph"]
    async with _opened(sink) as saver, get_client(url=filled_server.url) as client:
        own, saver.serde = (
            saver.serde,
            JsonPlusSerializer(__unpack_ext_hook__=_msgpack_ext_hook_to_json),
        )
        for thread, thread_id in ids.items():
            graph = module.loop if thread == "replayed" else module.tour
            assert await _shown(graph, saver, thread_id) == await client.threads.get_history(
                thread_id, limit=1000
            )
        saver.serde = own
        graph = module.tour.copy(update={"checkpointer": saver})
        config: Any = {"configurable": {"thread_id": ids["interrupted-0"]}}
        ended = await graph.ainvoke(Command(resume={"right": True}), config)
        assert ended["answer"] == {"right": True}
        assert (await graph.aget_state(config)).next == ()


async def test_a_question_inside_of_a_subgraph_is_asked_again(
    filled_server: Filled, tmp_path: Path, app: Path
) -> None:
    """No update brings what the subgraph had done: it runs from its beginning, and so it is
    told."""
    thread_id = filled_server.threads["interrupted-inside"]
    graphs = [f"{app / 'graph.py'}:tour"]
    sink = lgx.use("sqlite-saver", path=tmp_path / "copy.db", graph=graphs)
    source = lgx.use("cloud", url=filled_server.url)

    report = await lgx.run_async(source, sink, thread_ids=(thread_id,))

    assert report.exit_code == 0
    assert [loss.what for loss in report.losses if loss.thread_id] == [
        "7 checkpoints of subgraphs",
        "questions inside of inner",
    ]
    async with _opened(sink) as saver:
        graph = sys.modules["graph"].tour.copy(update={"checkpointer": saver})
        config: Any = {"configurable": {"thread_id": thread_id}}
        assert (await graph.aget_state(config)).next == ("inner",)
        found = await graph.ainvoke(None, config)
    asked = [one.value for one in found["__interrupt__"]]
    assert asked == [{"question": "from inside a subgraph?"}]


async def _shown(graph: Any, saver: Any, thread_id: str) -> Any:
    """A history as a server would show it."""
    view = graph.copy(update={"checkpointer": saver})
    config: Any = {"configurable": {"thread_id": thread_id}}
    states = [state async for state in view.aget_state_history(config)]
    return json.loads(json_dumpb([state_snapshot_to_thread_state(state) for state in states]))
