"""The tally: what becomes of threads is counted once, and nothing that is missing goes unlisted."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import Report, WriteOutcome


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
