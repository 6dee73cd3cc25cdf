"""A checkpointer's threads on a server that runs the same graphs."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

import lgx

from .conftest import APP
from .requests import Server

IDS = ("user-1", "user/2", "🎈", "user 4")
"""None of them is one that a server takes."""


@pytest.fixture
def graphs() -> Iterator[Callable[[str], ModuleType]]:
    """Gives the modules of the app's graphs, which here run without a server."""
    sys.path.insert(0, str(APP))
    before = set(sys.modules)
    yield lambda name: importlib.import_module(f"proving.{name}")
    sys.path.remove(str(APP))
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "proving":
            del sys.modules[name]


@pytest.fixture
def local(graphs: Callable[[str], ModuleType], tmp_path: Path) -> Path:
    """A file of SqliteSaver's: a chat, one that was forked, an edited one, an unfinished one."""
    path: Path = tmp_path / "local.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        chat = graphs("chat").graph.copy(update={"checkpointer": saver})
        for number, thread_id in enumerate(IDS):
            config: Any = {"configurable": {"thread_id": thread_id}, "metadata": {"user": "Zoë"}}
            chat.invoke({"plan": {"topic": f"tea {number}"}}, config)
            if number == 1:
                chat.invoke({"plan": {"topic": "more"}}, config)
            elif number == 2:
                chat.update_state(config, {"notes": ["edited"]}, as_node="answer")
            elif number == 3:
                chat.invoke({"plan": {"quiet": True}}, config, interrupt_before=["use_tools"])
    return path


async def test_threads_of_a_checkpointer_go_on_with_a_server(local: Path, target: str) -> None:
    """Every thread is rebuilt step by step and compared; its id is made a UUID, and the old one
    kept; what stands there equals the checkpointer's states, and can be run."""
    source = lgx.use("sqlite-saver", path=local)
    sink = lgx.use("cloud", url=target, graph_id="chat")
    report = await lgx.run_async(source, sink)
    assert report.failures == []
    assert report.exit_code == 0
    assert report.fidelity == {"replayed": len(IDS)}
    async with Server(target) as server:
        threads = await server.post("/threads/search", {"limit": 100})
    kept = {thread["metadata"]["lgx"]["thread_id"]: thread for thread in threads}
    assert kept.keys() == set(IDS)
    assert all(thread["metadata"]["graph_id"] == "chat" for thread in threads)
    assert all(thread["metadata"]["user"] == "Zoë" for thread in threads)
    statuses = [kept[name]["status"] for name in IDS]
    assert statuses == ["idle", "idle", "interrupted", "interrupted"]

    again = await lgx.run_async(source, sink)
    assert (again.threads.unchanged, again.threads.written) == (len(IDS), 0)
    found = await lgx.verify_async(source, sink)
    assert found.differences == []
    assert found.exit_code == 0


async def test_threads_that_name_no_graph_are_refused_by_the_option_that_names_one(
    local: Path, target: str
) -> None:
    """Nothing is written, and each thread's failure says what to add."""
    report = await lgx.run_async(
        lgx.use("sqlite-saver", path=local), lgx.use("cloud", url=target), dry_run=True
    )
    assert [f.thread_id for f in report.failures] == sorted(IDS, key=str.encode)
    assert all("--sink-graph-id" in failure.why for failure in report.failures)


async def test_a_graph_that_the_server_does_not_run_is_a_usage_error(
    local: Path, target: str
) -> None:
    with pytest.raises(lgx.UsageError, match=r"--sink-graph-id: .*'chart'"):
        await lgx.run_async(
            lgx.use("sqlite-saver", path=local), lgx.use("cloud", url=target, graph_id="chart")
        )


async def test_states_are_those_that_a_server_gives_of_the_same_run(
    graphs: Callable[[str], ModuleType], target: str, tmp_path: Path
) -> None:
    """The same graph with the same input, here and there: values (bytes, decimals, dates, tuples
    among them), tasks with their results, next and metadata of every step come out the same, but
    for ids and times."""
    path, begin = tmp_path / "local.db", {"plan": {}, "log": ["in"]}
    with SqliteSaver.from_conn_string(str(path)) as saver:
        weave = graphs("weave").graph.copy(update={"checkpointer": saver})
        weave.invoke(begin, {"configurable": {"thread_id": "here"}})
    async with Server(target) as server:
        run = {"assistant_id": "weave", "input": begin}
        await server.post("/runs/wait", run | {"on_completion": "keep"})
        (thread,) = await server.post("/threads/search", {"limit": 10})
    there = lgx.use("cloud", url=target)
    exports = []
    for name, source in (("here", lgx.use("sqlite-saver", path=path)), ("there", there)):
        file = tmp_path / f"{name}.ndjson"
        report = await lgx.run_async(
            source, lgx.use("ndjson", path=file), fidelity="state", extras=False
        )
        assert report.failures == []
        lines = [json.loads(line) for line in file.read_text().split("\n") if line]
        states = [line for line in lines if line["kind"] == "checkpoint"]
        exports.append([_comparable(state) for state in states])
    assert thread["status"] == "idle"
    assert len(exports[0]) == 11
    for mine, theirs in zip(*exports, strict=True):
        assert mine == theirs, mine["metadata"]


def _comparable(state: dict[str, Any]) -> dict[str, Any]:
    """Without ids and times, and as the server would show what waits for several nodes: it says
    that nothing does."""
    tasks = [
        {name: task[name] for name in ("name", "path", "error", "interrupts", "result", "state")}
        for task in state["tasks"]
        if task["name"] != "gather"
    ]
    values = {k: v for k, v in state["values"].items() if v not in ([], {}, 0)}
    names = ("source", "step", "parents")
    return {
        "values": values,
        "tasks": sorted(tasks, key=lambda task: (task["name"], json.dumps(task["path"]))),
        "next": sorted(name for name in state["next"] if name != "gather"),
        "interrupts": state["interrupts"],
        "metadata": {name: state["metadata"][name] for name in names},
        "first": state["parent_checkpoint_id"] is None,
    }
