"""Which graph a thread is rebuilt with, and how graphs are named."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

import lgx
from lgx import FatalError, Report, UsageError

from .places import Place

GONE = (
    "it is of graph 'gone', which was not given (agent, short was); add --sink-graph "
    "gone=package.module:name"
)
OTHER = (
    "it is of graph 'agent' and has nodes that {} has not (ask); give its own graph too, each "
    "with its id: --sink-graph agent=package.module:name"
)
UNTAKEN = (
    "its checkpoints are states as the API shows them, which the sqlite-saver sink takes only "
    "with --sink-graph package.module:name, your own graph, with which it rebuilds them"
)

FORMS = (
    "graph",
    "uncompiled",
    "made",
    "made_with",
    "made_async",
    "managed",
    "managed_async",
    "Holder.inside",
)


async def _thread(builder: Any, **given: Any) -> tuple[Place, str]:
    place, thread_id = Place(builder), str(uuid4())
    await place.graph.ainvoke({"messages": "tea", "log": [], **given}, place.head(thread_id))
    return place, thread_id


@pytest.mark.parametrize("name", FORMS)
async def test_whatever_langgraph_json_takes_is_taken(
    app: ModuleType, name: str, write: Any, bring: Any, named: Any
) -> None:
    """Graphs, builders, functions and context managers, sync and async; what was opened is
    closed."""
    place, thread_id = await _thread(app.built())
    app.RAN.clear()

    report = await bring(await write((place, [thread_id])), named(name))

    assert (report.threads.written, report.losses, report.exit_code) == (1, [], 0)
    assert ["closed the manager"] * name.startswith("managed") == app.RAN


async def test_a_graph_in_a_module_is_taken(app: ModuleType, write: Any, bring: Any) -> None:
    """As an installed package has it."""
    place, thread_id = await _thread(app.built())

    report = await bring(await write((place, [thread_id])), "app:graph")

    assert report.exit_code == 0


async def test_an_edge_that_an_async_function_chooses_is_followed(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """As it is where the graph is served."""
    place, thread_id = await _thread(app.choosing())

    report = await bring(await write((place, [thread_id])), named("chooser"))

    assert (report.losses, report.exit_code) == ([], 0)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("app", "--sink-graph 'app' is not of the form package.module:name"),
        ("lacking_module:graph", "module 'lacking_module' of --sink-graph 'lacking_module:graph'"),
        ("app:lacking", "--sink-graph 'app:lacking' names 'lacking', which module app does not"),
        ("app:no_graph", "--sink-graph 'app:no_graph' gives a builtins.int, which is no graph"),
        ("/nowhere/app.py:graph", "there is no file '/nowhere/app.py'"),
    ],
)
async def test_what_is_no_graph_is_refused_before_anything_is_made(
    app: ModuleType, graph: str, message: str, write: Any, bring: Any, tmp_path: Path
) -> None:
    """The sentence names the option and what was found."""
    place, thread_id = await _thread(app.built())

    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        await bring(await write((place, [thread_id])), graph)

    assert not (tmp_path / "copy.db").exists()


async def test_a_graph_that_cannot_be_made_ends_the_run(
    app: ModuleType, write: Any, bring: Any, named: Any, tmp_path: Path
) -> None:
    """With what it said."""
    place, thread_id = await _thread(app.built())

    with pytest.raises(FatalError, match="raised RuntimeError: no model is configured"):
        await bring(await write((place, [thread_id])), named("failing"))

    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("commas", [False, True])
async def test_each_thread_is_rebuilt_with_its_own_graph(
    app: ModuleType, commas: bool, write: Any, bring: Any, named: Any
) -> None:
    """A thread of a graph that was not given is refused, and told how it would be taken."""
    one, other, third = [await _thread(app.built(asks=asks)) for asks in (True, False, True)]
    parts = [
        (place, [thread_id], graph_id)
        for (place, thread_id), graph_id in ((one, "agent"), (other, "short"), (third, "gone"))
    ]

    graphs = [f"agent={named('graph')}", f"short={named('short')}"]
    if commas:
        graphs = [",".join(graphs)]

    report = await bring(await write(*parts), *graphs)

    assert report.threads.written == 2
    assert [(one.thread_id, one.why) for one in report.failures] == [
        (
            third[1],
            GONE,
        )
    ]
    assert report.exit_code == 3


async def test_one_graph_takes_no_thread_that_has_other_nodes(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """It is told which graph is missing, and how it is given."""
    one, other = [await _thread(app.built(asks=asks)) for asks in (False, True)]

    report = await bring(await write((*_at(one), "short"), (*_at(other), "agent")), named("short"))

    assert report.threads.written == 1
    assert [failure.why for failure in report.failures] == [OTHER.format(named("short"))]


def _at(thread: tuple[Place, str]) -> tuple[Place, list[str]]:
    return thread[0], [thread[1]]


async def test_a_thread_of_no_graph_is_of_the_only_one(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """Where several are given, nothing tells which it is of."""
    place, thread_id = await _thread(app.built())
    source = await write((place, [thread_id], None))

    one = await bring(source, f"agent={named('graph')}", dry_run=True)
    two = await bring(source, f"agent={named('graph')}", f"b={named('made')}", dry_run=True)

    assert one.failures == []
    assert [failure.why for failure in two.failures] == [
        "nothing at the source tells which graph it is of, and several are given (agent, b)"
    ]


@pytest.mark.parametrize(
    ("graphs", "message"),
    [
        (("app:graph", "b=app:made"), "give each as graph_id=package.module:name"),
        (("b=app:graph", "b=app:made"), "is given twice for the threads of graph 'b'"),
    ],
)
async def test_graphs_for_the_same_threads_are_refused(
    graphs: tuple[str, ...], message: str, bring: Any, tmp_path: Path
) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match=message):
        await bring(tmp_path / "export.ndjson", *graphs)


@pytest.mark.parametrize("sink", ["postgres-saver", "sqlite-saver", "saver"])
async def test_without_the_option_it_is_named(sink: str, tmp_path: Path) -> None:
    """Nothing is read from a server whose threads the sink would not take; each thread of a
    file, which may hold everything, is refused with the same words."""
    options: dict[str, dict[str, Any]] = {
        "postgres-saver": {"dsn": "postgresql://localhost:1/none"},
        "sqlite-saver": {"path": tmp_path / "copy.db"},
        "saver": {"factory": "nowhere:saver"},
    }

    with pytest.raises(UsageError) as caught:
        await lgx.run_async(
            lgx.use("cloud", url="http://localhost:1"), lgx.use(sink, **options[sink])
        )

    assert str(caught.value) == (
        f"no checkpoints can be moved from cloud to {sink}: those of cloud are states as the API "
        f"shows them, which {sink} takes only with --sink-graph package.module:name, your own "
        "graph, with which it rebuilds them"
    )


async def test_without_the_option_threads_of_a_file_are_refused(
    app: ModuleType, write: Any, bring: Any
) -> None:
    """In the words that servers' threads are."""
    place, thread_id = await _thread(app.built())

    report: Report = await bring(await write((place, [thread_id])))

    assert [failure.why for failure in report.failures] == [UNTAKEN]


async def test_without_langgraph_it_is_said(
    app: ModuleType, write: Any, bring: Any, named: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is named, and where it goes."""
    place, thread_id = await _thread(app.built())
    source = await write((place, [thread_id]))
    monkeypatch.setitem(sys.modules, "langgraph.pregel", None)

    with pytest.raises(UsageError, match="the package langgraph is not installed"):
        await bring(source, named("graph"))
