"""What becomes of a thread where something stands on the target already."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

import lgx
from lgx.testing import FaultProxy, make_context
from lgx.testing.stub import Request
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.sink import CloudSink

from .comparison import compare
from .fill import Filled
from .moving import contents, labels, move, named, writes
from .requests import Server

NAME = "loop-turns"


@pytest.fixture
def thread_id(source: Filled) -> str:
    return source.threads[NAME]


async def equal(source: Filled, target: str) -> bool:
    found = await compare(source.url, target, {NAME: source.threads[NAME]})
    return not found.differences


async def occupy(url: str, thread_id: str, **body: Any) -> None:
    async with Server(url) as server:
        await server.post("/threads", {"thread_id": thread_id, **body})


async def go_on(url: str, thread_id: str) -> None:
    async with Server(url) as server:
        update = {"values": {"log": ["went on"]}, "as_node": "turn"}
        await server.post(f"/threads/{thread_id}/state", update)


async def test_other_content_fails(source: Filled, target: str, thread_id: str) -> None:
    """By default; it stays as it is, and the message says what can be done."""
    await occupy(target, thread_id, metadata={"mine": True})
    before = await contents(target)
    report = await move(source.url, target, [thread_id])
    assert await contents(target) == before
    assert report.threads.failed == 1
    [why] = named(report, thread_id)
    assert why.startswith("thread: it stands there with other content; --sink-on-conflict replace")


async def test_other_content_may_be_left(source: Filled, target: str, thread_id: str) -> None:
    """It is in the report, and no failure."""
    await occupy(target, thread_id, metadata={"mine": True})
    before = await contents(target)
    report = await move(source.url, target, [thread_id], on_conflict="skip")
    assert await contents(target) == before
    assert (report.exit_code, report.threads.written, report.threads.unchanged) == (0, 0, 1)
    assert [loss.why for loss in report.losses if loss.what == "thread"] == [
        "it stands there with other content, and was left (--sink-on-conflict skip)"
    ]


async def test_other_content_may_be_replaced(source: Filled, target: str, thread_id: str) -> None:
    await occupy(target, thread_id, metadata={"mine": True})
    report = await move(source.url, target, [thread_id], on_conflict="replace")
    assert (report.exit_code, report.threads.written) == (0, 1)
    assert await equal(source, target)


async def test_the_same_content_is_adopted(source: Filled, target: str, thread_id: str) -> None:
    """Whoever brought it there: it is not written again, and the next run knows it."""
    await move(source.url, target, [thread_id])
    async with Server(target) as server:
        await server.patch(f"/threads/{thread_id}", {"metadata": {"lgx": None}})
        before = await server.history(thread_id)
        report = await move(source.url, target, [thread_id])
        assert await server.history(thread_id) == before
    assert (report.exit_code, report.threads.unchanged, report.threads.written) == (0, 1, 0)
    again = await move(source.url, target, [thread_id])
    assert again.threads.unchanged == 1
    assert again.requests < report.requests


@pytest.mark.parametrize("conflict", ["fail", "skip", "replace"])
async def test_a_copy_with_which_somebody_has_gone_on_is_a_conflict(
    conflict: str, source: Filled, target: str, thread_id: str
) -> None:
    """It is never replaced without having been asked for."""
    await move(source.url, target, [thread_id])
    await go_on(target, thread_id)
    before = await contents(target)
    report = await move(source.url, target, [thread_id], full=True, on_conflict=conflict)
    if conflict == "replace":
        assert await equal(source, target)
        return
    assert await contents(target) == before
    assert (report.threads.failed, report.threads.unchanged) == (
        (1, 0) if conflict == "fail" else (0, 1)
    )
    told = [loss.why for loss in report.losses] + [failure.why for failure in report.failures]
    assert any("somebody has gone on" in why for why in told)


async def test_an_untouched_copy_is_replaced_by_a_newer_one(
    source: Filled, target: str, thread_id: str
) -> None:
    """Without asking: it is lgx's own, and older."""
    await move(source.url, target, [thread_id])
    async with Server(target) as server:
        label = (await server.get(f"/threads/{thread_id}"))["metadata"]["lgx"]
        older = {"metadata": {"lgx": {**label, "version": "older"}}}
        await server.patch(f"/threads/{thread_id}", older)
    report = await move(source.url, target, [thread_id])
    assert (report.exit_code, report.threads.written) == (0, 1)
    assert await equal(source, target)


@pytest.mark.parametrize("left_by", ["this source", "http://elsewhere"])
async def test_what_is_labelled_unfinished_is_replaced(
    left_by: str, source: Filled, target: str, thread_id: str
) -> None:
    """Whoever's attempt it was: it is no copy of anything."""
    by = source.url if left_by == "this source" else left_by
    label = {"unfinished": True, "attempt": "a" * 32, "source": by}
    metadata = {"lgx": label, "graph_id": "loop"}
    step = {"updates": [{"values": {"rounds": 9}, "as_node": "__input__"}]}
    await occupy(target, thread_id, metadata=metadata, supersteps=[step])
    report = await move(source.url, target, [thread_id])
    assert (report.exit_code, report.threads.written) == (0, 1)
    assert await equal(source, target)
    assert "unfinished" not in (await labels(target))[thread_id]


async def test_a_copy_of_another_source_is_a_conflict(
    source: Filled, target: str, thread_id: str
) -> None:
    """Unless it is the same; with --merge this one stands beside it."""
    label = {"source": "http://elsewhere", "fidelity": "replayed", "version": "1"}
    await occupy(target, thread_id, metadata={"lgx": label})
    report = await move(source.url, target, [thread_id])
    assert named(report, thread_id)[0].startswith(
        "thread: it stands there as a copy of a thread of http://elsewhere, which is another "
        "source (with --merge this one would get an id of its own, and both would stand there);"
    )
    merged = await move(source.url, target, [thread_id], merge=True)
    assert (merged.exit_code, merged.threads.written) == (0, 1)
    found = await labels(target)
    [other] = found.keys() - {thread_id}
    assert found[other]["thread_id"] == thread_id
    compared = await compare(source.url, target, {NAME: thread_id}, ids={thread_id: other})
    assert compared.differences == {}
    again = await move(source.url, target, [thread_id], merge=True)
    assert again.threads.unchanged == 1


async def test_nothing_is_removed_for_what_cannot_be_built(source: Filled, target: str) -> None:
    """A thread whose graph is not there does not cost what stands in its place."""
    thread_id = source.threads["gone-plain"]
    await occupy(target, thread_id, metadata={"mine": True})
    before = await contents(target)
    report = await move(source.url, target, [thread_id], on_conflict="replace")
    assert report.threads.failed == 1
    assert await contents(target) == before


async def test_other_metadata_is_a_conflict(source: Filled, target: str, thread_id: str) -> None:
    """The same history is not the same thread."""
    await move(source.url, target, [thread_id])
    async with Server(target) as server:
        change = {"metadata": {"lgx": None, "name": "renamed there"}}
        await server.patch(f"/threads/{thread_id}", change)
    report = await move(source.url, target, [thread_id])
    assert named(report, thread_id)[0].startswith("thread: it stands there with other content")


async def test_an_answer_that_somebody_gave_there_is_kept(source: Filled, target: str) -> None:
    """One of two interrupts was answered: no checkpoint came of it, and yet it is a conflict."""
    thread_id = source.threads["relay-two"]
    await move(source.url, target, [thread_id])
    async with Server(target) as server:
        run = {"assistant_id": "relay", "input": None}
        await server.post(f"/threads/{thread_id}/runs/wait", run)
        asked = (await server.get(f"/threads/{thread_id}"))["interrupts"]
        [first, *_] = [one["id"] for some in asked.values() for one in some]
        answer = {"assistant_id": "relay", "command": {"resume": {first: "a human's"}}}
        await server.post(f"/threads/{thread_id}/runs/wait", answer)
    before = await contents(target)
    report = await move(source.url, target, [thread_id], full=True)
    assert await contents(target) == before
    assert "somebody has gone on" in named(report, thread_id)[0]


async def test_metadata_that_somebody_changed_there_is_kept(
    source: Filled, target: str, thread_id: str
) -> None:
    await move(source.url, target, [thread_id])
    async with Server(target) as server:
        await server.patch(f"/threads/{thread_id}", {"metadata": {"reviewed": True}})
    before = await contents(target)
    report = await move(source.url, target, [thread_id], full=True, on_conflict="skip")
    assert report.threads.written == 0
    assert await contents(target) == before


@pytest.mark.parametrize("conflict", ["fail", "skip", "replace"])
async def test_a_server_by_another_name_is_known(conflict: str, source: Filled) -> None:
    """Its threads bear the ids of the source's own checkpoints: nothing is touched."""
    some = [*source.named("relay").values()]
    async with Server(source.url) as server, FaultProxy(source.url) as other:
        before = [await server.get(f"/threads/{thread_id}") for thread_id in some]
        name = source.url.replace("127.0.0.1", "localhost")
        with pytest.raises(lgx.UsageError, match="source and target are both"):
            await move(source.url, name, some, on_conflict=conflict)
        # The proxy is this machine by another port, as a balancer is by another name.
        report = await move(source.url, other.url, some, on_conflict=conflict)
        assert "the same server by two names" in (report.aborted or "")
        assert writes(other) == []
        assert [await server.get(f"/threads/{thread_id}") for thread_id in some] == before


async def unfinished(sink: CloudSink) -> str:
    """What doctor says of them."""
    facts = {fact.name: fact for fact in (await sink.probe(make_context())).facts}
    return facts["unfinished threads"].value


async def test_what_was_cut_short_can_be_cleaned_away(
    source: Filled, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By doctor, and only what nobody writes: what is said of them beforehand is what is done."""
    label = {"unfinished": True, "attempt": "a" * 32, "source": source.url}
    left = [str(uuid.uuid4()) for _ in range(3)]
    for thread_id in left:
        await occupy(target, thread_id, metadata={"lgx": label, "graph_id": "loop"})
    async with Server(target) as server:
        cron = {"assistant_id": "loop", "schedule": "0 0 1 1 *", "input": {"rounds": 1}}
        await server.post(f"/threads/{left[2]}/runs/crons", cron)
    await move(source.url, target, [source.threads["loop-turns"]])
    async with CloudSink(CloudSinkConfig(url=target)) as sink:
        young, used = (await unfinished(sink)).split("; ")
        assert young.startswith("2 that changed within the last minute, as a run may be writing")
        assert used.startswith("1 that somebody has run since, or has a cron for")
        assert "--sink-on-conflict replace" in used
        assert await sink.clean(make_context()) == []
        assert labels_of(left, await labels(target)) == [label] * 3
        monkeypatch.setattr("lgx_plugins.cloud.restore.leftovers._IDLE", -100.0)
        old, again = (await unfinished(sink)).split("; ")
        assert old.startswith("2 of a run that was cut short: --clean removes them")
        assert again == used
        removed = await sink.clean(make_context())
        assert sorted(removed) == sorted(f"unfinished thread {i}" for i in left[:2])
        assert await unfinished(sink) == used
    assert (await labels(target)).keys() == {left[2], source.threads["loop-turns"]}


def labels_of(threads: list[str], found: dict[str, Any]) -> list[Any]:
    return [found.get(thread_id) for thread_id in threads]


async def test_a_run_whose_thread_was_cleaned_away_builds_it_anew(
    source: Filled, target: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for dead, and was not: the thread is there in the end, whole and once."""
    thread_id = source.threads["loop-long"]
    monkeypatch.setattr("lgx_plugins.cloud.restore.leftovers._IDLE", -100.0)
    cleaned: list[str] = []

    async def between(request: Request) -> None:
        if request.path.endswith("/history") and not cleaned:
            async with CloudSink(CloudSinkConfig(url=target)) as sink:
                cleaned.extend(await sink.clean(make_context()))

    proxy.on_request = between
    report = await move(source.url, proxy.url, [thread_id])
    assert cleaned == [f"unfinished thread {thread_id}"]
    assert report.exit_code == 0, report.failures
    found = await compare(source.url, target, {"loop-long": thread_id})
    assert not found.differences


async def test_copies_that_a_server_makes_of_copies_are_their_users(
    source: Filled, target: str, thread_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the label, too: of a whole copy, and of one that was cut short."""
    await move(source.url, target, [thread_id])
    half, label = str(uuid.uuid4()), {"unfinished": True, "attempt": "a" * 32, "source": "x"}
    own = {"lgx": {**label, "here": half}, "graph_id": "loop"}
    await occupy(target, half, metadata=own)
    async with Server(target) as server:
        copies = [await server.post(f"/threads/{i}/copy", None) for i in (thread_id, half)]
    theirs = {copy["thread_id"] for copy in copies}

    sides = lgx.use("cloud", url=source.url), lgx.use("cloud", url=target)
    found = await lgx.verify_async(*sides)
    assert (found.threads.equal, found.threads.additional) == (1, 0)
    monkeypatch.setattr("lgx_plugins.cloud.restore.leftovers._IDLE", -100.0)
    async with CloudSink(CloudSinkConfig(url=target)) as sink:
        assert await sink.clean(make_context()) == [f"unfinished thread {half}"]
    assert (await labels(target)).keys() == {thread_id, *theirs}


@pytest.mark.parametrize(
    "theirs", [{"unfinished": True}, {"unfinished": True, "attempt": "mine", "source": "x"}]
)
async def test_what_only_looks_cut_short_is_not_cleaned_away(
    theirs: dict[str, Any], target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever somebody else keeps under the same key."""
    await occupy(target, str(uuid.uuid4()), metadata={"lgx": theirs})
    before = await contents(target)
    monkeypatch.setattr("lgx_plugins.cloud.restore.leftovers._IDLE", -100.0)
    async with CloudSink(CloudSinkConfig(url=target)) as sink:
        facts = {fact.name: fact for fact in (await sink.probe(make_context())).facts}
        assert facts["unfinished threads"].value == "none"
        assert await sink.clean(make_context()) == []
    assert await contents(target) == before


async def test_half_a_thread_that_somebody_has_run_is_theirs(
    source: Filled, target: str, thread_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a run nor doctor removes what lgx did not make, unless that is asked for."""
    label = {"unfinished": True, "attempt": "a" * 32, "source": source.url}
    await occupy(target, thread_id, metadata={"lgx": label, "graph_id": "loop"})
    async with Server(target) as server:
        run = {"assistant_id": "loop", "input": {"rounds": 1}}
        await server.post(f"/threads/{thread_id}/runs/wait", run)
    before = await contents(target)
    report = await move(source.url, target, [thread_id])
    assert "half built by a run that was cut short" in named(report, thread_id)[0]
    monkeypatch.setattr("lgx_plugins.cloud.restore.leftovers._IDLE", -100.0)
    async with CloudSink(CloudSinkConfig(url=target)) as sink:
        assert await sink.clean(make_context()) == []
        assert (await unfinished(sink)).startswith("1 that somebody has run since")
    assert await contents(target) == before
    await move(source.url, target, [thread_id], on_conflict="replace")
    assert await equal(source, target)


async def test_a_copy_that_a_cron_runs_is_not_replaced(
    source: Filled, target: str, thread_id: str
) -> None:
    """With it the cron would go."""
    await move(source.url, target, [thread_id])
    async with Server(target) as server:
        cron = {"assistant_id": "loop", "schedule": "0 0 1 1 *", "input": {"rounds": 1}}
        await server.post(f"/threads/{thread_id}/runs/crons", cron)
    before = await contents(target)
    report = await move(source.url, target, [thread_id], full=True)
    assert await contents(target) == before
    assert "somebody has gone on" in named(report, thread_id)[0]


@pytest.mark.parametrize(
    "theirs", [{"unfinished": "x"}, {"unfinished": True}, {"unfinished": True, "attempt": "mine"}]
)
async def test_what_only_looks_like_a_label_is_somebody_elses(
    theirs: dict[str, Any], source: Filled, target: str, thread_id: str
) -> None:
    await occupy(target, thread_id, metadata={"lgx": theirs})
    before = await contents(target)
    report = await move(source.url, target, [thread_id])
    assert await contents(target) == before
    assert named(report, thread_id)[0].startswith("thread: it stands there with other content")
