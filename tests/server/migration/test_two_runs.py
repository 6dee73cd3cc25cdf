"""Two runs that write the same threads: what one spoils of the other's is never taken for whole."""

from __future__ import annotations

from typing import Any

import pytest

import lgx
from lgx.testing import FaultProxy
from lgx.testing.stub import Request, Reset, Status

from .comparison import compare
from .fill import Filled
from .moving import labels, move, named
from .requests import Server

PLAIN = "chat-plain"


def creation(request: Request) -> bool:
    return request.path == "/threads" and b'"if_exists":"raise"' in request.body


def continuation(request: Request) -> bool:
    return request.path == "/threads" and b'"if_exists":"do_nothing"' in request.body


def branch(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/state")


def mark(request: Request) -> bool:
    return request.method == "PATCH"


async def is_whole(source: Filled, target: str, name: str) -> bool:
    """Whether the copy is equal, and nothing of it is marked that is not there."""
    thread_id = source.threads[name]
    label = (await labels(target))[thread_id]
    found = await compare(source.url, target, {name: thread_id})
    equal = found[name].of("values", "missing", "extra", "step") == []
    assert equal or not label.get("version"), str(found)
    return equal and "unfinished" not in label


async def spoil(target: str, thread_id: str) -> None:
    """Steps of another run, sent before it was cut off, arrive in a thread of its id."""
    async with Server(target) as server:
        metadata = (await server.get(f"/threads/{thread_id}"))["metadata"]
        step = {"updates": [{"values": {"messages": []}, "as_node": "__input__"}]}
        body = {"thread_id": thread_id, "if_exists": "do_nothing", "supersteps": [step]}
        await server.post("/threads", {**body, "metadata": {"graph_id": metadata["graph_id"]}})


@pytest.mark.parametrize(
    ("name", "late"), [("weave-forked-parallel", continuation), ("chat-forked", branch)]
)
async def test_steps_that_come_after_the_other_run_was_done_cost_its_mark(
    name: str, late: Any, source: Filled, target: str, proxy: FaultProxy
) -> None:
    """They were on their way when it replaced the thread and completed it. Both tell, and no
    later run takes the copy for whole."""
    thread_id = source.threads[name]
    others: list[lgx.Report] = []

    async def overtake(request: Request) -> None:
        if late(request) and not others:
            others.append(await move(source.url, target, [thread_id]))

    proxy.on_request = overtake
    report = await move(source.url, proxy.url, [thread_id])
    [other] = others
    assert other.threads.written + other.threads.partial == 1
    [why] = named(report, thread_id)
    assert why.startswith("thread: another run made a copy of it at the same time")
    assert not (await labels(target))[thread_id].get("version")

    again = await move(source.url, target, [thread_id])
    assert again.threads.unchanged == 0
    assert "somebody has gone on" in named(again, thread_id)[0]
    await move(source.url, target, [thread_id], on_conflict="replace")
    assert await is_whole(source, target, name)


async def test_what_a_server_asks_to_wait_with_is_looked_at_again(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """Another run may complete the thread meanwhile: nothing is sent into its copy, which is as
    good as this run's would be."""
    name = "weave-forked-parallel"
    thread_id = source.threads[name]
    rule = proxy.fail(continuation, Status(429), passed=False)
    others: list[lgx.Report] = []

    async def overtake(request: Request) -> None:
        waited = rule.struck.is_set() and not others
        if waited and (request.path == "/threads/search" or continuation(request)):
            others.append(await move(source.url, target, [thread_id]))

    proxy.on_request = overtake
    report = await move(source.url, proxy.url, [thread_id])
    assert [other.threads.written for other in others] == [1]
    assert (report.exit_code, report.threads.unchanged) == (0, 1), report.failures
    assert [p for p in proxy.log if continuation(p.request) and p.status is not None] == []
    assert [creation(p.request) for p in proxy.log].count(True) == 1
    assert await is_whole(source, target, name)


@pytest.mark.parametrize("moment", ["it is looked at", "it is marked"])
async def test_steps_that_come_after_it_was_read_back_are_seen(
    moment: str, source: Filled, target: str, proxy: FaultProxy
) -> None:
    """The thread was compared, and is not yet marked: it is built anew."""
    thread_id = source.threads[PLAIN]
    seen: list[str] = []

    async def arrive(request: Request) -> None:
        if request.path.endswith("/history"):
            seen.append("compared")
        looks = request.path == "/threads/search" if moment == "it is looked at" else mark(request)
        if seen == ["compared"] and looks:
            seen.append("spoilt")
            await spoil(target, thread_id)

    proxy.on_request = arrive
    report = await move(source.url, proxy.url, [thread_id])
    assert "spoilt" in seen
    assert (report.exit_code, report.threads.written) == (0, 1), report.failures
    assert await is_whole(source, target, PLAIN)
    assert (await move(source.url, target, [thread_id])).threads.unchanged == 1


@pytest.mark.parametrize("moment", ["it is looked at", "it is marked"])
async def test_what_somebody_runs_before_it_is_marked_is_not_removed(
    moment: str, source: Filled, target: str, proxy: FaultProxy
) -> None:
    """The thread fails, is not marked, and stays as whoever ran it left it."""
    thread_id = source.threads["loop-turns"]
    seen: list[str] = []

    async def run(request: Request) -> None:
        if request.path.endswith("/history"):
            seen.append("compared")
        looks = request.path == "/threads/search" if moment == "it is looked at" else mark(request)
        if seen == ["compared"] and looks:
            seen.append("run")
            async with Server(target) as server:
                body = {"assistant_id": "loop", "input": {"rounds": 1}}
                await server.post(f"/threads/{thread_id}/runs/wait", body)

    proxy.on_request = run
    report = await move(source.url, proxy.url, [thread_id])
    [why] = named(report, thread_id)
    assert why.startswith("thread: somebody has run it while it was being built")
    assert "unfinished" in (await labels(target))[thread_id]
    async with Server(target) as server:
        assert len(await server.get(f"/threads/{thread_id}/runs")) == 1
    again = await move(source.url, target, [thread_id])
    assert "in use since" in named(again, thread_id)[0]


async def test_what_somebody_runs_before_it_is_tried_otherwise_is_not_removed(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """A continuation was cut off, and what was built is to go: with it their run would."""
    thread_id = source.threads["weave-forked-parallel"]

    async def run(request: Request) -> None:
        if continuation(request):
            async with Server(target) as server:
                body = {"assistant_id": "weave", "input": None}
                await server.post(f"/threads/{thread_id}/runs/wait", body)

    proxy.on_request = run
    proxy.fail(continuation, Reset(), passed=False)
    report = await move(source.url, proxy.url, [thread_id])
    [why] = named(report, thread_id)
    assert why.startswith("thread: somebody has run it while it was being built")
    async with Server(target) as server:
        assert len(await server.get(f"/threads/{thread_id}/runs")) == 1


async def test_a_thread_that_another_run_replaced_before_it_was_marked_is_not_marked(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """The mark would be put upon theirs, which may be half."""
    thread_id = source.threads[PLAIN]
    made: list[str] = []

    async def replace(request: Request) -> None:
        if mark(request) and not made:
            async with Server(target) as server:
                thread = await server.get(f"/threads/{thread_id}")
                await server.delete(f"/threads/{thread_id}")
                label = {**thread["metadata"]["lgx"], "attempt": "b" * 32}
                metadata = {**thread["metadata"], "lgx": label}
                await server.post("/threads", {"thread_id": thread_id, "metadata": metadata})
            made.append(thread_id)

    proxy.on_request = replace
    await move(source.url, proxy.url, [thread_id])
    assert made
    await is_whole(source, target, PLAIN)
    await move(source.url, target, [thread_id])
    assert await is_whole(source, target, PLAIN)


async def test_what_another_run_is_building_since_is_left_to_it(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """The thread was not there when this run looked, so that nobody was cut short."""
    thread_id = source.threads[PLAIN]
    theirs = {"unfinished": True, "attempt": "a" * 32, "source": source.url}
    made: list[str] = []

    async def be_first(request: Request) -> None:
        if creation(request) and not made:
            made.append(thread_id)
            body = {"thread_id": thread_id, "metadata": {"lgx": theirs, "graph_id": "chat"}}
            async with Server(target) as server:
                await server.answer("POST", "/threads", body)

    proxy.on_request = be_first
    report = await move(source.url, proxy.url, [thread_id])
    [why] = named(report, thread_id)
    assert why.startswith("thread: meanwhile somebody else made a thread of that id")
    assert (await labels(target))[thread_id] == theirs
    await move(source.url, target, [thread_id])
    assert await is_whole(source, target, PLAIN)


async def test_what_was_sent_twice_is_compared_though_nothing_else_is(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """A creation was cut off and made again; the server then goes on with the first."""
    thread_id = source.threads[PLAIN]
    creations: list[Request] = []

    async def go_on(request: Request) -> None:
        if creation(request):
            creations.append(request)
        elif len(creations) == 2 and request.path in ("/threads/search", f"/threads/{thread_id}"):
            creations.append(request)
            await spoil(target, thread_id)

    proxy.on_request = go_on
    proxy.fail(creation, Reset(), passed=True)
    report = await move(source.url, proxy.url, [thread_id], verify="none")
    assert len(creations) > 2
    assert report.exit_code == 0, report.failures
    assert await is_whole(source, target, PLAIN)
