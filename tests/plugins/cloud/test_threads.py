"""The list holds exactly what the query selects, whatever the server can filter itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lgx import Loss, Query, ThreadRef, UsageError, raw, run_async, use
from lgx.testing import Deployment, Quirks, StubServer, make_context
from lgx.testing.stub import Answer, Status


async def listed(source: Any, query: Query, context: Any = None) -> list[Any]:
    """References and losses, as they come."""
    return [ref async for ref in source.list(query, context or make_context())]


async def test_a_version_is_the_time_of_the_last_update(make_source: Any) -> None:
    deployment = Deployment.sample(threads=3)
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        refs = await listed(source, Query())
    assert {ref.thread_id: ref.version for ref in refs} == {
        thread.thread_id: thread.updated_at for thread in deployment
    }


async def test_filters_are_the_servers_where_it_has_them(make_source: Any) -> None:
    """Metadata and status travel; what does not match is never sent."""
    deployment = Deployment.sample(threads=40, checkpoints=1, size=100)
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        query = Query(metadata={"organization": raw("org-3")}, status="idle")
        refs = await listed(source, query)
        assert await source.expected(query, make_context()) == len(refs) == 4
    wanted = {t.thread_id for t in deployment if t.metadata["organization"] == "org-3"}
    assert {ref.thread_id for ref in refs} == wanted


@pytest.mark.parametrize("quirks", [Quirks(), Quirks(ids=False), Quirks(select=False)])
async def test_threads_are_found_by_id_a_thousand_at_once(quirks: Quirks, make_source: Any) -> None:
    """Also from a server that ignores the ids, and then no other thread comes."""
    count = 60 if not quirks.ids else 1300
    deployment = Deployment.sample(threads=count + 20, checkpoints=1, size=100)
    chosen = tuple(deployment.threads)[:count]
    async with StubServer(deployment, quirks=quirks) as stub, make_source(stub.url) as source:
        refs = await listed(source, Query(thread_ids=(*chosen, chosen[0])))
        if quirks.ids and quirks.select:
            assert stub.requests["search"] <= 4
    assert sorted(ref.thread_id for ref in refs) == sorted(chosen)


async def test_ids_that_are_not_there_do_not_come(make_source: Any) -> None:
    """Deleted ones, and those that no server could have, which it refuses; the others come."""
    deployment = Deployment.sample(threads=2, checkpoints=1, size=100)
    there = next(iter(deployment.threads))
    absent = ["11111111-1111-4111-8111-111111111111", "a/../b", "..", "", "emoji-🦜", "x" * 300]
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        items = await listed(source, Query(thread_ids=(there, *absent)))
    assert [item.thread_id for item in items if isinstance(item, ThreadRef)] == [there]
    refused = {item.thread_id for item in items if isinstance(item, Loss)}
    assert refused
    assert refused < set(absent)


async def test_asking_for_a_thread_whose_state_is_beyond_the_server_lists_it(
    make_source: Any,
) -> None:
    """A server that ignores `ids` renders the whole thread; where it cannot, without its state."""
    deployment = Deployment.sample(threads=2, checkpoints=1, size=100)
    there = next(iter(deployment.threads))
    async with (
        StubServer(deployment, quirks=Quirks(ids=False)) as stub,
        make_source(stub.url) as source,
    ):
        stub.fail("thread", Status(500))
        items = await listed(source, Query(thread_ids=(there,)))
    assert [item.thread_id for item in items] == [there]


async def test_the_window_of_time_is_kept_here(make_source: Any) -> None:
    """The server has no filter by time."""
    deployment = Deployment.sample(threads=20, checkpoints=1, size=100)
    times = sorted(thread.updated_at for thread in deployment)
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        query = Query(since=times[5], until=times[12])
        refs = await listed(source, query)
        assert await source.expected(query, make_context()) is None
    assert sorted(ref.version for ref in refs) == times[5:12]


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_thread_whose_time_is_malformed_fails_alone(by_id: bool, tmp_path: Path) -> None:
    """Where a window of time is asked for; the others come."""
    deployment = Deployment.sample(threads=3, checkpoints=1, size=100)
    odd = next(iter(deployment))
    odd.updated_at = "yesterday"
    query: dict[str, Any] = {"since": "2020-01-01"}
    if by_id:
        query["thread_ids"] = tuple(deployment.threads)
    async with StubServer(deployment, quirks=Quirks(ids=not by_id)) as stub:
        target = use("ndjson", path=tmp_path / "out")
        report = await run_async(use("cloud", url=stub.url, ttl=False), target, **query)
    assert report.exit_code == 3
    assert (report.threads.listed, report.threads.written, report.threads.failed) == (3, 2, 1)
    assert [failure.thread_id for failure in report.failures] == [odd.thread_id]
    assert "'yesterday' is not a time" in report.failures[0].why


@pytest.mark.parametrize("quirks", [Quirks(sort=False), Quirks(count=False), Quirks(select=False)])
async def test_older_servers_are_listed_whole(quirks: Quirks, make_source: Any) -> None:
    """Without order, without count, with each thread's state sent along."""
    deployment = Deployment.sample(threads=150, checkpoints=1, size=200_000)
    async with StubServer(deployment, quirks=quirks) as stub, make_source(stub.url) as source:
        refs = await listed(source, Query())
        if not quirks.select:
            assert stub.largest_body < 12 << 20
    assert len(refs) == 150
    assert {ref.thread_id for ref in refs} == set(deployment.threads)


async def test_a_filter_that_the_server_refuses_is_a_usage_error(make_source: Any) -> None:
    """With the server's own words."""
    async with StubServer(Deployment()) as stub, make_source(stub.url) as source:
        stub.fail("search", Status(422, body=b'{"detail":"nonsense is not one of idle, busy"}'))
        with pytest.raises(UsageError, match=r"422: nonsense is not one of"):
            await listed(source, Query(status="nonsense"))


async def test_a_list_shorter_than_the_servers_count_is_a_loss(tmp_path: Path) -> None:
    """What was listed is written, exit 3; without the check it is taken for all there is."""
    async with StubServer(Deployment.sample(threads=3, checkpoints=1, size=100)) as stub:
        stub.fail("count", Answer(b"5"))
        source, target = use("cloud", url=stub.url), use("ndjson", path=tmp_path / "out")
        report = await run_async(source, target)
        assert (report.exit_code, report.threads.written) == (3, 3)
        [failure] = report.failures
        assert failure.what == "2 threads"
        assert "the server counts 5 threads and lists 3" in failure.why
        source = use("cloud", url=stub.url, check_count=False)
        report = await run_async(source, target)
        assert (report.exit_code, report.threads.written) == (0, 3)
