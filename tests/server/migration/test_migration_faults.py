"""Bad networks before the target: threads are whole, absent or labelled, and never twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet

import lgx
from lgx.testing import FaultProxy
from lgx.testing.proxy import CONFLICT, CREATED_WITH_PROBLEM
from lgx.testing.stub import Answer, CutBody, Fault, Hang, Request, Reset, Status
from lgx.testing.stub.faults import Match

from .comparison import compare
from .fill import Filled
from .moving import labels, move, named
from .requests import Server

NAMES = ("chat-plain", "relay-one", "chat-forked", "relay-resumed-two")
CREATION = "POST /threads"
BRANCH = "POST /threads/*/state"
HISTORY = "POST /threads/*/history"
MARK = "PATCH /threads/*"
REMOVAL = "DELETE /threads/*"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second between the tries of one request, at most."""
    monkeypatch.setattr("lgx.engine.requests._LONGEST_WAIT", 0.1)


@pytest.fixture
def some(source: Filled) -> dict[str, str]:
    """Threads of several graphs and kinds."""
    return {name: source.threads[name] for name in NAMES}


def record(request: Request) -> bool:
    return request.path == "/threads/search" and b"state_updated_at" in request.body


def continuation(request: Request) -> bool:
    return request.path == "/threads" and b'"if_exists":"do_nothing"' in request.body


def creation(request: Request) -> bool:
    return request.path == "/threads" and b'"if_exists":"raise"' in request.body


async def check(report: lgx.Report, source: Filled, target: str, some: dict[str, str]) -> None:
    """Each thread is whole, absent and failed, or labelled and failed; a second run completes
    all, and none is there twice."""
    found = await labels(target)
    whole = {thread_id for thread_id, label in found.items() if "unfinished" not in label}
    failed = {failure.thread_id for failure in report.failures}
    assert whole | failed == set(some.values())
    names = {name: thread_id for name, thread_id in some.items() if thread_id in whole}
    compared = await compare(source.url, target, names)
    assert compared.differences == {}, str(compared)
    again = await move(source.url, target, some.values())
    assert again.exit_code == 0, again.failures
    compared = await compare(source.url, target, some)
    assert compared.differences == {}, str(compared)
    assert (await labels(target)).keys() == set(some.values())


ONCE: dict[str, tuple[Match, Fault, bool]] = {
    "201 with an error": (creation, CREATED_WITH_PROBLEM, True),
    "201 with an error, nothing made": (creation, CREATED_WITH_PROBLEM, False),
    "500 before creation": (creation, Status(500), False),
    "500 after creation": (creation, Status(500), True),
    "502 after creation": (creation, Status(502), True),
    "503 before creation": (creation, Status(503), False),
    "429 before creation": (creation, Status(429), False),
    "reset after creation": (creation, Reset(), True),
    "reset before creation": (creation, Reset(), False),
    "409 after creation": (creation, CONFLICT, True),
    "409 and nothing there": (creation, CONFLICT, False),
    "creation's answer cut short": (creation, CutBody(), True),
    "continuation lost": (continuation, Reset(), True),
    "continuation never came": (continuation, Reset(), False),
    "500 after continuation": (continuation, Status(500), True),
    "201 with an error to a continuation": (continuation, CREATED_WITH_PROBLEM, True),
    "branch lost": (BRANCH, Reset(), True),
    "500 to a branch": (BRANCH, Status(500), False),
    "history reset": (HISTORY, Reset(), True),
    "history cut short": (HISTORY, CutBody(), True),
    "an empty history": (HISTORY, Answer(b"[]", 200), False),
    "no record": (record, Answer(b"[]", 200), False),
    "history is no history": (HISTORY, Answer(b'{"detail":"oh"}', 200), False),
    "mark lost": (MARK, Reset(), True),
    "500 to a mark": (MARK, Status(500), False),
}


SHORT = {
    *("201 with an error", "500 after creation", "reset after creation", "409 after creation"),
    *("creation's answer cut short", "continuation lost", "branch lost", "history cut short"),
    *("an empty history", "no record"),
}
"""Those that are tried each time."""


def short_or_nightly(names: Iterable[str], short: set[str]) -> list[ParameterSet]:
    return [
        pytest.param(name, marks=() if name in short else pytest.mark.nightly) for name in names
    ]


@pytest.mark.parametrize("name", short_or_nightly(ONCE, SHORT))
async def test_a_fault_is_survived(
    name: str, source: Filled, target: str, proxy: FaultProxy, some: dict[str, str]
) -> None:
    """What goes wrong once is made good within the run."""
    match, fault, passed = ONCE[name]
    rule = proxy.fail(match, fault, passed=passed)
    report = await move(source.url, proxy.url, some.values())
    assert rule.hits == 1
    assert report.exit_code == 0, report.failures
    await check(report, source, target, some)


@pytest.mark.parametrize(
    "match", short_or_nightly(["creation", "continuation", "branch"], {"continuation"})
)
async def test_a_hang_is_survived(
    match: str, source: Filled, target: str, proxy: FaultProxy, some: dict[str, str]
) -> None:
    """A request without an answer is given up; what the server did of it is removed."""
    matches: dict[str, Match] = {
        "creation": creation,
        "continuation": continuation,
        "branch": BRANCH,
    }
    rule = proxy.fail(matches[match], Hang(), passed=True)
    report = await move(source.url, proxy.url, some.values(), sink={"timeout": 1.5})
    assert rule.hits == 1
    assert report.exit_code == 0, report.failures
    await check(report, source, target, some)


LASTING: dict[str, tuple[Match, Fault, bool]] = {
    "409": (creation, CONFLICT, False),
    "201 with an error": (creation, CREATED_WITH_PROBLEM, True),
    "500 after creation": (creation, Status(500), True),
    "continuation lost": (continuation, Reset(), True),
    "history": (HISTORY, Status(500), False),
    "mark": (MARK, Status(403), False),
}


@pytest.mark.parametrize("name", short_or_nightly(LASTING, {"continuation lost", "409"}))
async def test_a_fault_that_lasts_fails_threads(
    name: str, source: Filled, target: str, proxy: FaultProxy, some: dict[str, str]
) -> None:
    """They are absent, and in the report; the next run brings them."""
    match, fault, passed = LASTING[name]
    proxy.fail(match, fault, passed=passed, times=None)
    report = await move(source.url, proxy.url, some.values(), attempts=2)
    assert report.exit_code in (1, 3)
    assert report.failures or report.aborted
    there = {i for i, label in (await labels(target)).items() if "unfinished" in (label or {})}
    assert there <= set(some.values())
    if report.aborted is None:
        assert there == set()
        await check(report, source, target, some)


async def test_a_removal_that_fails_is_told_and_mended(
    source: Filled, target: str, proxy: FaultProxy, some: dict[str, str]
) -> None:
    """What is left behind bears its label, and the next run replaces it."""
    thread_id = some["relay-one"]
    proxy.fail(MARK, Status(403), passed=False, times=None)
    proxy.fail(REMOVAL, Status(403), passed=False, times=None)
    report = await move(source.url, proxy.url, [thread_id], attempts=2)
    [why] = named(report, thread_id)
    assert "could not be removed" in why
    assert why.endswith("the next run does")
    assert "unfinished" in (await labels(target))[thread_id]
    again = await move(source.url, target, [thread_id])
    assert (again.exit_code, again.threads.written) == (0, 1)
    compared = await compare(source.url, target, {"relay-one": thread_id})
    assert compared.differences == {}


async def test_a_removal_that_comes_late_is_told_and_mended(
    source: Filled, target: str, proxy: FaultProxy, some: dict[str, str]
) -> None:
    """It takes what was built in place of what it was meant for: the run does not end as if all
    were there, and the next one makes it anew."""
    names = {"relay-one": some["relay-one"]}
    [thread_id] = names.values()
    proxy.fail(creation, Status(500), passed=True)
    delayed = proxy.fail(REMOVAL, Status(504), passed=False)
    marked = False

    async def late(request: Request) -> None:
        nonlocal marked
        if marked and request.path == "/threads/search":
            async with Server(target) as server:
                await server.delete(f"/threads/{thread_id}")
        marked = request.method == "PATCH"

    proxy.on_request = late
    report = await move(source.url, proxy.url, [thread_id])
    assert (delayed.hits, report.exit_code) == (1, 1)
    assert f"are gone again ({thread_id})" in str(report.aborted)
    again = await move(source.url, target, [thread_id])
    assert (again.exit_code, again.threads.written) == (0, 1)
    assert (await compare(source.url, target, names)).differences == {}


async def test_a_thread_that_somebody_makes_meanwhile_is_theirs(
    source: Filled, target: str, proxy: FaultProxy, some: dict[str, str]
) -> None:
    """It is not touched, and the thread fails."""
    thread_id = some["chat-plain"]

    async def be_first(request: Request) -> None:
        if creation(request):
            async with Server(target) as server:
                await server.answer(
                    "POST", "/threads", {"thread_id": thread_id, "metadata": {"theirs": True}}
                )

    proxy.on_request = be_first
    report = await move(source.url, proxy.url, [thread_id])
    [why] = named(report, thread_id)
    assert why.startswith("thread: it stands there with other content")
    async with Server(target) as server:
        thread = await server.get(f"/threads/{thread_id}")
    assert thread["metadata"] == {"theirs": True}


async def test_a_thread_that_somebody_takes_in_the_middle_is_theirs(
    source: Filled, target: str, proxy: FaultProxy, some: dict[str, str]
) -> None:
    """Steps that went into another's thread are not taken for this run's."""
    thread_id = source.threads["weave-forked-twice"]
    done: list[Request] = []

    async def take(request: Request) -> None:
        if continuation(request) and not done:
            done.append(request)
            async with Server(target) as server:
                await server.delete(f"/threads/{thread_id}")
                body = {"thread_id": thread_id, "metadata": {"graph_id": "weave", "theirs": 1}}
                await server.post("/threads", body)

    proxy.on_request = take
    report = await move(source.url, proxy.url, [thread_id])
    assert len(done) == 1
    assert named(report, thread_id)[0].startswith("thread: it stands there with other content")
    async with Server(target) as server:
        thread = await server.get(f"/threads/{thread_id}")
    assert thread["metadata"]["theirs"] == 1


async def test_a_thread_that_vanishes_in_the_middle_is_built_anew(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """What a continuation makes of nothing is labelled, and is no copy."""
    names = {"weave-forked-parallel": source.threads["weave-forked-parallel"]}
    [thread_id] = names.values()
    done: list[Request] = []

    async def vanish(request: Request) -> None:
        if continuation(request) and not done:
            done.append(request)
            async with Server(target) as server:
                await server.delete(f"/threads/{thread_id}")

    proxy.on_request = vanish
    report = await move(source.url, proxy.url, [thread_id])
    assert len(done) == 1
    found = await compare(source.url, target, names)
    direct = await labels(target)
    assert found[next(iter(names))].of("values", "missing", "extra") == [], (report, direct)


@pytest.mark.parametrize("name", ["chat-plain", "chat-forked", "weave-forked-parallel"])
async def test_a_run_that_slept_does_not_touch_what_another_has_finished(
    name: str, source: Filled, target: str, proxy: FaultProxy
) -> None:
    """Another run replaced the half of a thread and was done; the first then wakes, where it
    would mark, branch or continue it."""
    thread_id = source.threads[name]
    made: list[Request] = []

    async def overtake(request: Request) -> None:
        """Before the first run looks whether the thread is still its own."""
        if creation(request):
            made.append(request)
        elif len(made) == 1 and request.path == "/threads/search":
            made.append(request)
            report = await move(source.url, target, [thread_id])
            assert report.threads.written + report.threads.partial == 1

    proxy.on_request = overtake
    await move(source.url, proxy.url, [thread_id])
    assert len(made) >= 2
    found = await compare(source.url, target, {name: thread_id})
    assert found[name].of("values", "missing", "extra", "step") == [], str(found)
    label = (await labels(target))[thread_id]
    assert "unfinished" not in label


async def test_two_runs_at_once_leave_nothing_half_that_looks_whole(
    source: Filled, target: str
) -> None:
    """Each may spoil what the other builds; neither marks it, and a later run completes all."""
    some = source.named("relay-resumed") | source.named("loop-") | source.named("chat-plain")
    some = {name: i for name, i in some.items() if name not in ("loop-busy", "loop-long")}
    reports = await asyncio.gather(
        *(move(source.url, target, some.values(), on_conflict="replace") for _ in range(2))
    )
    assert all(report.aborted is None for report in reports)
    found = await labels(target)
    whole = {i for i, label in found.items() if label and label.get("version")}
    names = {name: thread_id for name, thread_id in some.items() if thread_id in whole}
    compared = await compare(source.url, target, names)
    assert not any(t.of("values", "missing", "extra") for t in compared.threads.values())
    await move(source.url, target, some.values())
    compared = await compare(source.url, target, some)
    assert not any(t.of("values", "missing", "extra") for t in compared.threads.values())
    assert not any("unfinished" in (label or {}) for label in (await labels(target)).values())
