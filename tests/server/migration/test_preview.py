"""A dry run tells what would become of each thread, and changes nothing on the target."""

from __future__ import annotations

import pytest

import lgx
from lgx.testing import FaultProxy

from .fill import Filled
from .moving import contents, move, named, writes
from .requests import Server


async def test_nothing_is_changed(source: Filled, target: str, proxy: FaultProxy) -> None:
    """Whatever the threads are: only questions are asked, and all is as before."""
    some = source.named("relay") | source.named("bare")
    await move(source.url, target, list(some.values())[:3])
    before = await contents(target)
    report = await move(source.url, proxy.url, dry_run=True)
    assert await contents(target) == before
    assert writes(proxy) == []
    moved = {item.thread_id for item in report.would_move}
    failed = {failure.thread_id for failure in report.failures} - {None}  # an assistant
    assert report.threads.unchanged == 3
    assert moved | failed == set(source.threads.values()) - set(list(some.values())[:3])


async def test_it_tells_what_a_run_would_tell(source: Filled, target: str) -> None:
    """Graphs that are not there, and what no server can be given."""
    names = ("gone-plain", "bare-gone", "lost-graph", "weave-plain", "relay-inside", "chat-usage")
    some = [source.threads[name] for name in names]
    report = await move(source.url, target, some, dry_run=True)
    for name in names[:3]:
        assert any("--sink-map-graph" in why for why in named(report, source.threads[name])), name
    done = await move(source.url, target, some)
    subgraphs = {(loss.thread_id, loss.what) for loss in done.losses if "of subgraphs" in loss.what}
    assert subgraphs
    assert subgraphs <= {(loss.thread_id, loss.what) for loss in report.losses}


STOPPED = ("chat-usage", "loop-configured", "relay-fail", "relay-inside", "relay-one", "relay-two")


async def test_it_tells_all_that_threads_lose_whatever_comes_of_them(
    source: Filled, target: str
) -> None:
    """Questions that wait, a status, settings, and keys of metadata, in the words of a run."""
    some = [source.threads[name] for name in STOPPED]
    dry, done = [await move(source.url, target, some, dry_run=dry_run) for dry_run in (True, False)]
    whats = {"its pending interrupts", "status error", "metadata 'assistant_id'", "its config"}
    told = {(loss.thread_id, loss.what, loss.why) for loss in dry.losses if not loss.holdable}
    assert {what for _, what, _ in told} >= whats
    assert told == {
        (loss.thread_id, loss.what, loss.why) for loss in done.losses if not loss.holdable
    }


async def test_it_tells_conflicts(source: Filled, target: str) -> None:
    """And what would be taken for the same."""
    taken, same = source.threads["loop-turns"], source.threads["relay-one"]
    await move(source.url, target, [same])
    async with Server(target) as server:
        await server.patch(f"/threads/{same}", {"metadata": {"lgx": None}})
        await server.post("/threads", {"thread_id": taken, "metadata": {"mine": 1}})
    before = await contents(target)
    report = await move(source.url, target, [taken, same], dry_run=True)
    assert await contents(target) == before
    assert named(report, taken)[0].startswith("thread: it stands there with other content")
    assert report.threads.unchanged == 1
    assert report.would_move == []
    replacing = await move(source.url, target, [taken, same], dry_run=True, on_conflict="replace")
    assert [item.thread_id for item in replacing.would_move] == [taken]
    assert [note.message for note in replacing.notes if note.thread_id == taken] == [
        "what stands there with other content would be replaced"
    ]


@pytest.mark.parametrize(
    ("sink", "said"),
    [
        ({"url": "http://127.0.0.1:9"}, "see that http://127.0.0.1:9 is right"),
        ({"url": "http://user:secret@127.0.0.1:9/x"}, "see that http://127.0.0.1:9/x is right"),
    ],
)
async def test_a_target_that_does_not_answer_ends_the_run_before_it_begins(
    sink: dict[str, str], said: str, source: Filled
) -> None:
    with pytest.raises(lgx.FatalError) as caught:
        await lgx.run_async(lgx.use("cloud", url=source.url), lgx.use("cloud", **sink))
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_path_that_is_none_is_said(source: Filled, target: str) -> None:
    """Before anything is written."""
    with pytest.raises(lgx.LgxError, match="is not the address of a LangGraph server"):
        await move(source.url, f"{target}/nowhere")


async def test_steps_that_are_too_large_are_told(
    source: Filled, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, and by the run, which leaves nothing of such a thread."""
    thread_id = source.threads["weave-plain"]
    monkeypatch.setattr("lgx_plugins.cloud.restore.bodies.LARGEST_BODY", 500)
    report = await move(source.url, target, [thread_id], dry_run=True)
    [note] = [note for note in report.notes if note.thread_id == thread_id]
    assert note.message.startswith("one of its steps has up to 0 MiB, and servers refuse requests")
    done = await move(source.url, target, [thread_id])
    [why] = named(done, thread_id)
    assert "needs a request of" in why
    assert thread_id not in await contents(target)


UNTOLD = {"what an input dropped", "the step number", "status idle"}
"""Of what single threads lose: what in some cases only a look at the copy tells."""


async def test_what_is_told_of_any_thread_is_what_comes_of_it(source: Filled, target: str) -> None:
    """Whatever the graphs there are like: no thread is said to lose what it keeps, and of what it
    loses next to nothing comes as a surprise."""
    dry, done = [await move(source.url, target, dry_run=dry_run) for dry_run in (True, False)]
    told, came = [
        {f.thread_id for f in report.failures if f.thread_id is not None} for report in (dry, done)
    ]
    assert told <= came
    [why] = named(dry, source.threads["renamed-plain"])
    assert why.startswith("thread: it would come in part, as graph 'renamed' there has not all of")
    foreseen, lost = [
        {
            (loss.thread_id, loss.what)
            for loss in report.losses
            if not loss.holdable and loss.thread_id is not None
        }
        for report in (dry, done)
    ]
    assert foreseen <= lost
    assert {what for _, what in lost - foreseen} <= UNTOLD
