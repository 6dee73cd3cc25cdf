"""A server's threads on another, by `lgx`: what is the same, and that all else is told."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx.testing import FaultProxy
from lgx_plugins.demo.server import RealServer

from .cleaning import clear
from .comparison import Comparison, compare
from .fill import Filled
from .moving import labels, move, reads, writes
from .requests import Server

ABSENT = {"gone-plain", "bare-gone", "lost-graph"}
"""Threads of graphs that the target lacks."""

OTHER = {"drift-plain", "renamed-plain", "lost-dates"}
"""Threads whose graph is another there, or whose history no server gives."""

STATUS = {"loop-busy", "loop-exhausted", "relay-fail", "relay-copy", "loop-branched-last"}
"""Threads that are busy, failed, or idle although something is next, or was where the newest
checkpoint was made."""

COMMANDED = {"chat-commanded"}
"""Commands at a step in the past make copies of it that differ from it: what they hold arrives by
an update, which is no copy, and where they lead besides does not."""

TOLD_BY_STEP = {"exit-back", "exit-chat", "exit-relay"}
"""Threads of which only the ends of runs were kept: their numbering has gaps."""


@dataclass
class Migrated:
    """Everything brought over once, and a second run after it."""

    report: lgx.Report
    found: Comparison
    executed: list[str]
    requests: list[str]
    again: lgx.Report
    again_reads: list[str]
    again_writes: list[str]
    ids: dict[str, str]

    def of(self, name: str) -> list[lgx.Loss]:
        return [loss for loss in self.report.losses if loss.thread_id == self.ids[name]]


@pytest.fixture(scope="module")
def migrated(source: Filled, target_server: RealServer, servers_home: Path) -> Migrated:
    async def migrate() -> Migrated:
        await clear(target_server.url)
        log = servers_home / "target.executions"
        before = len(log.read_text())
        async with FaultProxy(target_server.url) as proxy:
            report = await move(source.url, proxy.url)
            requests = [passage.name for passage in proxy.log]
            found = await compare(source.url, target_server.url, source.threads)
            proxy.log.clear()
            again = await move(source.url, proxy.url)
            return Migrated(
                *(report, found, log.read_text()[before:].split(), requests),
                *(again, list(reads(proxy)), writes(proxy), source.threads),
            )

    return asyncio.run(migrate())


def test_every_value_arrives(migrated: Migrated) -> None:
    """Of all checkpoints of the root history, with only usage_metadata excepted."""
    expected = set(migrated.ids) - ABSENT - OTHER
    unlike = {
        name: [str(d) for d in migrated.found[name].of("values", "missing", "extra", "final")]
        for name in expected
    }
    assert {name: found for name, found in unlike.items() if found} == {}
    assert migrated.found.usage > 0


def test_steps_and_sources_arrive(migrated: Migrated) -> None:
    expected = set(migrated.ids) - ABSENT - OTHER
    unlike = {name: migrated.found[name].of("step", "source") for name in expected}
    assert {name for name, found in unlike.items() if found} == TOLD_BY_STEP | COMMANDED
    for name in COMMANDED:
        assert [(d.field, d.source) for d in unlike[name]] == [("source", "fork")]
        assert "source of 1 checkpoint" in [loss.what for loss in migrated.of(name)]


def test_numbers_are_lower_where_the_source_left_some_out(migrated: Migrated) -> None:
    """Nothing else differs there, and the numbers are told, once."""
    for name in TOLD_BY_STEP:
        steps = migrated.found[name].of("step")
        assert [d for d in steps if not d.source > d.target] == [], name
        assert migrated.found[name].of("source", "next", "waits", "parent") == [], name
        told = [(loss.what, loss.holdable) for loss in migrated.of(name)]
        assert told.count(("the step number", False)) == 1, name
        assert not any(holdable for _, holdable in told), name


def test_what_comes_next_arrives_or_is_told(migrated: Migrated) -> None:
    """Joins excepted, where servers misreport; and tasks that an input cut off."""
    for name in set(migrated.ids) - ABSENT - OTHER:
        unlike = [d for d in migrated.found[name].of("next", "waits") if not d.join]
        assert not unlike or migrated.of(name), (name, list(map(str, unlike)))


def test_all_checkpoints_are_equal_but_those_that_no_update_makes(migrated: Migrated) -> None:
    """See `test_limits`: of threads whose graph is the same there, and of one whose node has
    another name, how many are not."""
    unequal = {
        name: found.checkpoints - found.equal
        for name, found in migrated.found.threads.items()
        if name not in ABSENT and found.checkpoints > found.equal
    }
    assert unequal == {
        "exit-chat": 10,
        "exit-back": 7,
        "exit-relay": 1,
        "relay-abandoned": 1,
        "relay-recovered": 1,
        "loop-forked-back": 1,
        "chat-commanded": 2,
        "renamed-plain": 1,
    }


def test_statuses_arrive_where_a_server_can_be_given_them(migrated: Migrated) -> None:
    unlike = {n for n, t in migrated.found.threads.items() if t.of("status")}
    assert unlike - ABSENT - OTHER <= STATUS
    for name in unlike - ABSENT:
        assert any(loss.what.startswith("status") for loss in migrated.of(name)), name


def test_metadata_arrives(migrated: Migrated) -> None:
    """All of it that servers do not set by themselves, `owner` and strange keys included."""
    assert [n for n, t in migrated.found.threads.items() if t.of("metadata")] == []
    told = [(loss.what, loss.holdable) for loss in migrated.of("loop-strange")]
    assert ("metadata 'assistant_id'", False) in told


def test_settings_of_threads_are_told(migrated: Migrated) -> None:
    """Runs leave them there, and nobody else can."""
    for name, configured in {"loop-configured": True, "bare-graph": False}.items():
        told = [(loss.what, loss.holdable) for loss in migrated.of(name)]
        assert (("its config", False) in told) is configured, name


def test_what_servers_take_from_no_checkpoint_is_told_once(migrated: Migrated) -> None:
    """Errors and questions of the past, and what runs put into the metadata."""
    messages = [note.message for note in migrated.report.notes if note.thread_id is None]
    assert len([m for m in messages if m.startswith("errors and interrupts of tasks")]) == 1
    assert len([m for m in messages if m.startswith("of the metadata of checkpoints")]) == 1


def test_nothing_is_different_that_is_not_told(migrated: Migrated) -> None:
    """A thread that differs in anything but the ids of its checkpoints is in the report."""
    told = {loss.thread_id for loss in migrated.report.losses}
    told |= {failure.thread_id for failure in migrated.report.failures}
    differing = {migrated.ids[name] for name in migrated.found.differences}
    assert {n for n, i in migrated.ids.items() if i in differing - told} == set()


def test_pending_interrupts_are_told(migrated: Migrated) -> None:
    """They are asked again when the thread runs: until then a server shows none."""
    for name in ("relay-one", "relay-two", "relay-inside"):
        assert "its pending interrupts" in {loss.what for loss in migrated.of(name)}, name


def test_threads_of_graphs_that_are_not_there_fail_with_the_remedy(migrated: Migrated) -> None:
    for name in ABSENT:
        failures = [f for f in migrated.report.failures if f.thread_id == migrated.ids[name]]
        assert any("--sink-map-graph" in failure.why for failure in failures), name
        assert migrated.found[name].of("thread"), name


def test_each_thread_is_counted_once_and_its_rung_is_told(migrated: Migrated) -> None:
    counts = migrated.report.threads
    assert counts.listed == len(migrated.ids)
    assert counts.written + counts.partial + counts.failed == counts.listed
    assert counts.failed == len(ABSENT)
    assert sum(migrated.report.fidelity.values()) == counts.written + counts.partial
    assert migrated.report.exit_code == 3


def test_nothing_runs(migrated: Migrated) -> None:
    """No node is executed, and nothing that starts one is ever asked for."""
    assert migrated.executed == []
    asked = [name for name in migrated.requests if not name.startswith("GET ")]
    started = [name for name in asked if "/runs" in name and "/runs/crons" not in name]
    assert started == []
    assert not any("/stream" in name or "/wait" in name for name in migrated.requests)


async def test_no_thread_has_a_run(migrated: Migrated, target_server: RealServer) -> None:
    async with Server(target_server.url) as server:
        for thread_id in await labels(target_server.url):
            assert await server.get(f"/threads/{thread_id}/runs") == []


def test_a_second_run_costs_a_listing(migrated: Migrated) -> None:
    """Of what arrived whole nothing is read again, neither here nor there, nor written."""
    again, first = migrated.again.threads, migrated.report.threads
    assert again.unchanged >= first.written
    partial = {f.thread_id for f in migrated.report.failures}
    whole = set(migrated.ids.values()) - partial
    touched = [n for n in migrated.again_writes + migrated.again_reads for i in whole if i in n]
    assert touched == []
    assert not any(name.startswith("PUT") for name in migrated.again_writes)
    assert not any("assistants" in name or "crons" in name for name in migrated.again_writes)


def test_the_report_keeps_what_the_checkpoints_were(migrated: Migrated) -> None:
    provenance = migrated.report.provenance
    assert provenance is not None
    origins = dict(provenance)
    for name in ("loop-long", "chat-plain", "weave-forked-twice"):
        assert origins[migrated.ids[name]].created_at
        assert origins[migrated.ids[name]].updated_at
        kept = origins[migrated.ids[name]].checkpoints
        assert len(kept) == migrated.found[name].checkpoints
        assert all(o.checkpoint_id and o.created_at for o in kept), name


async def test_provenance_is_the_sources(
    migrated: Migrated, source: Filled, target_server: RealServer
) -> None:
    """Ids, times and runs, from the oldest to the newest, as the source gives them."""
    assert migrated.report.provenance is not None
    origins = dict(migrated.report.provenance)
    thread_id = source.threads["loop-turns"]
    async with Server(source.url) as server:
        history = await server.history(thread_id)
    expected = [
        (s["checkpoint_id"], s["created_at"], s["metadata"].get("run_id")) for s in history[::-1]
    ]
    kept = origins[thread_id].checkpoints
    assert [(o.checkpoint_id, o.created_at, o.run_id) for o in kept] == expected


def test_a_label_of_an_earlier_copy_is_not_copied_on(
    migrated: Migrated, target_server: RealServer
) -> None:
    """A thread that lgx once brought to the source bears on the target the label of this copy."""
    label = asyncio.run(labels(target_server.url))[migrated.ids["loop-marked"]]
    assert label["source"] == migrated.report.versions.get("source", label["source"])
    assert label["version"] != "1"
    assert "thread_id" not in label


async def test_a_time_to_live_goes_along(
    source: Filled, target: str, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Where the source tells it, as a server takes it."""
    backup = lgx.use("ndjson", path=str(tmp_path / "one.ndjson"))
    thread_id = source.threads["loop-turns"]
    await lgx.run_async(lgx.use("cloud", url=source.url), backup, thread_ids=(thread_id,))
    add_ttl(tmp_path / "one.ndjson", {"ttl_minutes": 43_200, "strategy": "delete"})
    report = await lgx.run_async(backup, lgx.use("cloud", url=proxy.url))
    assert (report.exit_code, report.threads.written) == (0, 1)
    [body] = [json.loads(p.request.body) for p in proxy.log if p.name == "POST /threads"]
    assert body["ttl"] == {"ttl": 43_200, "strategy": "delete"}


def add_ttl(path: Path, ttl: dict[str, Any]) -> None:
    lines = path.read_text().splitlines()
    added = [
        json.dumps({**json.loads(line), "ttl": ttl}) if '"kind":"thread"' in line else line
        for line in lines
    ]
    assert added != lines
    path.write_text("\n".join(added) + "\n")


@pytest.mark.parametrize("verify", ["none", "sample"])
async def test_threads_need_not_be_read_back(
    verify: str, source: Filled, proxy: FaultProxy, target: str
) -> None:
    """Without comparing, nothing of most threads is asked for, and they stand there equal."""
    threads = source.named("relay-resumed") | source.named("loop-turns")
    await move(source.url, proxy.url, threads.values())  # learns of the graphs, as runs do
    await clear(target)
    proxy.log.clear()
    report = await move(source.url, proxy.url, threads.values(), verify=verify)
    assert report.threads.written == len(threads)
    found = await compare(source.url, target, threads)
    assert found.fields()["values"] == 0
    assert report.exit_code == 0


async def test_what_was_not_compared_is_no_copy_for_a_run_that_compares(
    source: Filled, target: str
) -> None:
    """It is said of such a run that it compared nothing, and the next one makes up for it."""
    thread_id = source.threads["loop-turns"]
    first, again = [await move(source.url, target, [thread_id], verify="none") for _ in range(2)]
    compares, last = [await move(source.url, target, [thread_id]) for _ in range(2)]

    told = [["not compared" in note.message for note in report.notes] for report in (first, last)]
    assert (told[0].count(True), told[1].count(True)) == (1, 0)
    assert (first.threads.written, again.threads.unchanged) == (1, 1)
    assert (compares.threads.written, last.threads.unchanged) == (1, 1)


async def test_a_thread_gets_another_graph_where_its_name_is_mapped_anew(
    source: Filled, target: str
) -> None:
    """Also one that stands there already; and nothing is said of names that were of no use."""
    mapped = {"loop": "relay"}
    async with Server(source.url) as server:
        thread = await server.post("/threads", {"metadata": {"graph_id": "loop"}})
        thread_id = thread["thread_id"]
        await move(source.url, target, [thread_id])
        reports = [await move(source.url, target, [thread_id], map_graph=mapped) for _ in range(2)]
        await server.delete(f"/threads/{thread_id}")

    assert [report.threads.written for report in reports] == [1, 0], reports[0].failures
    assert [
        note for report in reports for note in report.notes if "map-graph" in note.message
    ] == []
    async with Server(target) as server:
        thread = await server.get(f"/threads/{thread_id}")
    assert thread["metadata"]["graph_id"] == "relay"


async def test_a_graph_may_have_another_name(source: Filled, target: str) -> None:
    """Threads then belong to the other, and are otherwise the same."""
    thread_id = source.threads["gone-plain"]
    report = await move(source.url, target, [thread_id], map_graph={"gone": "loop"})
    found = await compare(source.url, target, {"gone-plain": thread_id}, graphs={"gone": "loop"})
    assert report.exit_code == 0, report.failures
    assert found.differences == {}, str(found)


async def test_a_name_that_is_no_graph_ends_the_run_before_it_begins(
    source: Filled, target: str
) -> None:
    with pytest.raises(lgx.UsageError, match=r"--sink-map-graph: .*'lop'"):
        await move(source.url, target, map_graph={"gone": "lop"})
    assert await labels(target) == {}


async def test_a_server_is_not_brought_to_itself(source: Filled) -> None:
    before = await thread_of(source.url, source.threads["relay-one"])
    with pytest.raises(lgx.UsageError, match="source and target are both"):
        await move(source.url, source.url, on_conflict="replace")
    assert await thread_of(source.url, source.threads["relay-one"]) == before


async def thread_of(url: str, thread_id: str) -> Any:
    async with Server(url) as server:
        return await server.get(f"/threads/{thread_id}"), await server.reached(thread_id)


async def test_a_backup_is_restored_to_its_own_server(
    source: Filled, target: str, tmp_path: Path
) -> None:
    """What is there still stays as it is, what is gone comes back, what has changed is told."""
    stays, goes, changes = made = [str(uuid.uuid4()) for _ in range(3)]
    async with Server(target) as server:
        for thread_id in made:
            body = {"thread_id": thread_id, "metadata": {"owner": "ann"}}
            await server.post("/threads", body)
            run = {"assistant_id": "loop", "input": {"rounds": 3}}
            await server.post(f"/threads/{thread_id}/runs/wait", run)
        backup = lgx.use("ndjson", path=str(tmp_path / "backup.ndjson"))
        assert (await lgx.run_async(lgx.use("cloud", url=target), backup)).exit_code == 0
        history = await server.history(goes)
        await server.delete(f"/threads/{goes}")
        await server.post(f"/threads/{changes}/state", {"values": {"count": 99}, "as_node": "turn"})
        before = [await thread_of(target, thread_id) for thread_id in (stays, changes)]
        report = await lgx.run_async(backup, lgx.use("cloud", url=target))
        assert [await thread_of(target, i) for i in (stays, changes)] == before
        again = await server.history(goes)
    assert (report.threads.unchanged, report.threads.written, report.threads.failed) == (1, 1, 1)
    assert [s["values"] for s in again] == [s["values"] for s in history]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("relay-one", {"resume": {"yes": ["é", None]}}),
        ("relay-inside", {"resume": "deep"}),
        ("relay-gate", None),
        pytest.param("relay-series", {"resume": "a"}, marks=pytest.mark.nightly),
        pytest.param("relay-beside", {"resume": "beside"}, marks=pytest.mark.nightly),
        pytest.param("loop-paused", None, marks=pytest.mark.nightly),
    ],
)
async def test_an_interrupted_thread_can_be_resumed_there(
    name: str, answer: object, source: Filled, target: str, executed: Callable[[], list[str]]
) -> None:
    """It ends on the target as a copy of it ends on the source."""
    thread_id = source.threads[name]
    report = await move(source.url, target, [thread_id])
    assert report.exit_code == 0, report.failures
    assert executed() == []
    graph = name.partition("-")[0]
    run: dict[str, Any] = {"assistant_id": graph, "config": {"recursion_limit": 1100}}
    if answer:
        run["command"] = answer
    ends = []
    for url in (source.url, target):
        async with Server(url) as server:
            own = thread_id
            if url == source.url:
                own = (await server.post(f"/threads/{thread_id}/copy", None))["thread_id"]
            await server.post(f"/threads/{own}/runs/wait", run)
            state = await server.get(f"/threads/{own}/state")
            ends.append((state["values"], state["next"]))
            if url == source.url:
                await server.delete(f"/threads/{own}")
    assert ends[0] == ends[1]
    assert executed() != []
