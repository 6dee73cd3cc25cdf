"""Threads are read whole: all pages, all namespaces; what is missing is listed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx import Checkpoint, FatalError, Query, Run, Thread, ThreadRef
from lgx.testing import Deployment, Quirks, StubServer, StubThread, make_context
from lgx.testing.stub import Answer, Request, Response, dump


def places(thread: StubThread) -> list[tuple[str, str]]:
    """Every checkpoint of a stub's thread, by namespace, oldest first."""
    return [
        (namespace, chain.id_at(index))
        for namespace, chain in thread.chains.items()
        for index in reversed(range(len(chain)))
    ]


def only(deployment: Deployment) -> StubThread:
    (thread,) = deployment
    return thread


async def test_small_threads_cost_little_more_than_two_requests(make_source: Any) -> None:
    """A history and a storage count each; records of many threads come together."""
    async with StubServer(Deployment.sample(threads=100, checkpoints=3, size=500)) as stub:
        context = make_context()

        async def one(source: Any, ref: ThreadRef) -> None:
            assert [item async for item in source.read([ref], context)]

        async with make_source(stub.url) as source:
            refs = [ref async for ref in source.list(Query(), context)]
            listing = stub.requests["search"]
            await asyncio.gather(*(one(source, ref) for ref in refs))
        assert stub.requests["history"] == stub.requests["storage"] == 100
        assert stub.requests["search"] - listing <= 40
        assert stub.requests["thread"] == 0


@pytest.mark.parametrize("before", ["strict", "lenient", "get"])
async def test_a_history_of_many_pages_is_turned_round(before: str, read: Any) -> None:
    """With whichever cursor the server takes; the oldest comes first, each once."""
    deployment = Deployment.sample(threads=1, checkpoints=57, size=300)
    async with StubServer(deployment, quirks=Quirks(before=before)) as stub:  # type: ignore[arg-type]
        result = await read(stub.url, page_size=10)
    thread = only(deployment)
    assert result.outcomes == {thread.thread_id: "complete"}
    assert result.states(thread.thread_id) == places(thread)


async def test_without_any_cursor_a_history_is_read_step_by_step(read: Any) -> None:
    deployment = Deployment.sample(threads=1, checkpoints=25, size=300)
    async with StubServer(deployment, quirks=Quirks(before="none")) as stub:
        result = await read(stub.url, page_size=10)
    thread = only(deployment)
    assert result.outcomes == {thread.thread_id: "complete"}
    assert result.states(thread.thread_id) == places(thread)


@pytest.mark.parametrize("quirks", [Quirks(), Quirks(storage=False), Quirks(ids=False)])
async def test_all_namespaces_come_also_from_lesser_servers(quirks: Quirks, read: Any) -> None:
    """Subgraphs within subgraphs, with and without storage counts and look-ups of many."""
    deployment = Deployment.sample(threads=5, checkpoints=[4, 0], subgraphs=4, size=300)
    async with StubServer(deployment, quirks=quirks) as stub:
        result = await read(stub.url)
    assert set(result.outcomes.values()) == {"complete"}
    for thread in deployment:
        came = result.states(thread.thread_id)
        assert sorted(came) == sorted(places(thread))
        assert [place for place in came if not place[0]] == [
            place for place in places(thread) if not place[0]
        ]


async def test_rows_that_two_forms_of_a_namespace_bring_come_once(read: Any) -> None:
    """A subgraph's states may answer to its name with and without the task id."""
    deployment = Deployment.sample(threads=1, checkpoints=4, subgraphs=3, size=300)
    thread = only(deployment)
    thread.alias_namespace("child", next(ns for ns in thread.chains if ns and "|" not in ns))
    async with StubServer(deployment) as stub:
        result = await read(stub.url)
    came = result.states(thread.thread_id)
    assert len(came) == len(set(came))
    assert sorted(came) == sorted(places(thread))
    assert result.outcomes == {thread.thread_id: "complete"}


@pytest.mark.parametrize("page_size", [1000, 7])
async def test_sound_checkpoints_of_a_poisoned_thread_are_saved(page_size: int, read: Any) -> None:
    """The others are listed one by one, and the thread is partial."""
    deployment = Deployment.sample(threads=1, checkpoints=40, size=300)
    thread = only(deployment)
    thread.poison(5, 6, 21)
    async with StubServer(deployment) as stub:
        result = await read(stub.url, page_size=page_size)
    assert result.outcomes == {thread.thread_id: "partial"}
    came = result.states(thread.thread_id)
    assert len(came) == 37
    assert came == [place for place in places(thread) if place in set(came)]
    assert [(loss.what.split(" (")[0], loss.checkpoints) for loss in result.losses] == [
        ("checkpoint of step 5", 1),
        ("checkpoint of step 6", 1),
        ("checkpoint of step 21", 1),
    ]


async def test_a_thread_that_renders_nothing_is_given_up_soon(read: Any) -> None:
    """Not every one of its steps is asked for; the thread itself still comes."""
    deployment = Deployment.sample(threads=1, checkpoints=200, size=100)
    thread = only(deployment)
    thread.poison(*range(-1, 200))
    async with StubServer(deployment) as stub:
        result = await read(stub.url)
        assert stub.requests["history"] < 150
    assert [type(record) for record in result.threads[thread.thread_id]] == [Thread]
    assert sum(loss.checkpoints for loss in result.losses) == 200


async def test_a_history_that_ends_in_the_middle_is_a_loss(read: Any) -> None:
    """By the storage count, and without one by the parent that never came."""

    def cut(request: Request) -> Response | None:
        if request.endpoint != "history":
            return None
        states = stub_answer(request)
        return Response(dump(states[:2] if states else []))

    def stub_answer(request: Request) -> list[object]:
        chain = only(deployment).chains[""]
        body = request.json()
        if body.get("before"):
            return []
        return [
            {
                "values": {},
                "next": [],
                "tasks": [],
                "metadata": {"step": chain.step_at(index)},
                "created_at": None,
                "checkpoint": {
                    "thread_id": only(deployment).thread_id,
                    "checkpoint_ns": "",
                    "checkpoint_id": chain.id_at(index),
                },
                "parent_checkpoint": {
                    "thread_id": only(deployment).thread_id,
                    "checkpoint_ns": "",
                    "checkpoint_id": chain.id_at(index + 1),
                },
                "checkpoint_id": chain.id_at(index),
                "parent_checkpoint_id": chain.id_at(index + 1),
            }
            for index in range(len(chain) - 1)
        ]

    for storage, missing in ((True, 4), (False, 1)):
        deployment = Deployment.sample(threads=1, checkpoints=6, size=100)
        async with StubServer(deployment, quirks=Quirks(storage=storage)) as stub:
            stub.on_request = cut
            result = await read(stub.url)
        assert list(result.outcomes.values()) == ["partial"]
        assert sum(loss.checkpoints for loss in result.losses) == missing


async def test_a_thread_whose_graph_is_gone_still_comes(read: Any) -> None:
    """With its record; its stored checkpoints are a loss that names the reason."""
    deployment = Deployment()
    gone = deployment.add_thread(graph_id="gone", checkpoints=4)
    empty = deployment.add_thread(graph_id="gone")
    plain = deployment.add_thread(graph_id=None)
    orphan = deployment.add_thread(graph_id=None)
    orphan.add_checkpoint({"n": 1})
    async with StubServer(deployment) as stub:
        result = await read(stub.url)
    assert result.outcomes == {
        gone.thread_id: "partial",
        empty.thread_id: "complete",
        plain.thread_id: "complete",
        orphan.thread_id: "partial",
    }
    losses = {loss.thread_id: loss for loss in result.losses}
    assert len(losses) == len(result.losses) == 2
    assert losses[gone.thread_id].checkpoints == 4
    assert "Graph 'gone' not found" in losses[gone.thread_id].why
    assert losses[orphan.thread_id].checkpoints == 1
    assert "names no graph" in losses[orphan.thread_id].why
    assert all(len(records) == 1 for records in result.threads.values())
    reasons = {note.thread_id: note.message for note in result.context.notes.values()}
    assert "Graph 'gone' not found" in reasons[empty.thread_id]
    assert "names no graph" in reasons[plain.thread_id]


async def test_a_thread_that_is_deleted_before_it_is_read_ends_as_deleted(read: Any) -> None:
    deployment = Deployment.sample(threads=3, checkpoints=2, size=100)
    victim = sorted(deployment.threads)[1]
    async with StubServer(deployment) as stub:

        def delete(request: Request) -> None:
            if request.endpoint == "history":
                deployment.delete_thread(victim)

        stub.on_request = delete
        result = await read(stub.url)
    assert result.outcomes[victim] == "deleted"
    assert sorted(result.outcomes.values()) == ["complete", "complete", "deleted"]


@pytest.mark.parametrize(
    ("changes", "outcome"), [(1, "complete"), (3, "complete"), (99, "partial")]
)
async def test_a_thread_that_changes_is_read_again(changes: int, outcome: str, read: Any) -> None:
    """Until it holds still, four times at most; then it says that it did not."""
    deployment = Deployment.sample(threads=1, checkpoints=2, size=100)
    thread = only(deployment)
    left = changes
    async with StubServer(deployment) as stub:

        def change(request: Request) -> None:
            nonlocal left
            if request.endpoint == "history" and left:
                left -= 1
                thread.add_checkpoint({"n": left})

        stub.on_request = change
        result = await read(stub.url)
        assert stub.requests["history"] == min(changes, 3) + 1
    end = result.ends[thread.thread_id]
    assert end.outcome == outcome
    assert end.version == thread.updated_at
    if outcome == "complete":
        assert result.states(thread.thread_id) == places(thread)
    else:
        assert "still changing" in result.losses[0].why


async def test_runs_come_only_when_asked_for(read: Any) -> None:
    """Behind the checkpoints, each once, over several pages."""
    deployment = Deployment.sample(threads=1, checkpoints=2, size=100)
    thread = only(deployment)
    for _ in range(250):
        thread.add_run()
    async with StubServer(deployment) as stub:
        without = await read(stub.url)
        result = await read(stub.url, runs=True)
    records = result.threads[thread.thread_id]
    runs = [record.run_id for record in records if isinstance(record, Run)]
    assert sorted(runs) == sorted(run["run_id"] for run in thread.runs or ())
    assert [record.kind for record in records[:3]] == ["thread", "checkpoint", "checkpoint"]
    assert len(without.threads[thread.thread_id]) == 3


async def test_a_time_to_live_is_kept_with_the_thread(read: Any) -> None:
    """Where the server gives it, which it only does when asked for one thread."""
    deployment = Deployment.sample(threads=1, checkpoints=1, size=100)
    ttl = {"strategy": "delete", "ttl_minutes": 60.0, "expires_at": "2027-01-01T00:00:00+00:00"}
    only(deployment).update(ttl=ttl)
    async with StubServer(deployment) as stub:
        result = await read(stub.url, ttl=None)
    (thread, _) = next(iter(result.threads.values()))
    assert isinstance(thread, Thread)
    assert isinstance(thread.extra, dict)
    assert bytes(thread.extra["ttl"]) == dump(ttl)


async def test_asking_for_it_reads_again_what_was_copied_without(tmp_path: Path) -> None:
    """Else a later run with --source-ttl would ask for that of changed threads alone, and say
    nothing of the others."""
    deployment = Deployment.sample(threads=18, checkpoints=1, size=100)
    list(deployment)[17].update(ttl={"strategy": "delete", "ttl_minutes": 60.0})
    async with StubServer(deployment) as stub:
        sink = lgx.use("archive", path=tmp_path / "copy")
        runs = [
            await lgx.run_async(lgx.use("cloud", url=stub.url, **options), sink)
            for options in ({}, {}, {"ttl": True}, {"ttl": True}, {"ttl": False})
        ]
        found = await lgx.verify_async(lgx.use("cloud", url=stub.url, ttl=True), sink)

    assert [(r.threads.written, r.threads.unchanged) for r in runs] == [
        *[(18, 0), (0, 18), (18, 0), (0, 18), (18, 0)]
    ]
    assert [d.first for d in found.differences] == ["the thread's ttl differs"]


async def test_where_the_first_threads_have_none_that_is_told(read: Any) -> None:
    """The others are then not asked, which a thread among them may be worth."""
    deployment = Deployment.sample(threads=17, checkpoints=1, size=100)
    async with StubServer(deployment) as stub:
        result = await read(stub.url, ttl=None)

    (note,) = result.notes
    assert note == (
        "the first 16 threads have no time to live (TTL), so the others were not asked for "
        "theirs; add --source-ttl to ask for each thread's"
    )


async def test_large_steps_come_in_small_pages(read: Any) -> None:
    """No answer is much larger than 8 MiB, and the budget is never exceeded by a page."""
    deployment = Deployment.sample(threads=1, checkpoints=40, size=700_000)
    async with StubServer(deployment, quirks=Quirks(storage=True)) as stub:
        result = await read(stub.url)
        assert stub.largest_body < 12 << 20
    assert result.outcomes == {only(deployment).thread_id: "complete"}
    assert result.states(only(deployment).thread_id) == places(only(deployment))


async def test_many_large_threads_at_once_do_not_wait_for_each_other_for_ever(
    make_source: Any,
) -> None:
    """With room for one page only, all of them end."""
    deployment = Deployment.sample(threads=8, checkpoints=12, size=200_000, subgraphs=3)
    async with StubServer(deployment) as stub:
        context = make_context(memory=1 << 20)

        async def one(source: Any, ref: ThreadRef) -> int:
            items = [item async for item in source.read([ref], context)]
            return sum(isinstance(item, Checkpoint) for item in items)

        async with make_source(stub.url, page_size=5) as source:
            refs = [ref async for ref in source.list(Query(), context)]
            async with asyncio.timeout(60):
                counts = await asyncio.gather(*(one(source, ref) for ref in refs))
    assert counts == [thread.checkpoint_count() for thread in deployment]
    assert context.budget.used == 0


async def test_a_key_that_is_refused_in_the_middle_ends_the_run(make_source: Any) -> None:
    """One thread that may not be read fails alone; a key that opens nothing ends all."""
    deployment = Deployment.sample(threads=1, checkpoints=2, size=100)
    async with StubServer(deployment) as stub:
        context = make_context()
        async with make_source(stub.url) as source:
            (ref,) = [ref async for ref in source.list(Query(), context)]
            refused = Response(b'{"detail":"Forbidden"}', 403)
            stub.on_request = lambda request: refused
            with pytest.raises(FatalError, match="403"):
                _ = [item async for item in source.read([ref], context)]


async def test_a_few_threads_decide_whether_all_are_asked_for_their_time_to_live(
    make_source: Any,
) -> None:
    """Sixteen, also where many are read at once; a note tells that the others were not asked."""
    async with StubServer(Deployment.sample(threads=60, checkpoints=1, size=100)) as stub:
        context = make_context()

        async def one(source: Any, ref: ThreadRef) -> None:
            assert [item async for item in source.read([ref], context)]

        async with make_source(stub.url, ttl=None) as source:
            refs = [ref async for ref in source.list(Query(), context)]
            await asyncio.gather(*(one(source, ref) for ref in refs))
        assert stub.requests["thread"] == 16
    (note,) = context.notes.values()
    assert "time to live" in note.message


async def test_a_record_whose_values_cannot_be_rendered_comes_without_them(read: Any) -> None:
    """With its history, and the values listed as lost; not as a thread that was deleted."""

    def refuse(request: Request) -> Response | None:
        if request.endpoint == "thread":
            return Response(b"Internal Server Error", 500)
        if request.endpoint == "search" and {"ids", "select"} & set(request.json()) == {"ids"}:
            return Response(b"Internal Server Error", 500)
        return None

    deployment = Deployment.sample(threads=1, checkpoints=2, size=100)
    async with StubServer(deployment) as stub:
        stub.on_request = refuse
        result = await read(stub.url)
    thread = only(deployment)
    assert result.outcomes == {thread.thread_id: "partial"}
    assert result.states(thread.thread_id) == places(thread)
    assert [loss.what for loss in result.losses] == ["the thread's present values"]


async def test_an_empty_history_of_a_thread_with_values_is_a_loss(read: Any) -> None:
    """Without a storage count the thread's own values tell that there must be more."""
    deployment = Deployment.sample(threads=1, checkpoints=3, size=300)
    [thread_id] = deployment.threads
    async with StubServer(deployment, quirks=Quirks(storage=False)) as stub:
        stub.fail("history", Answer(b"[]"))
        result = await read(stub.url)
    assert result.outcomes == {thread_id: "partial"}
    assert [loss.what for loss in result.losses] == ["its history"]


async def test_ever_deeper_namespaces_come_to_an_end(read: Any) -> None:
    """A server that names another subgraph in each is followed so far, and no further."""
    deployment = Deployment.sample(threads=1, checkpoints=1, size=300)
    [thread_id] = deployment.threads

    def deeper(request: Request) -> Response | None:
        if request.endpoint != "history":
            return None
        asked = (request.json().get("checkpoint") or {}).get("checkpoint_ns", "")
        name = f"{asked}|n:1" if asked else "n:1"
        place = {"thread_id": thread_id, "checkpoint_ns": asked, "checkpoint_id": f"c{len(asked)}"}
        task = {"id": "t", "checkpoint": {"thread_id": thread_id, "checkpoint_ns": name}}
        return Response(
            dump([{"checkpoint": place, "checkpoint_id": place["checkpoint_id"], "tasks": [task]}])
        )

    async with StubServer(deployment, quirks=Quirks(storage=False)) as stub:
        stub.on_request = deeper
        result = await read(stub.url)
        assert stub.requests["history"] < 500
    assert result.outcomes == {thread_id: "partial"}
    assert "namespaces nested more than 30 deep" in [loss.what for loss in result.losses]
