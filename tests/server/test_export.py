"""An export of a real server holds what plain requests get from it, whatever it goes through."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from lgx import Report, run_async, use
from lgx.testing import PostgresServer

from .fill import Filled
from .lines import Lines, by_value, read_lines
from .truth import Truth

pytestmark = pytest.mark.timeout(300)  # the first test waits for the server and four exports

SINKS = {"ndjson": "out.ndjson", "json": "out.json", "archive": "out", "sqlite": "out.db"}
LAYOUTS = {"postgres": "plain", "postgres, dedup": "dedup"}


@dataclass
class Export:
    path: Path
    report: Report
    lines: Lines
    """What lgx reads back out of it, as NDJSON."""


Exporting = Callable[[str], Export]


@pytest.fixture(scope="module")
def exported(
    filled_server: Filled,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Exporting:
    """The filled server, exported through every sink, all at the same time."""
    folder = tmp_path_factory.mktemp("exports")
    source = use("cloud", url=filled_server.url)

    async def export(name: str) -> Export:
        path, again = folder / SINKS.get(name, "none"), folder / f"{name}.again.ndjson"
        kept = sink = use(name, path=str(path)) if name in SINKS else None
        if kept is None or sink is None:
            kept = use("postgres", dsn=postgres_server.new_database())
            sink = use("postgres", layout=LAYOUTS[name], **kept.options)
        report = await run_async(source, sink)
        back = await run_async(kept, use("ndjson", path=str(again)))
        assert back.aborted is None
        return Export(path, report, read_lines(again))

    async def export_all() -> list[Export | BaseException]:
        names = (*SINKS, *LAYOUTS)
        return await asyncio.gather(*map(export, names), return_exceptions=True)

    exports = dict(zip((*SINKS, *LAYOUTS), asyncio.run(export_all()), strict=True))

    def choose(name: str) -> Export:
        export = exports[name]
        if isinstance(export, BaseException):
            raise export
        return export

    return choose


@pytest.fixture(params=sorted((*SINKS, *LAYOUTS)))
def export(request: pytest.FixtureRequest, exported: Exporting) -> Export:
    return exported(request.param)


def test_every_checkpoint_is_there_as_plain_requests_get_it(export: Export, truth: Truth) -> None:
    """Over all namespaces, each once, and nothing that the server does not have."""
    expected = {i: thread.checkpoints for i, thread in truth.threads.items() if thread.checkpoints}
    assert {i: set(s) for i, s in export.lines.states.items()} == {
        i: set(s) for i, s in expected.items()
    }
    for thread_id, states in expected.items():
        assert by_value(export.lines.states[thread_id]) == by_value(states)


def test_every_thread_is_there_as_plain_requests_get_it(export: Export, truth: Truth) -> None:
    """Also those without a checkpoint, without a graph, and with a poisoned history."""
    expected = {i: t.thread for i, t in truth.threads.items()}
    assert by_value(export.lines.threads) == by_value(expected)


def test_the_extras_are_there_as_plain_requests_get_them(export: Export, truth: Truth) -> None:
    """Assistants in all their versions, crons, and the store over all namespaces."""
    assert export.lines.assistants == truth.assistants
    assert export.lines.in_force == truth.in_force
    assert export.lines.crons == truth.crons
    assert {key: _unscored(item) for key, item in export.lines.items.items()} == {
        key: _unscored(item) for key, item in truth.items.items()
    }


def _unscored(item: dict[str, object]) -> dict[str, object]:
    """How well an item matches is the search's, not the item's."""
    return {key: value for key, value in item.items() if key != "score"}


def test_what_is_missing_is_counted_and_listed(
    export: Export, filled_server: Filled, truth: Truth
) -> None:
    """Poisoned threads and the one whose graph is gone are partial: exit code 3."""
    names = {thread_id: name for name, thread_id in filled_server.threads.items()}
    short = {names[i]: t.lost for i, t in truth.threads.items() if t.lost}
    report = export.report
    assert report.exit_code == 3
    listed: dict[str, int] = {}
    for loss in report.losses:
        assert loss.thread_id is not None
        assert loss.why
        listed[names[loss.thread_id]] = listed.get(names[loss.thread_id], 0) + loss.checkpoints
    assert {name: count for name, count in listed.items() if count} == short
    assert {names[f.thread_id] for f in report.failures if f.thread_id} >= set(short)
    assert report.threads.listed == len(truth.threads)
    assert report.threads.partial == len(short)
    assert report.threads.written == len(truth.threads) - len(short)
    assert report.threads.failed == report.threads.gone == report.threads.unchanged == 0
    arrived = report.checkpoints.written + report.checkpoints.partial
    assert arrived == truth.checkpoints
    assert report.checkpoints.failed == sum(short.values())
    assert report.checkpoints.listed == sum(t.stored for t in truth.threads.values())


def test_ndjson_is_plain_lines(exported: Exporting, truth: Truth) -> None:
    """The file itself, not what lgx reads out of it, has every checkpoint."""
    lines = read_lines(exported("ndjson").path)
    assert lines.states == {i: t.checkpoints for i, t in truth.threads.items() if t.checkpoints}


def test_json_has_the_layout_of_the_older_tool(exported: Exporting, truth: Truth) -> None:
    """Its `threads` have the keys that it wrote, their history the root's states, newest first."""
    document = json.loads(exported("json").path.read_text(encoding="utf-8"))
    assert {"threads", "export_date", "source"} <= set(document)
    assert len(document["threads"]) == len(truth.threads)
    for thread in document["threads"]:
        expected = truth.threads[thread["thread_id"]]
        for name in ("metadata", "values", "created_at", "updated_at"):
            assert thread[name] == expected.thread.get(name)
        root = [state for (namespace, _), state in expected.checkpoints.items() if not namespace]
        assert thread["history"] == sorted(root, key=lambda s: s["checkpoint_id"], reverse=True)


def test_sqlite_answers_plain_sql(exported: Exporting, truth: Truth) -> None:
    """Rows are there for every checkpoint, and the view shows each thread's messages."""
    with closing(sqlite3.connect(exported("sqlite").path)) as database:
        rows = database.execute(
            "SELECT thread_id, checkpoint_ns, checkpoint_id FROM langgraph_checkpoints"
        ).fetchall()
        messages = database.execute(
            "SELECT thread_id, content FROM langgraph_messages ORDER BY thread_id, position"
        ).fetchall()
    assert sorted(rows) == sorted(
        (thread_id, *key) for thread_id, t in truth.threads.items() for key in t.checkpoints
    )
    assert messages == [
        (thread_id, message["content"])
        for thread_id, t in sorted(truth.threads.items())
        for message in (t.thread.get("values") or {}).get("messages", [])
    ]
