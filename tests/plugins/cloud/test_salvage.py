"""Of a broken history, what is sound is saved, and nothing is given up at its first failure."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lgx import run_async, use
from lgx.testing import Deployment, Quirks, StubServer, StubThread
from lgx.testing.stub import Request, Response

FAILED = Response(b"Internal Server Error", 500, content_type="text/plain", drop=True)
FORK = "1f0aaaaa-0000-6000-8000-000000000000"


def broken(deployment: Deployment) -> StubThread:
    """A thread whose newest checkpoint fails, so that all are asked for by their steps."""
    thread = deployment.add_thread()
    for number in range(12):
        thread.add_checkpoint({"n": number})
    thread.poison(10)
    return thread


class Flaky:
    """Fails questions for steps: each of these so many times, then no more."""

    def __init__(self, *failures: tuple[dict[str, Any], int]) -> None:
        self.failures = list(failures)
        self.asked: Counter[str] = Counter()

    def __call__(self, request: Request) -> Response | None:
        if request.endpoint != "history":
            return None
        wanted = request.json().get("metadata")
        self.asked[str(wanted)] += 1
        for metadata, times in self.failures:
            if metadata == wanted and self.asked[str(wanted)] <= times:
                return FAILED
        return None


@pytest.mark.parametrize("storage", [True, False])
async def test_a_step_that_fails_once_is_no_loss(storage: bool, read: Any) -> None:
    """Only what fails again is given up."""
    deployment = Deployment()
    thread = broken(deployment)
    async with StubServer(deployment, quirks=Quirks(storage=storage)) as stub:
        stub.on_request = Flaky(({"step": 6}, 1))
        result = await read(stub.url)
    assert len(result.states(thread.thread_id)) == 11
    assert [loss.what for loss in result.losses] == ["checkpoint of step 10 (loop) of namespace ''"]


@pytest.mark.parametrize("storage", [True, False])
async def test_an_origin_that_fails_once_beside_a_broken_one_is_no_loss(
    storage: bool, read: Any
) -> None:
    """Two checkpoints share a step: one cannot be rendered, the other could just not once."""
    deployment = Deployment()
    thread = broken(deployment)
    chain = thread.chains[""]
    thread.add_checkpoint(
        {"n": 6}, step=6, parent_id=chain.id_at(6), metadata={"source": "update"}, state_id=FORK
    )
    loop = {"step": 6, "source": "loop"}
    async with StubServer(deployment, quirks=Quirks(storage=storage)) as stub:
        stub.on_request = Flaky(({"step": 6}, 99), (loop, 99), ({**loop, "source": "update"}, 1))
        result = await read(stub.url)
    came = [place[1] for place in result.states(thread.thread_id)]
    assert len(came) == 11
    assert FORK in came
    assert [loss.what for loss in result.losses] == [
        "checkpoint of step 6 (loop) of namespace ''",
        "checkpoint of step 10 (loop) of namespace ''",
    ]


async def test_a_broken_checkpoint_costs_no_wait_where_others_come(read: Any) -> None:
    """The first page is tried twice, as it may pass; then the server is known to be sound."""
    deployment = Deployment.sample(threads=1, checkpoints=40, size=300)
    (thread,) = deployment
    thread.poison(5, 21)
    async with StubServer(deployment) as stub:
        result = await read(stub.url)
    assert len(result.states(thread.thread_id)) == 38
    assert result.context.progress.retries == 1


async def test_a_server_that_fails_at_everything_is_given_time(read: Any) -> None:
    """As long as nothing comes, each failure is followed by a wait and a second try."""
    deployment = Deployment.sample(threads=1, checkpoints=40, size=300)
    (thread,) = deployment
    thread.poison(*range(-1, 40))
    async with StubServer(deployment) as stub:
        flaky = Flaky()
        stub.on_request = flaky
        await read(stub.url)
    assert flaky.asked["{'step': -1}"] == 2
    assert flaky.asked["{'step': -1, 'source': 'input'}"] == 2


async def test_among_many_threads_the_poisoned_ones_alone_are_partial(tmp_path: Path) -> None:
    """Exit code 3, each lost checkpoint listed, and every sound one there."""
    deployment = Deployment.sample(threads=200, checkpoints=12, size=100)
    bad = list(deployment.threads)[::40]
    for number, thread_id in enumerate(bad):
        deployment.threads[thread_id].poison(2 * number)
    async with StubServer(deployment) as stub:
        source = use("cloud", url=stub.url, ttl=False)
        report = await run_async(source, use("ndjson", path=tmp_path / "out"), attempts=2)
    assert report.exit_code == 3
    assert (report.threads.written, report.threads.partial) == (195, 5)
    assert sorted(str(loss.thread_id) for loss in report.losses) == sorted(bad)
    assert report.checkpoints.written + report.checkpoints.partial == 200 * 12 - 5
