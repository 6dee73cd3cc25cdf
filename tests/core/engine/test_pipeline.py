"""What becomes of threads between a source and a sink, and what the report says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import pytest

from lgx import (
    ANY_KIND,
    Assistant,
    Bundle,
    BundleValidator,
    Checkpoint,
    Counts,
    Failure,
    FatalError,
    Loss,
    Query,
    Record,
    RecordTransform,
    RecordValidator,
    RetryableError,
    Run,
    StreamSource,
    ThreadEnd,
    ThreadError,
    ThreadRef,
    ThreadTransform,
    UnknownRecord,
    UsageError,
    Use,
    ValidatorUse,
    Violation,
    WriteOutcome,
    raw,
)


def counts(**numbers: int) -> Counts:
    return Counts(**numbers)


async def test_every_thread_arrives_whole_with_its_mark(bench: Any) -> None:
    """All records of all threads reach the sink in their order, marked by version."""
    bench.world.add("a", "b", "c", version="v1")

    report = await bench.run()

    assert {key: bench.world.lines(key) for key in "abc"} == bench.world.stored
    assert {key: mark.version for key, mark in bench.world.marks.items()} == {
        "a": "v1",
        "b": "v1",
        "c": "v1",
    }
    assert counts(listed=3, written=3) == report.threads
    assert counts(listed=9, written=9) == report.checkpoints
    assert report.fidelity == {"state": 3}
    assert report.exit_code == 0
    assert bench.world.ends_of_run() == ["open", "finish", "close"]


async def test_a_second_run_reads_nothing_that_has_not_changed(bench: Any) -> None:
    """Threads whose mark says the same version are counted as unchanged and not read."""
    bench.world.add("a", "b")
    await bench.run()
    bench.world.add("b", version="2", count=4)
    bench.world.reads.clear()

    report = await bench.run()

    assert bench.world.reads == [["b"]]
    assert bench.world.lines("b") == bench.world.stored["b"]
    assert counts(listed=2, unchanged=1, written=1) == report.threads
    assert counts(listed=7, unchanged=3, written=4) == report.checkpoints


async def test_full_reads_everything_again(bench: Any) -> None:
    """--full ignores the marks."""
    bench.world.add("a", "b")
    await bench.run()

    report = await bench.run(full=True)

    assert counts(listed=2, written=2) == report.threads


async def test_one_threads_failure_is_listed_and_the_others_arrive(bench: Any) -> None:
    """A thread that cannot be read fails alone, and the exit code says that it is missing."""
    bench.world.add("a", "b", "c")
    bench.world.read_errors["b"] = ThreadError("its history is not JSON")

    report = await bench.run()

    assert {"a", "c"} == set(bench.world.stored)
    assert [Failure(thread_id="b", what="thread", why="its history is not JSON")] == report.failures
    assert counts(listed=3, written=2, failed=1) == report.threads
    assert report.exit_code == 3


async def test_a_failure_in_a_read_of_several_does_not_take_the_others_along(bench: Any) -> None:
    """Where a source reads several threads at once, the rest is read one by one."""
    bench.world.together = 4
    bench.world.add("a", "b", "c", "d")
    bench.world.read_errors["b"] = RetryableError("the server answered 500")

    report = await bench.run()

    assert bench.world.reads == [["a", "b", "c", "d"], ["b"], ["c"], ["d"]]
    assert {"a", "c", "d"} == set(bench.world.stored)
    assert counts(listed=4, written=3, failed=1) == report.threads


async def test_a_thread_that_has_gone_is_counted_and_not_stored(bench: Any) -> None:
    """Deleted between list and read: neither a failure nor a thread of the target."""
    bench.world.add("a", "b")
    bench.world.ends["a"] = ThreadEnd(thread_id="a", outcome="deleted")

    report = await bench.run()

    assert {"b"} == set(bench.world.stored)
    assert counts(listed=2, written=1, gone=1) == report.threads
    assert report.exit_code == 0


async def test_a_partial_thread_is_stored_but_not_marked(bench: Any) -> None:
    """What came is kept, what did not is listed, and the next run tries again."""
    loss = Loss(what="checkpoint c9", why="the server answers 500", thread_id="a", checkpoints=1)
    bench.world.add("a")
    bench.world.ends["a"] = ThreadEnd(thread_id="a", outcome="partial", losses=(loss,))

    report = await bench.run()

    assert bench.world.lines("a") == bench.world.stored["a"]
    assert bench.world.marks == {}
    assert [loss] == report.losses
    assert counts(listed=1, partial=1) == report.threads
    assert counts(listed=4, partial=3, failed=1) == report.checkpoints
    assert report.exit_code == 3


async def test_what_no_such_target_holds_does_not_change_the_exit_code(bench: Any) -> None:
    """A loss that is not holdable is listed, and the run is complete all the same."""
    loss = Loss(what="its TTL", why="the sink has no place for it", holdable=False)
    bench.world.add("a")
    bench.world.outcomes["a"] = WriteOutcome(thread_id="a", losses=(loss,))

    report = await bench.run()

    assert [loss] == report.losses
    assert counts(listed=1, written=1) == report.threads
    assert report.exit_code == 0


async def test_kinds_that_the_sink_cannot_hold_are_listed(bench: Any, kit: Any) -> None:
    """A kind outside `accepts` does not reach the sink, and the report names it."""
    bench.world.add("a")
    bench.world.extras["store_item"] = [kit.item("x")]
    bench.parts["sink_memory"] = type(
        "K", (kit.sink,), {"world": bench.world, "accepts": frozenset({"thread", "checkpoint"})}
    )

    report = await bench.run()

    assert bench.world.stored_extras == {}
    assert [loss.what for loss in report.losses] == ["store_item records"]
    assert report.exit_code == 0


async def test_a_sinks_refusal_of_one_thread_leaves_the_rest_of_its_batch(bench: Any) -> None:
    """A batch that fails as a whole is written again one by one."""
    bench.world.add("a", "b", "c")
    bench.world.write_errors["b"] = ThreadError("a value is too large")

    report = await bench.run()

    assert {"a", "c"} == set(bench.world.stored)
    assert [Failure(thread_id="b", what="thread", why="a value is too large")] == report.failures
    assert counts(listed=3, written=2, failed=1) == report.threads


async def test_a_batch_is_filled_before_another_is_begun(bench: Any, kit: Any) -> None:
    """However many writers wait: what fits into one batch comes as one."""
    names = [f"t{number}" for number in range(20)]
    bench.world.add(*names)

    class Unhurried(kit.source):  # type: ignore[misc]  # its class is known at run time only
        """Gives whoever waits for a thread the time to take it."""

        world = bench.world

        async def read(self, refs: Any, context: Any) -> AsyncIterator[Any]:
            async for item in super().read(refs, context):
                await asyncio.sleep(0.001)
                yield item

    fields = {"world": bench.world, "max_writers": 4, "batch_seconds": 60.0}
    bench.parts["source_unhurried"] = Unhurried
    bench.parts["sink_memory"] = type("Writers", (kit.sink,), fields)

    report = await bench.run("unhurried", concurrency=1)

    assert report.exit_code == 0
    assert [sorted(batch) for batch in bench.world.batches] == [sorted(names)]


async def test_a_full_target_ends_the_run_and_says_so(bench: Any) -> None:
    """A fatal error of the sink aborts: nothing is finished, the report says why."""
    bench.world.add(*(f"t{number}" for number in range(200)))
    bench.world.write_errors["t7"] = FatalError("the disk is full")

    report = await bench.run()

    assert report.aborted == "the disk is full"
    assert report.exit_code == 1
    assert bench.world.ends_of_run() == ["open", "abandon"]


async def test_when_a_listing_fails_what_it_listed_is_still_read(bench: Any) -> None:
    """All that was listed by then arrives; the run is aborted after it, and says why."""
    bench.world.add(*(f"t{number}" for number in range(300)))
    bench.world.list_error = FatalError("the server is gone")

    report = await bench.run()

    assert report.aborted == "the server is gone"
    assert report.exit_code == 1
    assert report.threads == counts(listed=300, written=300)
    assert len(bench.world.marks) == 300
    assert bench.world.ends_of_run() == ["open", "abandon"]


async def test_a_thread_that_cannot_be_listed_is_a_failure(bench: Any, kit: Any) -> None:
    """A source may list losses: of one thread, or of some that it cannot even name."""
    bench.world.add("a")
    one = Loss(what="thread", why="the server refuses it", thread_id="b")
    some = Loss(what="2 threads", why="the server counts more than it lists")
    listed = kit.source.list

    async def list_(self: Any, query: Any, context: Any) -> AsyncIterator[ThreadRef | Loss]:
        yield one
        async for ref in listed(self, query, context):
            yield ref
        yield some

    bench.parts["source_memory"] = type("S", (kit.source,), {"world": bench.world, "list": list_})

    report = await bench.run()

    assert report.threads == counts(listed=2, written=1, failed=1)
    assert [(f.thread_id, f.what) for f in report.failures] == [
        ("b", "thread"),
        (None, "2 threads"),
    ]
    assert report.exit_code == 3


async def test_a_signal_finishes_what_is_in_flight(bench: Any) -> None:
    """After a signal nothing new is read; what was read whole is written and marked."""
    bench.world.add(*(f"t{number:03}" for number in range(100)))

    async def stop_at_ten(thread_id: str) -> None:
        if thread_id == "t010":
            bench.stop.request(15)
            await asyncio.sleep(3600)

    bench.world.on_read = stop_at_ten

    report = await bench.run(concurrency=1)

    assert report.exit_code == 143
    assert {f"t{number:03}" for number in range(10)} <= set(bench.world.stored)
    assert set(bench.world.stored) == set(bench.world.marks)
    assert "t010" not in bench.world.stored
    assert bench.world.ends_of_run() == ["open", "abandon"]


async def test_a_signal_during_the_extras_ends_the_run_unfinished(bench: Any, kit: Any) -> None:
    """However large the store is, a signal is heeded while it is read, and nothing is finished."""
    bench.world.add("a")

    async def extras(self: Any, kind: str, query: Any, context: Any) -> AsyncIterator[Record]:
        if kind == "store_item":
            bench.stop.request(15)
            await asyncio.sleep(3600)
        for record in tuple[Record, ...]():
            yield record

    bench.parts["source_memory"] = type(
        "S", (kit.source,), {"world": bench.world, "extras": extras}
    )

    report = await bench.run()

    assert report.exit_code == 143
    assert bench.world.ends_of_run() == ["open", "abandon"]


async def test_a_run_that_is_stopped_without_a_signal_says_so(bench: Any) -> None:
    """A program that stops a run must not be told that it is complete."""
    bench.world.add("a")
    bench.stop.request()

    report = await bench.run()

    assert report.aborted == "the run was stopped before its end"
    assert report.exit_code == 1
    assert "finish" not in bench.world.calls


@pytest.mark.parametrize("role", ["source", "sink"])
async def test_a_connection_that_cannot_be_made_is_of_one_side(
    bench: Any, kit: Any, role: str
) -> None:
    """Both may be servers of one sort on one host."""
    lost = RetryableError("the list of threads failed after 1 try: no answer", outage=True)

    async def refuse(*_: Any) -> None:
        raise kit.fatal("it cannot be reached") from lost

    part = (kit.source, "versions") if role == "source" else (kit.sink, "begin")
    bench.parts[f"{role}_memory"] = type("E", (part[0],), {"world": bench.world, part[1]: refuse})

    with pytest.raises(FatalError) as told:
        await bench.run()

    assert str(told.value) == f"the {role}, memory: it cannot be reached"


@pytest.mark.parametrize("where", ["read", "write"])
async def test_a_cancellation_that_a_plugin_leaks_is_no_success(
    bench: Any, kit: Any, where: str
) -> None:
    """Every listed thread has an outcome, or the run says that it has not come to its end."""
    bench.world.add("a", "b")
    error = asyncio.CancelledError()
    errors = bench.world.read_errors if where == "read" else bench.world.write_errors
    errors["b"] = error

    report = await bench.run(concurrency=1)

    told = {"read": "of 2 listed threads 1 has", "write": "of 2 listed threads 2 have"}[where]
    assert report.aborted is not None
    assert report.aborted.startswith(f"{told} no outcome: a plugin was cancelled")
    assert report.exit_code == 1
    assert "finish" not in bench.world.calls


async def test_an_outcome_that_nobody_asked_for_ends_the_run(bench: Any) -> None:
    """A sink that confuses threads cannot be believed about any."""
    bench.world.add("a")
    bench.world.outcomes["a"] = WriteOutcome(thread_id="z", error="too large")

    report = await bench.run()

    assert report.aborted == (
        "the sink told the outcome of 'z', which it was not given; its plugin is at fault"
    )


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (5, "transform t: it gave int in place of a record"),
        (
            Checkpoint(thread_id="b", checkpoint_ns="", checkpoint_id="c"),
            (
                "transform t: it gave a record of thread 'b' in place of one of 'a'; a transform "
                "that changes ids says so by map_ref"
            ),
        ),
    ],
)
async def test_what_a_transform_must_not_give_fails_its_thread(
    bench: Any, kit: Any, result: Any, why: str
) -> None:
    """Nothing of it reaches the sink, least of all under another thread's id."""
    bench.world.add("a")
    bench.parts["transform_t"] = transform(kit, lambda self, record: [result])

    report = await bench.run(transforms=(Use(name="t"),))

    assert bench.world.stored == {}
    assert [failure.why for failure in report.failures] == [why]


async def test_cancelling_a_run_ends_it(bench: Any) -> None:
    """At whatever moment: while batches are gathered, written, or waited for."""
    bench.world.add(*(f"t{number}" for number in range(3000)))

    for turns in range(1, 400, 13):
        run = asyncio.create_task(bench.run(full=True))
        for _ in range(turns):
            await asyncio.sleep(0)
        run.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(run, return_exceptions=True)


async def test_a_target_that_does_not_close_aborts_the_run(bench: Any, kit: Any) -> None:
    """What goes wrong at the very end is in the report, beside what had arrived."""
    bench.world.add("a")

    async def leave(self: Any, *_: object) -> None:
        raise FatalError("the disk is full")

    bench.parts["sink_memory"] = type("K", (kit.sink,), {"world": bench.world, "__aexit__": leave})

    report = await bench.run()

    assert report.aborted == "the disk is full"
    assert report.threads == counts(listed=1, written=1)


async def test_what_a_sink_did_not_take_is_not_counted_as_arrived(bench: Any) -> None:
    """A holdable loss of the sink makes the thread partial, by as much as it says."""
    bench.world.add("a")
    bench.world.outcomes["a"] = WriteOutcome(
        thread_id="a", losses=(Loss(what="checkpoint c1", why="too large", checkpoints=1),)
    )

    report = await bench.run()

    assert report.threads == counts(listed=1, partial=1)
    assert report.checkpoints == counts(listed=3, partial=2, failed=1)
    assert report.exit_code == 3


async def test_records_of_another_thread_fail_the_thread_they_came_with(
    bench: Any, kit: Any
) -> None:
    """A source that mixes threads up is found out before anything is stored under a wrong id."""
    bench.world.add("a", "b")

    async def read(self: Any, refs: Any, context: Any) -> AsyncIterator[Record | ThreadEnd]:
        for ref in refs:
            yield Checkpoint(thread_id="a", checkpoint_ns="", checkpoint_id="c")
            yield ThreadEnd(thread_id=ref.thread_id, outcome="complete")

    bench.parts["source_memory"] = type("S", (kit.source,), {"world": bench.world, "read": read})

    report = await bench.run()

    assert set(bench.world.stored) == {"a"}
    assert [(f.thread_id, f.why) for f in report.failures] == [
        ("b", "records of thread 'a' ended as those of 'b'; the source's plugin is at fault")
    ]


async def test_earlier_states_are_refused_by_sources_that_have_none(bench: Any) -> None:
    """--as-of is a usage error before anything is opened, never ignored."""
    with pytest.raises(UsageError, match="--as-of reads earlier states, and the memory source"):
        await bench.run(query=Query(as_of="2026-01-01"))

    assert bench.world.calls == []


async def test_ends_without_a_common_form_of_checkpoints_are_refused(bench: Any, kit: Any) -> None:
    """A raw-only source and a state-only sink would move threads without their checkpoints."""
    bench.parts["source_memory"] = type(
        "S",
        (kit.source,),
        {"world": bench.world, "offers": frozenset({"thread", "raw_checkpoint"})},
    )
    bench.parts["sink_memory"] = type(
        "K", (kit.sink,), {"world": bench.world, "accepts": frozenset({"thread", "checkpoint"})}
    )

    with pytest.raises(UsageError) as raised:
        await bench.run()

    assert str(raised.value) == (
        "no checkpoints can be moved from memory to memory: those of memory are a checkpointer's "
        "own rows, which memory does not take; what does is the sink of a checkpointer, or one "
        "that keeps every form, as files and tables of lgx's own do"
    )


async def test_a_thread_transform_does_not_let_a_store_through(bench: Any, kit: Any) -> None:
    """It never sees a deployment's own records, so a plan that has them is refused."""

    class Scrub(ThreadTransform[Any]):
        name = "t"
        config_type = kit.options
        handles = ANY_KIND

        async def apply(self, bundle: Bundle) -> AsyncIterator[Record]:
            for record in bundle:
                yield record

    bench.parts["transform_t"] = Scrub

    with pytest.raises(UsageError, match="transform t does not handle assistant, store_item"):
        await bench.run(transforms=(Use(name="t"),))
    assert (await bench.run(transforms=(Use(name="t"),), query=Query(extras=False))).exit_code == 0


async def test_a_failing_chain_of_transforms_gives_all_memory_back(bench: Any, kit: Any) -> None:
    """What the first made is let go when the second raises, thread after thread."""
    bench.world.add(*(f"t{number}" for number in range(50)))
    bench.parts["transform_t"] = transform(kit, lambda self, record: [record])

    def fail(self: Any, record: Record) -> Iterable[Record]:
        raise ValueError

    bench.parts["transform_u"] = transform(kit, fail)
    spools: list[Any] = []
    made = bench.made_spools(spools)

    with made:
        report = await bench.run(
            transforms=(Use(name="t"), Use(name="u")), query=Query(extras=False)
        )

    assert report.threads == counts(listed=50, failed=50)
    assert len(spools) >= 100
    assert {spool._budget.used for spool in spools} == {0}


async def test_the_mark_counts_what_the_target_holds(bench: Any, kit: Any) -> None:
    """After a transform that drops checkpoints, unchanged ones are as many as were written."""
    bench.world.add("a")
    bench.parts["transform_t"] = transform(
        kit, lambda self, record: [] if isinstance(record, Checkpoint) else [record]
    )

    first = await bench.run(transforms=(Use(name="t"),))
    second = await bench.run(transforms=(Use(name="t"),))

    assert first.checkpoints == counts()
    assert second.checkpoints == counts()


async def test_a_dry_run_that_reads_lists_what_would_be_missing(bench: Any, kit: Any) -> None:
    """With transforms a dry run reads, so it knows of losses and must say so."""
    bench.world.add("a")
    loss = Loss(what="checkpoint c9", why="the server answers 500", thread_id="a", checkpoints=1)
    bench.world.ends["a"] = ThreadEnd(thread_id="a", outcome="partial", losses=(loss,))
    bench.parts["transform_t"] = transform(kit, lambda self, record: [record])

    report = await bench.run(dry_run=True, transforms=(Use(name="t"),))

    assert [ref.thread_id for ref in report.would_move] == ["a"]
    assert report.losses == [loss]
    assert report.exit_code == 3


async def test_validators_see_extras_too(bench: Any, kit: Any) -> None:
    """A record validator is asked about store items; quarantine keeps the kind out."""
    bench.world.add("a")
    bench.world.extras["store_item"] = [kit.item("k")]

    class NoItems(RecordValidator[Any]):
        name = "short"
        config_type = kit.options
        handles = frozenset({"store_item"})

        def check(self, record: Record) -> Iterable[Violation]:
            yield Violation(rule="no-items", place="store_item")

    bench.parts["validator_short"] = NoItems

    report = await bench.run(validators=(ValidatorUse(name="short"),), on_violation="quarantine")

    assert "store_item" not in bench.world.stored_extras
    assert [(f.thread_id, f.what, f.why) for f in report.failures] == [
        (None, "store_item records", "quarantined: short: no-items at store_item")
    ]


async def test_large_records_of_any_kind_reach_the_spool_one_by_one(bench: Any, kit: Any) -> None:
    """What waits to be encoded together is bounded by its bytes, whatever kind it is of."""
    bench.world.add("a")

    async def read(self: Any, refs: Any, context: Any) -> AsyncIterator[Record | ThreadEnd]:
        for number in range(50):
            yield Run(thread_id="a", run_id=str(number), extra={"input": raw("x" * 1_500_000)})
            assert spools[0].count == number + 1
        yield ThreadEnd(thread_id="a", outcome="complete")

    bench.parts["source_memory"] = type(
        "S",
        (kit.source,),
        {"world": bench.world, "read": read, "offers": frozenset({"thread", "run"})},
    )
    spools: list[Any] = []
    with bench.made_spools(spools):
        report = await bench.run(query=Query(extras=False))

    assert report.threads == counts(listed=1, written=1)


async def test_a_bug_in_a_plugin_raises(bench: Any) -> None:
    """An exception outside lgx's tree is nobody's expectation, so it is not swallowed."""
    bench.world.add("a", "b")
    bench.world.read_errors["a"] = ZeroDivisionError("oops")

    with pytest.raises(ZeroDivisionError, match="oops"):
        await bench.run()


async def test_assistants_go_first_and_the_other_extras_last(bench: Any, kit: Any) -> None:
    """Extras are written in the order of restoring, never beside threads."""
    bench.world.add("a")
    bench.world.extras = {
        "assistant": [Assistant(assistant_id="x", version=1)],
        "store_item": [kit.item("k")],
    }

    report = await bench.run()

    assert bench.world.calls == [
        "open",
        "extras assistant",
        "extras store_item",
        "finish",
        "close",
    ]
    assert report.extras == {"assistant": 1, "store_item": 1}


async def test_a_stream_gives_the_same_as_a_listing(bench: Any, kit: Any) -> None:
    """A source that is read in one pass fills the sink alike, extras included."""
    bench.world.add("a", "b")
    bench.world.extras = {
        "assistant": [Assistant(assistant_id="x", version=1)],
        "store_item": [kit.item("k")],
    }

    first = await bench.run("stream")
    second = await bench.run("stream")

    assert {key: bench.world.lines(key) for key in "ab"} == bench.world.stored
    assert (bench.world.calls[:5]) == [
        "open",
        "extras assistant",
        "extras store_item",
        "finish",
        "close",
    ]
    assert counts(listed=2, written=2) == first.threads
    assert counts(listed=2, unchanged=2) == second.threads


async def test_a_thread_that_was_asked_for_and_is_not_there_is_a_failure(bench: Any) -> None:
    """A script that backs up one thread before deleting it must hear that it does not exist."""
    bench.world.add("a")
    missing = Failure(thread_id="b", what="thread", why="the source has no such thread")

    for source in ("memory", "stream"):
        report = await bench.run(source, query=Query(thread_ids=("a", "b")), full=True)

        assert report.threads == counts(listed=2, written=1, failed=1)
        assert report.failures == [missing]
        assert report.exit_code == 3


async def test_a_limit_bounds_what_is_listed(bench: Any) -> None:
    """--limit N takes the first N threads of the listing or the stream."""
    bench.world.add("a", "b", "c")

    listed = await bench.run(query=Query(limit=2))
    streamed = await bench.run("stream", query=Query(limit=2, extras=False))

    assert counts(listed=2, written=2) == listed.threads
    assert streamed.threads.listed == 2
    assert {"a", "b"} == set(bench.world.stored)


async def test_a_dry_run_lists_what_would_move_and_writes_nothing(bench: Any) -> None:
    """The sink is told, nothing is read or written, and what is held is left out."""
    bench.world.add("a")
    await bench.run()
    bench.world.add("b", version="7")
    bench.world.reads.clear()
    bench.world.batches.clear()

    report = await bench.run(dry_run=True)

    assert bench.world.run.dry_run
    assert [ref.thread_id for ref in report.would_move] == ["b"]
    assert bench.world.reads == []
    assert bench.world.batches == []
    assert "finish" not in bench.world.calls[4:]


async def test_what_a_sink_left_as_it_stood_counts_as_unchanged(bench: Any, kit: Any) -> None:
    """With what it says of it; none of its checkpoints was written."""
    bench.world.add("a", count=2)
    loss = Loss(what="thread", why="it was left", checkpoints=2, holdable=False)

    async def write(self: Any, bundles: Any, context: Any) -> list[WriteOutcome]:
        return [WriteOutcome(thread_id="a", losses=(loss,), written=False)]

    members = {"write": write, "world": bench.world}
    bench.parts["sink_memory"] = type("W", (kit.sink,), members)

    report = await bench.run()

    assert report.threads == counts(listed=1, unchanged=1)
    assert (report.checkpoints.written, report.losses, report.exit_code) == (0, [loss], 0)


async def test_a_dry_run_asks_a_sink_that_previews_about_each_thread(bench: Any, kit: Any) -> None:
    """It says what would not be taken, and which threads would fail; the rest would move."""
    for thread_id in "abc":
        bench.world.add(thread_id)
    loss = Loss(what="a subgraph", why="no place for it", holdable=False)

    async def preview(self: Any, bundle: Any, context: Any) -> WriteOutcome:
        if bundle.thread_id == "b":
            return WriteOutcome(thread_id="b", error="its graph is not there")
        if bundle.thread_id == "c":
            raise ThreadError("its id is no UUID")
        return WriteOutcome(thread_id="a", losses=(loss,))

    members = {"previews": True, "preview": preview, "world": bench.world}
    bench.parts["sink_memory"] = type("P", (kit.sink,), members)

    report = await bench.run(dry_run=True)

    assert [ref.thread_id for ref in report.would_move] == ["a"]
    assert [(failure.thread_id, failure.why) for failure in report.failures] == [
        ("b", "its graph is not there"),
        ("c", "its id is no UUID"),
    ]
    assert report.losses == [loss]
    assert (report.exit_code, bench.world.batches) == (3, [])


async def test_a_dry_run_asks_it_about_the_deployments_records_too(bench: Any, kit: Any) -> None:
    """Kind by kind, those that come before the threads and those that come after; what it says
    of them is in the report, and nothing is written."""
    bench.world.extras = {
        "assistant": [Assistant(assistant_id="a", version=1)],
        "store_item": [kit.item("x"), kit.item("y")],
    }
    asked: list[tuple[str, int]] = []
    loss = Loss(what="an item", why="it stands there with other content")

    async def preview_extras(self: Any, kind: str, bundle: Any, context: Any) -> WriteOutcome:
        asked.append((kind, len(bundle)))
        if kind == "assistant":
            return WriteOutcome(thread_id=None, error="its graph is not there")
        return WriteOutcome(thread_id=None, losses=(loss,))

    members = {"previews": True, "preview_extras": preview_extras, "world": bench.world}
    bench.parts["sink_memory"] = type("P", (kit.sink,), members)

    report = await bench.run(dry_run=True)

    assert asked == [("assistant", 1), ("store_item", 2)]
    assert [failure.why for failure in report.failures] == ["its graph is not there", loss.why]
    assert (report.extras, bench.world.stored_extras, report.losses) == ({}, {}, [loss])


# -- transforms and validators ---------------------------------------------------------


def transform(kit: Any, apply: Any, **fields: Any) -> type[Any]:
    return type(
        "T",
        (RecordTransform,),
        {"name": "t", "config_type": kit.options, "handles": ANY_KIND, "apply": apply, **fields},
    )


async def test_a_transforms_records_take_the_place_of_the_threads(bench: Any, kit: Any) -> None:
    """One record may become none, itself, or several."""
    bench.world.add("a")

    def apply(self: Any, record: Record) -> Iterable[Record]:
        if isinstance(record, Checkpoint) and record.checkpoint_id != "c0001":
            return []
        return [record]

    bench.parts["transform_t"] = transform(kit, apply)

    report = await bench.run(transforms=(Use(name="t"),))

    thread, _, kept, _ = bench.world.lines("a")
    assert [thread, kept] == bench.world.stored["a"]
    assert counts(listed=1, written=1) == report.threads


async def test_a_transform_that_raises_keeps_the_thread_out(bench: Any, kit: Any) -> None:
    """It fails closed, and the message of foreign code, which may quote data, is not shown."""
    bench.world.add("a", "b")

    def apply(self: Any, record: Record) -> Iterable[Record]:
        if record.thread_id == "a":  # type: ignore[attr-defined]
            raise ValueError("secret: jane@example.com")
        return [record]

    bench.parts["transform_t"] = transform(kit, apply)

    report = await bench.run(transforms=(Use(name="t"),))

    assert {"b"} == set(bench.world.stored)
    [failure] = report.failures
    assert failure.thread_id == "a"
    assert failure.why.startswith("transform t raised ValueError at ")
    assert "jane" not in failure.why
    assert report.exit_code == 3


async def test_other_options_of_a_transform_make_all_copies_anew(bench: Any, kit: Any) -> None:
    """Marks carry what shaped the copy: a run with a transform after one without replaces all."""
    bench.world.add("a", "b")
    await bench.run()
    bench.parts["transform_t"] = transform(kit, lambda self, record: [record])

    with_it = await bench.run(transforms=(Use(name="t"),))
    again = await bench.run(transforms=(Use(name="t"),))

    assert counts(listed=2, written=2) == with_it.threads
    assert counts(listed=2, unchanged=2) == again.threads


async def test_a_kind_that_a_transform_does_not_handle_is_refused(bench: Any, kit: Any) -> None:
    """A scrubber that knows only checkpoints must not let store items through."""
    bench.parts["transform_t"] = transform(
        kit, lambda self, record: [record], handles=frozenset({"thread", "checkpoint"})
    )

    with pytest.raises(UsageError) as caught:
        await bench.run(transforms=(Use(name="t"),))

    assert str(caught.value) == (
        "transform t does not handle assistant, store_item, which would pass it untouched; "
        "leave these kinds out (--no-extras), or use a transform that handles them"
    )


async def test_an_unforeseen_kind_fails_the_thread_rather_than_pass(bench: Any, kit: Any) -> None:
    """A file may hold kinds that nobody declared; they do not slip past a transform."""
    bench.world.add("a")

    async def scan(self: Any, query: Any, context: Any) -> AsyncIterator[Record | ThreadEnd]:
        yield UnknownRecord(name="novel", thread_id="a", body=raw({"kind": "novel"}))
        yield ThreadEnd(thread_id="a", outcome="complete", version="1")

    bench.parts["transform_t"] = transform(
        kit, lambda self, record: [record], handles=frozenset({"thread", "checkpoint"})
    )
    bench.parts["source_stream"] = type(
        "S",
        (StreamSource,),
        {
            "name": "stream",
            "config_type": kit.options,
            "offers": ANY_KIND,
            "scan": scan,
            "probe": None,
            "identity": lambda self: _text("stream:1"),
        },
    )

    report = await bench.run("stream", transforms=(Use(name="t"),))

    assert bench.world.stored == {}
    assert "does not handle records of kind 'novel'" in report.failures[0].why


async def _text(value: str) -> str:
    return value


async def test_a_transform_of_whole_threads_sees_them_whole(bench: Any, kit: Any) -> None:
    """Scope thread: the bundle can be read as often as wanted."""
    bench.world.add("a")

    class KeepLast(ThreadTransform[Any]):
        name = "t"
        config_type = kit.options
        handles = ANY_KIND
        leaves_extras = True

        async def apply(self, bundle: Bundle) -> AsyncIterator[Record]:
            last = max(r.checkpoint_id for r in bundle if isinstance(r, Checkpoint))
            for record in bundle:
                if not isinstance(record, Checkpoint) or record.checkpoint_id == last:
                    yield record

    bench.parts["transform_t"] = KeepLast

    await bench.run(transforms=(Use(name="t"),))

    lines = bench.world.lines("a")
    assert [lines[0], lines[-1]] == bench.world.stored["a"]


async def test_a_transform_that_changes_ids_is_asked_before_the_marks(bench: Any, kit: Any) -> None:
    """`map_ref` names the thread as the target knows it, so a second run skips it."""
    bench.world.add("a")

    def apply(self: Any, record: Record) -> Iterable[Record]:
        return [msgspec.structs.replace(record, thread_id="new-a")]

    def map_ref(self: Any, ref: ThreadRef) -> ThreadRef:
        return msgspec.structs.replace(ref, thread_id=f"new-{ref.thread_id}")

    bench.parts["transform_t"] = transform(kit, apply, map_ref=map_ref)

    await bench.run(transforms=(Use(name="t"),))
    report = await bench.run(transforms=(Use(name="t"),))

    assert {"new-a"} == set(bench.world.stored)
    assert counts(listed=1, unchanged=1) == report.threads


class _TooLong(BundleValidator[Any]):
    name = "short"
    handles = ANY_KIND

    def check(self, bundle: Bundle) -> Iterable[Violation]:
        if bundle.checkpoints > 3:
            yield Violation(rule="too-long", place="checkpoints", message="4 of at most 3")


@pytest.fixture
def short(bench: Any, kit: Any) -> Any:
    bench.parts["validator_short"] = type("V", (_TooLong,), {"config_type": kit.options})
    bench.world.add("good", "bad")
    bench.world.add("bad", count=4)
    return bench


async def test_a_violation_ends_the_run_by_default(short: Any) -> None:
    """--on-violation fail: the thread is not written and the run is aborted."""
    report = await short.run(validators=(ValidatorUse(name="short"),))

    assert "bad" not in short.world.stored
    assert report.aborted is not None
    assert "thread 'bad' breaks a rule: short: too-long at checkpoints: 4 of at most 3" in (
        report.aborted
    )
    assert report.exit_code == 1


async def test_quarantine_keeps_ids_and_reasons_not_data(short: Any) -> None:
    """--on-violation quarantine: the thread is kept out and listed, the others arrive."""
    report = await short.run(validators=(ValidatorUse(name="short"),), on_violation="quarantine")

    assert {"good"} == set(short.world.stored)
    assert report.quarantined == ["bad"]
    assert counts(listed=2, written=1, failed=1) == report.threads
    assert report.exit_code == 3


async def test_warn_writes_the_thread_and_notes_the_violation(short: Any) -> None:
    """--on-violation warn: everything arrives, the report holds a note."""
    report = await short.run(validators=(ValidatorUse(name="short"),), on_violation="warn")

    assert {"good", "bad"} == set(short.world.stored)
    assert [(note.thread_id, note.message) for note in report.notes] == [
        ("bad", "short: too-long at checkpoints: 4 of at most 3")
    ]
    assert report.exit_code == 0


async def test_a_validator_at_the_source_sees_data_before_the_transforms(
    short: Any, kit: Any
) -> None:
    """`--validator NAME@source` checks what came, not what the transforms made of it."""

    def drop(self: Any, record: Record) -> Iterable[Record]:
        return [] if isinstance(record, Checkpoint) else [record]

    short.parts["transform_t"] = transform(kit, drop)
    at_source = await short.run(
        transforms=(Use(name="t"),),
        validators=(ValidatorUse(name="short", at="source"),),
        on_violation="quarantine",
    )
    at_sink = await short.run(
        transforms=(Use(name="t"),),
        validators=(ValidatorUse(name="short"),),
        on_violation="quarantine",
        full=True,
    )

    assert at_source.quarantined == ["bad"]
    assert at_sink.quarantined == []


async def test_a_record_that_cannot_be_a_line_fails_its_thread_alone(bench: Any, kit: Any) -> None:
    """Bytes that are not UTF-8 are found before the sink sees them."""
    bench.world.add("a", "b")

    async def read(self: Any, refs: Any, context: Any) -> AsyncIterator[Record | ThreadEnd]:
        for ref in refs:
            text = b'"\xff"' if ref.thread_id == "a" else b'"ok"'
            yield Checkpoint(
                thread_id=ref.thread_id,
                checkpoint_ns="",
                checkpoint_id="c",
                values=msgspec.Raw(text),
            )
            yield ThreadEnd(thread_id=ref.thread_id, outcome="complete")

    bench.parts["source_memory"] = type("S", (kit.source,), {"world": bench.world, "read": read})

    report = await bench.run()

    assert {"b"} == set(bench.world.stored)
    assert [(failure.thread_id, failure.why) for failure in report.failures] == [
        ("a", "a record is not UTF-8 at byte 132")
    ]
    assert counts(listed=2, written=1, failed=1) == report.threads
    assert counts(listed=2, written=1, failed=1) == report.checkpoints
