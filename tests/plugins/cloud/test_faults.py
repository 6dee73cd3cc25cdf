"""No fault of a server passes for an empty or a complete answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lgx import FatalError, LgxError, Query, RetryableError, ThreadError, run_async, use
from lgx.testing import Deployment, StubServer, fault_catalogue, make_context
from lgx.testing.stub import Answer, Fault, Status

SAMPLE: dict[str, Any] = {"threads": 6, "checkpoints": 4, "subgraphs": 3, "size": 300}
SLOW = {"hang", "drip"}


def options(fault: str) -> dict[str, float]:
    return {"timeout": 0.3} if fault in SLOW else {}


@pytest.mark.parametrize("endpoint", ["search", "history", "storage", "count"])
@pytest.mark.parametrize("fault", sorted(fault_catalogue()))
async def test_a_fault_that_passes_leaves_no_trace(fault: str, endpoint: str, read: Any) -> None:
    """Whatever comes once in place of an answer, the export is that of a sound server."""
    async with StubServer(Deployment.sample(**SAMPLE)) as stub:
        clean = await read(stub.url)
        rule = stub.fail(endpoint, fault, times=1, skip=endpoint == "search")
        result = await read(stub.url, **options(fault))
        assert rule.hits == 1
    assert result.outcomes == clean.outcomes
    assert result.threads == clean.threads
    assert not result.losses


@pytest.mark.parametrize("fault", sorted(set(fault_catalogue()) - {"425"}))
async def test_a_list_that_stays_broken_is_never_empty(fault: str, make_source: Any) -> None:
    """It is an error of one sentence, not a run without threads."""
    async with StubServer(Deployment.sample(threads=2)) as stub:
        stub.fail("search", fault)
        async with make_source(stub.url, **options(fault)) as source:
            with pytest.raises(FatalError) as caught:
                _ = [ref async for ref in source.list(Query(), make_context(attempts=2))]
    assert "list of threads" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", sorted(fault_catalogue()))
async def test_a_history_that_stays_broken_is_never_complete(fault: str, make_source: Any) -> None:
    """The thread fails or is partial with losses; it does not end as complete."""
    async with StubServer(Deployment.sample(threads=1, checkpoints=3, size=200)) as stub:
        context = make_context(attempts=2)
        async with make_source(stub.url, **options(fault)) as source:
            (ref,) = [ref async for ref in source.list(Query(), context)]
            stub.fail("history", fault)
            try:
                end = [item async for item in source.read([ref], context)][-1]
            except (RetryableError, ThreadError):
                pass
            else:
                assert end.outcome == "partial"
                assert sum(loss.checkpoints for loss in end.losses) == 3
        assert context.budget.used == 0


async def test_with_a_third_of_all_answers_broken_the_export_is_the_same(read: Any) -> None:
    """Of every kind of fault some; at most 1.6 times the requests, and nothing lost."""
    kinds = sorted(set(fault_catalogue()) - SLOW)
    deployment = Deployment.sample(threads=150, checkpoints=[3, 5], size=300, subgraphs=3)
    async with StubServer(deployment) as stub:
        clean = await read(stub.url)
        requests = sum(stub.requests.values())
        stub.requests.clear()
        for number, kind in enumerate(kinds):
            # Rules are asked in turn: each gets its share of what the others left.
            share = 0.3 / len(kinds)
            stub.fail("*", kind, probability=share / (1 - share * number), seed=number)
        result = await read(stub.url, context=make_context(attempts=12))
        more = sum(stub.requests.values())
    assert result.outcomes == clean.outcomes
    assert result.threads == clean.threads
    assert 1.2 * requests < more <= 1.6 * requests


@pytest.mark.parametrize(
    ("fault", "seconds", "throttled"),
    [
        (Status(429, retry_after=7), 7.0, True),
        (Status(429, retry_after=90, as_date=True), 90.0, True),
        (Status(429), None, True),
        (Status(503, retry_after=3), 3.0, False),
        (Status(500), None, False),
    ],
)
async def test_the_server_s_wish_to_wait_is_passed_on(
    fault: Fault, seconds: float | None, throttled: bool, make_source: Any
) -> None:
    """Seconds and HTTP dates, with whether the server felt throttled."""
    async with StubServer(Deployment()) as stub:
        stub.fail("*", fault)
        async with make_source(stub.url) as source:
            with pytest.raises(RetryableError) as caught:
                await source._client.ask("GET", "/info", opening=b"{", what="info")
    error = caught.value
    assert error.throttled is throttled
    assert error.outage is (error.status == 503)
    if seconds is None:
        assert error.retry_after is None
    else:
        assert error.retry_after == pytest.approx(seconds, abs=2)


async def test_a_redirect_is_not_followed(make_source: Any) -> None:
    """The key stays with the host that it was meant for; the message names the other."""
    async with StubServer(Deployment()) as other, StubServer(Deployment()) as stub:
        stub.fail("*", Answer(b"", 302, "text/html", location=f"{other.url}/login"))
        async with make_source(stub.url, api_key="k") as source:
            with pytest.raises(FatalError, match=f"redirects .*{other.url}/login"):
                await source.versions(make_context())
        assert not other.requests


async def test_an_answer_past_the_bound_is_not_read_on(make_source: Any) -> None:
    """A server that sends without end does not fill the memory."""
    deployment = Deployment()
    thread = deployment.add_thread()
    thread.add_checkpoint({"text": "x" * (3 << 20)})
    async with StubServer(deployment) as stub:
        context = make_context()
        async with make_source(stub.url, max_answer=1) as source:
            (ref,) = [ref async for ref in source.list(Query(), context)]
            with pytest.raises(ThreadError, match="max-answer"):
                _ = [item async for item in source.read([ref], context)]
        assert context.budget.used == 0


@pytest.mark.parametrize(
    ("url", "message"),
    [("http://127.0.0.1:9", "list of threads failed"), ("http://localhost.invalid", "no answer")],
)
async def test_a_url_without_a_server_is_told_in_one_line(
    url: str, message: str, make_source: Any
) -> None:
    async with make_source(url) as source:
        with pytest.raises(FatalError, match=message):
            await source.versions(make_context(attempts=2))


async def test_a_server_that_is_not_langgraph_is_told_as_such(make_source: Any) -> None:
    """404 to the list of threads: the address is wrong or lacks its prefix."""
    async with StubServer(Deployment()) as stub, make_source(f"{stub.url}/no") as source:
        with pytest.raises(FatalError, match="not the address of a LangGraph server"):
            await source.versions(make_context())


async def test_an_empty_deployment_is_an_export_without_threads(tmp_path: Path) -> None:
    """Exit code 0, and nothing listed."""
    async with StubServer(Deployment()) as stub:
        target = use("ndjson", path=str(tmp_path / "o"))
        report = await run_async(use("cloud", url=stub.url), target)
    assert report.exit_code == 0
    assert report.threads.listed == 0


def test_errors_are_of_lgx_alone() -> None:
    """So that the command line shows each as one line."""
    from lgx_plugins.cloud.answers import RefusedError, TooLargeError
    from lgx_plugins.cloud.history import NoCursorError, PoisonError

    for error in (RefusedError, TooLargeError, NoCursorError, PoisonError):
        assert issubclass(error, LgxError)
