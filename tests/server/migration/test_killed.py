"""A run that is killed leaves threads whole or labelled, and the next one mends them."""

from __future__ import annotations

import asyncio
import sys

import pytest

from lgx.testing import FaultProxy
from lgx.testing.stub import Hang, Request
from lgx.testing.stub.faults import Match

from .comparison import compare
from .fill import Filled
from .moving import labels, move


def creation(request: Request) -> bool:
    return request.path == "/threads" and b'"if_exists":"raise"' in request.body


def continuation(request: Request) -> bool:
    return request.path == "/threads" and b'"if_exists":"do_nothing"' in request.body


MOMENTS: dict[str, tuple[str, Match, bool, int]] = {
    "after creation": ("loop-long", creation, True, 0),
    "between creation and continuation": ("loop-long", continuation, False, 0),
    "in the middle of a long thread": ("loop-long", continuation, True, 2),
    "between a branch and what follows": ("loop-forked-back", continuation, False, 0),
    "before it is marked": ("loop-long", "PATCH /threads/*", False, 0),
    "after it is marked": ("loop-long", "PATCH /threads/*", True, 0),
}


SHORT = ("between creation and continuation", "in the middle of a long thread")


@pytest.mark.parametrize(
    "moment",
    [pytest.param(m, marks=() if m in SHORT else pytest.mark.nightly) for m in MOMENTS],
)
async def test_a_second_run_completes_what_a_killed_one_began(
    moment: str, source: Filled, target: str, proxy: FaultProxy
) -> None:
    """Whenever it was killed: what it made is whole, or labelled, and never taken for a copy."""
    name, match, passed, skip = MOMENTS[moment]
    thread_id = source.threads[name]
    rule = proxy.fail(match, Hang(), passed=passed, skip=skip)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lgx", "run", "--quiet", "--thread-id", thread_id),
        *("--source", "cloud", "--source-url", source.url),
        *("--sink", "cloud", "--sink-url", proxy.url),
    )
    await asyncio.wait_for(rule.struck.wait(), 30)
    process.kill()
    await process.wait()
    await proxy.settled()
    label = (await labels(target))[thread_id]
    marked = moment == "after it is marked"
    assert ("unfinished" in label) != marked
    report = await move(source.url, target, [thread_id])
    assert report.exit_code == 0, report.failures
    assert (report.threads.unchanged, report.threads.written) == ((1, 0) if marked else (0, 1))
    found = await compare(source.url, target, {name: thread_id})
    assert found[name].of("values", "missing", "extra", "step", "source", "final") == []
    assert "unfinished" not in (await labels(target))[thread_id]


async def test_a_run_that_was_killed_in_the_middle_of_a_replacement_is_completed(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """The older copy is gone, and the newer not there yet."""
    thread_id = source.threads["loop-turns"]
    await move(source.url, target, [thread_id])
    rule = proxy.fail("DELETE /threads/*", Hang(), passed=True)
    running = asyncio.create_task(move(source.url, proxy.url, [thread_id], full=True))
    await asyncio.wait_for(rule.struck.wait(), 30)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await labels(target) == {}
    report = await move(source.url, target, [thread_id])
    assert (report.exit_code, report.threads.written) == (0, 1), report.failures
