"""Whole runs: what is written, told, left and replaced, by each of the sinks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.types import Command
from langsmith.utils import get_env_var, tracing_is_enabled

import lgx
from lgx import Report

from .places import Place


async def _thread(builder: Any, place: Place | None = None, **given: Any) -> tuple[Place, str]:
    place, thread_id = place or Place(builder), str(uuid4())
    await place.graph.ainvoke({"messages": "tea", "log": [], **given}, place.head(thread_id))
    return place, thread_id


def _rows(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return [
            row
            for table in ("checkpoints", "writes")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5")
        ]


async def test_a_second_run_writes_nothing(
    app: ModuleType, write: Any, bring: Any, named: Any, tmp_path: Path
) -> None:
    """Nothing has changed at the source; with --full it is made again, and comes out the same to
    the last byte."""
    place, thread_id = await _thread(app.built())
    source = await write((place, [thread_id]))
    first = await bring(source, named("graph"))
    before = _rows(tmp_path / "copy.db")

    second = await bring(source, named("graph"))
    third = await bring(source, named("graph"), full=True)

    assert [one.threads.written for one in (first, second, third)] == [1, 0, 1]
    assert second.threads.unchanged == 1
    assert _rows(tmp_path / "copy.db") == before


async def test_another_graph_makes_the_threads_again_that_it_is_for(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """Those of other graphs stay, also when there are more graphs than before."""
    place, thread_id = await _thread(app.built())
    other, loop_id = await _thread(app.built())
    source = await write((place, [thread_id], "a"), (other, [loop_id], "b"))

    reports = [
        await bring(source, *(f"{key}={named(name)}" for key, name in graphs.items()))
        for graphs in (
            {"a": "graph", "b": "graph"},
            {"b": "graph", "c": "loop", "a": "graph"},
            {"a": "made", "b": "graph"},
            {"a": "made", "b": "graph"},
        )
    ]

    assert [(one.threads.written, one.threads.unchanged) for one in reports] == [
        (2, 0),
        (0, 2),
        (1, 1),
        (0, 2),
    ]
    assert [one.exit_code for one in reports] == [0] * 4


async def test_a_copy_that_was_not_compared_is_made_again_by_a_run_that_compares(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """And stays for one that does not, as one that was compared does."""
    place, thread_id = await _thread(app.built())
    source = await write((place, [thread_id]))

    written = [
        (await bring(source, named("graph"), sink_verify=verify)).threads.written
        for verify in ("none", "none", "all", "all", "none")
    ]

    assert written == [1, 0, 1, 0, 0]


async def test_a_thread_that_has_changed_is_replaced(
    app: ModuleType, write: Any, bring: Any, named: Any, copy: Any
) -> None:
    """The others are left as they are."""
    place, thread_id = await _thread(app.built())
    _, other = await _thread(None, place)
    await bring(await write((place, [thread_id, other])), named("graph"))
    await place.graph.ainvoke(Command(resume="yes"), place.head(thread_id))

    report = await bring(await write((place, [thread_id, other])), named("graph"))

    assert (report.threads.written, report.threads.unchanged) == (1, 1)
    async with copy() as saver:
        state = await app.built().compile(checkpointer=saver).aget_state(place.head(thread_id))
    assert state.values["log"][-1] == "closed after 2"
    assert state.next == ()


@pytest.mark.parametrize("policy", ["fail", "skip", "replace"])
async def test_a_copy_that_a_team_has_gone_on_with_is_theirs(
    app: ModuleType, policy: str, write: Any, bring: Any, named: Any, copy: Any
) -> None:
    """It stays, unless `on_conflict` says otherwise."""
    place, thread_id = await _thread(app.built())
    await bring(await write((place, [thread_id])), named("graph"))
    async with copy() as saver:
        graph = app.built().compile(checkpointer=saver)
        await graph.ainvoke(Command(resume="here"), place.head(thread_id))
    await place.graph.ainvoke(Command(resume="there"), place.head(thread_id))

    report = await bring(await write((place, [thread_id])), named("graph"), sink_on_conflict=policy)

    found = {"fail": (0, 1, 0), "skip": (0, 0, 1), "replace": (1, 0, 0)}[policy]
    assert (report.threads.written, len(report.failures), len(report.losses)) == found
    async with copy() as saver:
        tip = await saver.aget_tuple(place.head(thread_id))
    here = "there" if policy == "replace" else "here"
    assert f"answered {here} None" in tip.checkpoint["channel_values"]["log"]


async def test_a_dry_run_rebuilds_and_writes_nothing(
    app: ModuleType, write: Any, bring: Any, named: Any, tmp_path: Path
) -> None:
    """It tells of each thread what a run would."""
    place, thread_id = await _thread(app.built(), size=2)
    await place.graph.ainvoke(Command(resume="yes"), place.head(thread_id))
    source = await write((place, [thread_id]))

    dry = await bring(source, named("graph"), dry_run=True)
    there = (tmp_path / "copy.db").exists()
    real = await bring(source, named("graph"))

    assert [one.thread_id for one in dry.would_move] == [thread_id]
    assert dry.losses == real.losses != []
    assert not there


async def test_no_node_runs(app: ModuleType, write: Any, bring: Any, named: Any) -> None:
    """Whatever the thread holds, and however it is rebuilt."""
    place, thread_id = await _thread(app.built(), size=2)
    for answer in ("a", "b"):
        await place.graph.ainvoke(Command(resume=answer), place.head(thread_id))
    await place.graph.ainvoke({"messages": "milk"}, place.head(thread_id))
    source = await write((place, [thread_id]))
    app.RAN.clear()

    for verify in ("all", "none"):
        report = await bring(source, named("graph"), sink_verify=verify, full=True)
        assert report.exit_code == 0

    assert app.RAN == []


def _forget_environment() -> None:
    """LangSmith looks at it once."""
    kept: Any = get_env_var
    kept.cache_clear()


async def test_nothing_is_traced(
    app: ModuleType, write: Any, bring: Any, named: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the environment says that all is to be."""
    place, thread_id = await _thread(app.choosing())
    source = await write((place, [thread_id]))
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    _forget_environment()
    assert tracing_is_enabled()
    app.TRACED.clear()

    report = await bring(source, named("chooser"))

    _forget_environment()
    assert report.exit_code == 0
    assert set(app.TRACED) == {False}


async def test_what_was_not_compared_is_told(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """Once for the run."""
    place, thread_id = await _thread(app.built())

    report = await bring(await write((place, [thread_id])), named("graph"), sink_verify="none")

    assert (
        "threads were not all compared with their source before they were written "
        "(--sink-verify none)"
    ) in [note.message for note in report.notes]


async def test_a_thread_without_checkpoints_has_no_place(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """That is told of it, and is no failure."""
    report = await bring(await write((Place(app.built()), [str(uuid4())])), named("graph"))

    assert [(loss.what, loss.holdable) for loss in report.losses] == [("thread", False)]
    assert report.exit_code == 0


async def test_ids_that_no_task_can_be_named_by_are_told(
    app: ModuleType, write: Any, bring: Any, named: Any, copy: Any
) -> None:
    """The copy has names of its own; the report keeps the old ones."""
    place, thread_id = await _thread(app.built())
    source = await write((place, [thread_id]))
    ids = [state.checkpoint_id for state in reversed(await place.states(thread_id))]
    text = source.read_text()
    for number, one in enumerate(ids):
        text = text.replace(one, f"checkpoint-{number}")
    source.write_text(text)

    report = await bring(source, named("graph"))

    assert [loss.what for loss in report.losses] == ["ids, times and metadata of its checkpoints"]
    assert report.provenance is not None
    ((_, origin),) = report.provenance
    assert [one.checkpoint_id for one in origin.checkpoints] == [
        f"checkpoint-{number}" for number in range(len(ids))
    ]
    async with copy() as saver:
        state = await app.built().compile(checkpointer=saver).aget_state(place.head(thread_id))
    assert [one.value for one in state.interrupts] == [{"question": "first?"}]
    assert state.next == ("ask",)


async def test_rows_stay_rows(
    app: ModuleType, bring: Any, named: Any, tmp_path: Path, sqlite_zoo: Path
) -> None:
    """Where the source has a checkpointer's own, nothing is rebuilt."""
    sink = lgx.use("sqlite-saver", path=tmp_path / "copy.db", graph=[named("graph")])

    report = await lgx.run_async(lgx.use("sqlite-saver", path=sqlite_zoo), sink)

    assert (report.losses, report.exit_code) == ([], 0)
    assert "replayed" not in report.fidelity
    assert _rows(tmp_path / "copy.db") == _rows(sqlite_zoo)


async def test_rows_in_a_file_stay_rows(
    app: ModuleType, bring: Any, named: Any, tmp_path: Path, sqlite_zoo: Path
) -> None:
    """Of a file it is seen thread by thread what they are."""
    path = tmp_path / "rows.ndjson"
    await lgx.run_async(lgx.use("sqlite-saver", path=sqlite_zoo), lgx.use("ndjson", path=path))

    report = await bring(path, named("graph"))

    assert (report.losses, report.exit_code) == ([], 0)
    assert "replayed" not in report.fidelity
    assert _rows(tmp_path / "copy.db") == _rows(sqlite_zoo)


async def test_postgres_takes_them(
    app: ModuleType, write: Any, named: Any, new_store: Callable[[], Any]
) -> None:
    """A dry run says what a run does; PostgresSaver goes on with what it wrote."""
    place, thread_id = await _thread(app.built())
    source, store = await write((place, [thread_id])), new_store()

    async def run(name: str = "graph", **options: Any) -> Report:
        sink = lgx.use("postgres-saver", dsn=store.dsn, graph=[named(name)])
        return await lgx.run_async(lgx.use("ndjson", path=source), sink, **options)

    dry, first, second = [await run(dry_run=dry) for dry in (True, False, False)]
    another = await run(name="made")

    assert [one.exit_code for one in (dry, first, second)] == [0, 0, 0]
    assert (len(dry.would_move), first.threads.written, second.threads.unchanged) == (1, 1, 1)
    assert (another.exit_code, another.threads.written) == (0, 1)
    with PostgresSaver.from_conn_string(store.dsn) as saver:
        graph = app.built().compile(checkpointer=saver)
        there = graph.get_state(place.head(thread_id))
        assert there.interrupts == (await place.graph.aget_state(place.head(thread_id))).interrupts
        ended = graph.invoke(Command(resume="yes"), place.head(thread_id))
    wanted = await place.graph.ainvoke(Command(resume="yes"), place.head(thread_id))
    assert ended == wanted


async def test_any_checkpointer_takes_them(app: ModuleType, write: Any, named: Any) -> None:
    """What the user's graph has made names no class that it may not; the second run leaves it."""
    app.saver = InMemorySaver()  # type: ignore[attr-defined]
    place, thread_id = await _thread(app.built())
    source = await write((place, [thread_id]))

    async def run(**options: Any) -> Report:
        sink = lgx.use("saver", factory="app:saver", graph=[named("graph")])
        return await lgx.run_async(lgx.use("ndjson", path=source), sink, **options)

    dry, first, second = [await run(dry_run=dry) for dry in (True, False, False)]

    assert [one.exit_code for one in (dry, first, second)] == [0, 0, 0]
    assert (first.threads.written, second.threads.written) == (1, 0)
    graph = app.built().compile(checkpointer=app.saver)
    there = await graph.aget_state(place.head(thread_id))
    wanted = await place.graph.aget_state(place.head(thread_id))
    assert (there.values, there.next, there.interrupts, there.metadata) == (
        wanted.values,
        wanted.next,
        wanted.interrupts,
        wanted.metadata,
    )
