"""The tally: what becomes of threads is counted once, and nothing that is missing goes unlisted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lgx import Assistant, Bundle, Counts, Report, ThreadRef, WriteOutcome
from lgx.engine.tally import Tally
from lgx.progress import Progress
from lgx.testing import make_context


@pytest.fixture
def leaving(bench: Any, kit: Any) -> Any:
    """A run whose sink leaves all threads as they stand there."""
    bench.world.add("a", "b")
    left = {own: WriteOutcome(thread_id=own, written=False) for own in ("a", "b")}
    bench.world.outcomes = left
    bench.world.ends["a"] = kit.end(thread_id="a", outcome="partial")
    return bench


async def test_a_thread_that_was_read_in_part_is_told_though_it_was_left(leaving: Any) -> None:
    """Nobody knows then whether it is the same."""
    report: Report = await leaving.run()

    assert [(f.thread_id, f.why) for f in report.failures] == [("a", "it was read in part only")]
    assert (report.threads.unchanged, report.exit_code) == (2, 3)


async def test_a_dry_run_lists_what_reading_has_lost_of_a_thread_that_fails(
    bench: Any, kit: Any
) -> None:
    """As the run would."""
    bench.world.add("a")
    loss = kit.loss(what="checkpoint c", why="it is too large", thread_id="a", checkpoints=1)
    bench.world.ends["a"] = kit.end(thread_id="a", outcome="partial", losses=(loss,))

    class Refusing(kit.sink):  # type: ignore[misc]  # its class is known at run time only
        world = bench.world
        previews = True

        async def preview(self, bundle: Any, context: Any) -> WriteOutcome:
            return WriteOutcome(thread_id=bundle.thread_id, error="it has changed there")

        async def write(self, bundles: Any, context: Any) -> Any:
            return [
                WriteOutcome(thread_id=bundle.thread_id, error="it has changed there")
                for bundle in bundles
            ]

    bench.parts["sink_memory"] = Refusing

    reports = [await bench.run(dry_run=dry_run) for dry_run in (False, True)]

    assert [[loss.what for loss in report.losses] for report in reports] == [["checkpoint c"]] * 2
    assert reports[0].checkpoints == reports[1].checkpoints


@pytest.mark.parametrize(("records", "counted"), [(None, 1), (2, 2), (0, 0)])
async def test_extras_that_did_not_arrive_are_not_counted_as_moved(
    bench: Any, kit: Any, records: int | None, counted: int
) -> None:
    """By the sink's own count, where it says one; what no target holds is in nobody's way."""
    bench.world.extras["store_item"] = [kit.item(key) for key in "abc"]
    losses = (
        *(kit.loss(what=f"store item {key}", why="it was refused") for key in "ab"),
        kit.loss(what="the times of c", why="servers give their own", holdable=False),
    )

    class Refusing(kit.sink):  # type: ignore[misc]  # its class is known at run time only
        world = bench.world

        async def write_extras(self, kind: str, bundle: Any, context: Any) -> WriteOutcome:
            mine = kind == "store_item"
            return WriteOutcome(
                thread_id=None, losses=losses if mine else (), records=records if mine else None
            )

    bench.parts["sink_memory"] = Refusing

    report: Report = await bench.run()

    assert report.extras["store_item"] == counted
    assert [failure.what for failure in report.failures] == ["store item a", "store item b"]


async def test_what_a_refusing_sink_has_lost_is_counted_once(bench: Any, kit: Any) -> None:
    """A thread that fails there counts as many checkpoints as one that arrives: each of those
    that could be held, once, whatever the sink says besides."""
    bench.world.add("a", "b", count=5)
    losses = (
        kit.loss(what="2 checkpoints", why="the disk is full", checkpoints=2),
        kit.loss(what="a subgraph", why="no place for it", checkpoints=1, holdable=False),
    )
    bench.world.outcomes = {
        "a": WriteOutcome(thread_id="a", losses=losses, error="the disk is full"),
        "b": WriteOutcome(thread_id="b", losses=losses),
    }

    report: Report = await bench.run()

    assert report.threads == Counts(listed=2, failed=1, partial=1)
    assert report.checkpoints == Counts(listed=8, failed=4 + 2, partial=2)


async def test_records_that_stood_there_already_are_told_apart(bench: Any, kit: Any) -> None:
    """By what the sink says of them."""
    bench.world.extras["store_item"] = [kit.item("x")]
    bench.world.extras["assistant"] = [Assistant(assistant_id="a", version=1)]

    class Knowing(kit.sink):  # type: ignore[misc]  # its class is known at run time only
        world = bench.world

        async def write_extras(self, kind: str, bundle: Any, context: Any) -> WriteOutcome:
            return WriteOutcome(thread_id=None, written=kind == "assistant")

    bench.parts["sink_memory"] = Knowing

    report: Report = await bench.run()

    assert (report.extras, report.extras_unchanged) == ({"assistant": 1}, {"store_item": 1})


@pytest.mark.parametrize(
    ("told", "new", "old"),
    [
        ([(3, 1)], {"cron": 2}, {"cron": 1}),
        ([(3, 3)], {}, {"cron": 3}),
        ([(3, 1), (5, 4)], {"cron": 3}, {"cron": 2}),
        ([(0, 0)], {"cron": 0}, {}),
    ],
)
def test_those_of_one_kind_that_stood_there_already_are_told_apart(
    told: list[tuple[int, int]], new: dict[str, int], old: dict[str, int]
) -> None:
    """Also where a stream brings them again, and more: the first ones this run has written."""
    report = Report()
    tally = Tally(report, Progress(), "state")
    for records, unchanged in told:
        outcome = WriteOutcome(thread_id=None, records=records, unchanged=unchanged)
        bundle = Bundle(make_context().spool(), ref=None, mark=None, outcome="complete")
        tally.wrote_extras("cron", bundle, outcome)
        bundle.close()
    assert (report.extras, report.extras_unchanged) == (new, old)


@pytest.mark.parametrize(("expected", "left"), [(None, 14), (63, 61), (3, 14)])
async def test_a_run_that_is_stopped_counts_what_it_did_not_reach(
    bench: Any, kit: Any, expected: int | None, left: int
) -> None:
    """All that the source had told of, or else those that it had listed."""
    bench.world.add(*"abcdefghijklmnop")

    async def expects(self: Any, query: Any, context: Any) -> int | None:
        return expected

    async def stop(thread_id: str) -> None:
        if thread_id == "c":
            bench.stop.request(2)
            await asyncio.sleep(3600)

    async def listing(self: Any, query: Any, context: Any) -> AsyncIterator[ThreadRef]:
        for thread_id in bench.world.threads:
            yield ThreadRef(thread_id=thread_id, version="1")
        await asyncio.sleep(3600)

    bench.world.on_read = stop
    bench.parts["source_memory"] = type(
        "S",
        (kit.source,),
        {"world": bench.world, "expected": expects, "list": listing, "refs_per_read": 16},
    )

    report: Report = await bench.run()

    assert (report.threads.written, report.not_reached) == (2, left)
    assert json.loads(report.to_json())["not_reached"] == left
