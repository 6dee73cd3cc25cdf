"""What of a thread's records is for the sink, and threads that would go without their
checkpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from lgx import (
    ANY_KIND,
    Checkpoint,
    CheckpointWrite,
    Counts,
    RawCheckpoint,
    Record,
    Thread,
    ThreadEnd,
    ThreadRef,
)

THREAD_AND_STATES = frozenset({"thread", "checkpoint"})
ROWS = frozenset({"raw_checkpoint", "channel_blob", "checkpoint_write"})
TO_STATES = (
    "its checkpoints are a checkpointer's own rows, which the memory sink does not take; what "
    "does is the sink of a checkpointer, or one that keeps every form, as files and tables of "
    "lgx's own do"
)
TO_ROWS = (
    "its checkpoints are states as the API shows them, which the memory sink does not take; what "
    "does is the sink of a server, or one that keeps every form, as files and tables of lgx's "
    "own do"
)


def states(thread_id: str) -> list[Record]:
    return [Checkpoint(thread_id=thread_id, checkpoint_ns="", checkpoint_id="c1")]


def rows(thread_id: str) -> list[Record]:
    return [
        RawCheckpoint(
            thread_id=thread_id, checkpoint_ns="", checkpoint_id="c1", type="msgpack", blob=b"\x80"
        ),
        CheckpointWrite(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id="c1",
            task_id="t",
            idx=0,
            channel="x",
        ),
    ]


THREADS: dict[str, list[Record]] = {
    "alone": [],
    "rows": rows("rows"),
    "states": states("states"),
}


@pytest.fixture(params=["listed", "streamed"])
def mixed(request: pytest.FixtureRequest, bench: Any, kit: Any) -> Any:
    """A run of threads without checkpoints, with rows, with states, from a place that cannot
    tell before reading it; called with what the sink takes."""

    async def read(
        self: Any, refs: Sequence[ThreadRef], context: Any
    ) -> AsyncIterator[Record | ThreadEnd]:
        for ref in refs:
            yield Thread(thread_id=ref.thread_id)
            for record in THREADS[ref.thread_id]:
                yield record
            yield ThreadEnd(thread_id=ref.thread_id, outcome="complete")

    async def scan(self: Any, query: Any, context: Any) -> AsyncIterator[Record | ThreadEnd]:
        refs = [ThreadRef(thread_id=thread_id, version="1") for thread_id in THREADS]
        async for item in read(self, refs, context):
            yield item

    bench.world.add(*THREADS)
    bench.parts["source_memory"] = type(
        "S", (kit.source,), {"world": bench.world, "offers": ANY_KIND, "read": read}
    )
    bench.parts["source_stream"] = type("S", (kit.stream,), {"world": bench.world, "scan": scan})
    source = {"listed": "memory", "streamed": "stream"}[request.param]

    async def run(accepts: frozenset[str], *, previews: bool = False, **fields: Any) -> Any:
        bench.parts["sink_memory"] = type(
            "K",
            (kit.sink,),
            {"world": bench.world, "accepts": accepts, "previews": previews},
        )
        return await bench.run(source=source, **fields)

    return run


@pytest.mark.parametrize(
    ("accepts", "refused", "why", "checkpoints"),
    [
        (THREAD_AND_STATES, "rows", TO_STATES, Counts(listed=2, written=1, failed=1)),
        (ROWS | {"thread"}, "states", TO_ROWS, Counts(listed=2, written=1, failed=1)),
    ],
)
async def test_a_thread_whose_checkpoints_the_sink_does_not_take_fails(
    mixed: Any, bench: Any, accepts: frozenset[str], refused: str, why: str, checkpoints: Counts
) -> None:
    """It is not written empty: it is listed with the form and the sinks that take it. A thread
    that has none is written, as one of the other form is."""
    report = await mixed(accepts)

    assert set(bench.world.stored) == THREADS.keys() - {refused}
    assert [(f.thread_id, f.what, f.why) for f in report.failures] == [(refused, "thread", why)]
    assert report.threads == Counts(listed=3, written=2, failed=1)
    assert report.checkpoints == checkpoints
    assert {loss.what for loss in report.losses} & {f"2 {kind} records" for kind in ROWS} == set()
    assert report.exit_code == 3


@pytest.mark.parametrize("previews", [False, True])
async def test_a_dry_run_that_reads_lists_it_as_well(
    mixed: Any, bench: Any, previews: bool, request: pytest.FixtureRequest
) -> None:
    """By a preview of the sink, or where a stream is read anyhow."""
    if not previews and "listed" in request.node.name:
        report = await mixed(THREAD_AND_STATES, dry_run=True)  # which then reads nothing
        assert len(report.would_move) == 3
        return

    report = await mixed(THREAD_AND_STATES, previews=previews, dry_run=True)

    assert [item.thread_id for item in report.would_move] == ["alone", "states"]
    assert [(f.thread_id, f.why) for f in report.failures] == [("rows", TO_STATES)]
    assert (bench.world.stored, report.exit_code) == ({}, 3)


async def test_a_form_that_was_chosen_leaves_no_thread_without_checkpoints(
    mixed: Any, bench: Any
) -> None:
    """The sink would take them; the run was told not to bring them."""
    report = await mixed(ANY_KIND, fidelity="state")

    why = (
        "its checkpoints are a checkpointer's own rows, which this run leaves out; move them with "
        "--fidelity raw"
    )
    assert [(f.thread_id, f.why) for f in report.failures] == [("rows", why)]
    assert set(bench.world.stored) == {"alone", "states"}


async def test_a_thread_in_both_forms_goes_in_the_one_that_was_chosen(
    mixed: Any, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(THREADS, "rows", rows("rows") + states("rows"))

    assert (await mixed(ANY_KIND, fidelity="state")).failures == []
    (failure,) = (await mixed(THREAD_AND_STATES)).failures
    assert failure.why == (
        f"some of {TO_STATES}; those in the other form are moved with --fidelity state"
    )
    assert (await mixed(THREAD_AND_STATES, fidelity="state")).failures == []
