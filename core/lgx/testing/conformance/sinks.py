"""What every sink is to do, as tests: subclass `SinkConformance` and give it a target.

class TestParquet(SinkConformance):
    @pytest.fixture
    def sink_factory(self, tmp_path):
        return lambda: ParquetSink(ParquetConfig(path=tmp_path / "out"))

    @pytest.fixture
    def read_back(self, tmp_path):
        return lambda: ParquetSource(ParquetConfig(path=tmp_path / "out"))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import Raw

from lgx.context import Context
from lgx.contracts import RunInfo, Sink
from lgx.errors import LgxError, RetryableError, ThreadError, UsageError
from lgx.facts import Probe
from lgx.records import ANY_KIND, EXTRA_KINDS, Record
from lgx.spool import Bundle
from lgx.testing.conformance.bundles import (
    BrokenBundle,
    GatedBundle,
    extras_bundle,
    make_bundle,
    make_run,
)
from lgx.testing.conformance.reading import (
    Contents,
    ReadBack,
    order_faults,
    read_target,
    same_records,
)
from lgx.testing.conformance.samples import PLAIN, chain, sample_extras, sample_threads
from lgx.testing.contexts import make_context
from lgx.threads import Mark, ThreadRef, WriteOutcome

__all__ = ["SinkConformance"]

SinkFactory = Callable[[], Sink[Any]]

_SAMPLE_NAMES = tuple(sample_threads(ANY_KIND))


class SinkConformance:
    """Tests of one sink; each test begins with an empty target of its own.

    Two fixtures are mandatory, `sink_factory` and `read_back`; `target_state` makes the
    tests of dry runs sharper. What a sink cannot do is declared by the attributes
    below, each with the reason; an empty reason means that it can.

    The tests are plain functions that run their own event loop: no plugin of pytest is needed.
    """

    keeps_no_marks: ClassVar[str] = ""
    """Why `held` always answers `{}` and each run writes everything: a single document."""

    merges_not: ClassVar[str] = ""
    """Why threads of two sources cannot stand in one target, nor be told apart."""

    may_refuse: ClassVar[Mapping[str, str]] = {}
    """Samples of `sample_threads()` that the target cannot hold, with the reason. The sink is
    then to refuse that thread, and no other; if it does hold it, the entry is out of date."""

    exact_bytes: ClassVar[bool] = False
    """Whether records come back byte by byte, not only with equal values."""

    # -- fixtures ------------------------------------------------------------------------

    @pytest.fixture
    def sink_factory(self) -> SinkFactory:
        """Makes a new sink, not opened, on this test's target; always the same target."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `sink_factory`")

    @pytest.fixture
    def read_back(self) -> ReadBack:
        """A function, plain or async, that gives a source over the target (not opened), or
        the records in it. Where there is no target yet: no records, or an `LgxError`."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `read_back`")

    @pytest.fixture
    def target_state(self) -> Callable[[], object]:
        """A function whose answers are equal as long as nothing was created or changed, such
        as a listing of files with their digests. By default nothing is looked at."""
        return lambda: None

    # -- records ---------------------------------------------------------------------------

    @pytest.mark.parametrize("name", _SAMPLE_NAMES)
    def test_a_thread_arrives_whole_and_its_neighbours_too(
        self, name: str, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """Each hard thread, written between two plain ones, comes back as it was; or it is
        refused where that is declared, and the plain ones come all the same."""
        accepts = sink_factory().accepts
        samples = sample_threads(accepts)
        if name not in samples:
            return  # of a kind that the sink does not accept

        async def test(context: Context) -> None:
            written = {
                "before": chain("00000000-0000-4000-8000-000000000001", 2),
                name: samples[name],
                "after": chain("ffffffff-ffff-4fff-8fff-ffffffffffff", 2),
            }
            async with _running(sink_factory, context) as sink:
                bundles = [make_bundle(context, records) for records in written.values()]
                outcomes = await _write(sink, bundles, context)
            refused = {
                key: outcome.error
                for key, outcome in zip(written, outcomes, strict=True)
                if outcome.error is not None
            }
            if name in self.may_refuse:
                assert set(refused) == {name}, f"may_refuse is out of date: {name!r} was kept"
                del written[name]
            else:
                assert refused == {}
            self._compare(await read_target(read_back, context), list(written.values()))

        _run(test)

    def test_many_threads_arrive_in_several_batches(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """Sixty threads in batches of one, two and many: all there, none twice, none else."""

        async def test(context: Context) -> None:
            threads = [chain(_id(number), 1 + number % 4) for number in range(60)]
            async with _running(sink_factory, context) as sink:
                for part in (threads[:1], threads[1:3], threads[3:]):
                    await self._store(sink, part, context)
            self._compare(await read_target(read_back, context), threads)

        _run(test)

    def test_a_bundle_that_lies_on_disk_arrives(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A thread larger than the memory for it, in the spool's file, comes whole."""

        async def test(context: Context) -> None:
            records = chain(_id(0), 40, bulk=Raw(b'{"text":"' + b"0123456789" * 5000 + b'"}'))
            small = make_context(memory=1 << 20)
            bundle = make_bundle(small, records)
            assert small.budget.used == 0, "the spool of this test has not gone to disk"
            async with _running(sink_factory, context) as sink:
                await self._accepted(sink, [bundle], context)
            self._compare(await read_target(read_back, context), [records])

        _run(test)

    def test_writers_may_work_at_once(self, sink_factory: SinkFactory, read_back: ReadBack) -> None:
        """As many calls of `write` as `max_writers` allows, all at once, lose nothing."""

        async def test(context: Context) -> None:
            threads = [chain(_id(number), 3) for number in range(48)]
            async with _running(sink_factory, context) as sink:
                gate = asyncio.Semaphore(sink.max_writers)

                async def writer(part: Sequence[Sequence[Record]]) -> None:
                    async with gate:
                        await self._store(sink, part, context)

                await asyncio.gather(
                    *(writer(threads[start : start + 6]) for start in range(0, 48, 6))
                )
            self._compare(await read_target(read_back, context), threads)

        _run(test)

    def test_bundles_stay_the_engines(self, sink_factory: SinkFactory) -> None:
        """A bundle can be read again after it was written: the engine closes it, not the sink."""

        async def test(context: Context) -> None:
            records = chain(_id(0), 3)
            bundle = make_bundle(context, records)
            async with _running(sink_factory, context) as sink:
                (outcome,) = await sink.write([bundle], context)
                assert outcome.error is None
                assert same_records(bundle, records) == []
                bundle.close()

        _run(test)

    # -- again -----------------------------------------------------------------------------

    def test_writing_twice_leaves_what_writing_once_leaves(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A second run with the same threads changes nothing; with marks, nor does a second
        write in the same run."""

        async def test(context: Context) -> None:
            samples = sample_threads(sink_factory().accepts)
            threads = [samples[name] for name in (PLAIN, "namespaces", "fork", "no-checkpoints")]
            for _ in range(2):
                async with _running(sink_factory, context) as sink:
                    await self._store(sink, threads, context)
                    if not self.keeps_no_marks:
                        await self._store(sink, threads, context)
            self._compare(await read_target(read_back, context), threads)

        _run(test)

    def test_a_new_copy_replaces_the_old_one(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """What a thread no longer holds (states, a namespace, fields) is gone; its neighbour,
        where marks are kept, stands as it was."""

        async def test(context: Context) -> None:
            samples = sample_threads(sink_factory().accepts)
            old, neighbour = samples["namespaces"], samples["fork"]
            new = [samples["namespaces"][0], *samples["namespaces"][2:4]]
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [old, neighbour], context)
            async with _running(sink_factory, context) as sink:
                again = [new, neighbour] if self.keeps_no_marks else [new]
                await self._store(sink, again, context, version="2")
                marks = await sink.held([_ref(new), _ref(neighbour)])
            self._compare(await read_target(read_back, context), [new, neighbour])
            if not self.keeps_no_marks:
                assert _said(marks) == {_thread(new): ("2", 2), _thread(neighbour): ("1", 5)}

        _run(test)

    # -- marks -----------------------------------------------------------------------------

    def test_whole_threads_are_held_and_no_others(self, sink_factory: SinkFactory) -> None:
        """`held` gives the marks that were written, for the threads that it is asked about;
        nothing for unknown ids, nothing before anything was written."""

        async def test(context: Context) -> None:
            first, second, third = (chain(_id(number), number + 1) for number in range(3))
            unknown = ThreadRef(thread_id=_id(99), version="1")
            async with _running(sink_factory, context) as sink:
                assert dict(await sink.held([_ref(first), unknown])) == {}
                assert dict(await sink.held([])) == {}
                await self._store(sink, [first, second, third], context, version="v-7 🎈")
                marks = await sink.held([_ref(first), unknown, _ref(third)])
            if self.keeps_no_marks:
                assert dict(marks) == {}
            else:
                assert _said(marks) == {
                    _thread(first): ("v-7 🎈", 1),
                    _thread(third): ("v-7 🎈", 3),
                }
                assert {mark.fingerprint for mark in marks.values()} == {"f" * 64}

        _run(test)

    def test_marks_survive_reopening_under_any_id(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """Another object over the same target holds what the first one wrote; ids that are
        alike (in case, in composition, in their first 255 characters) stay apart."""

        async def test(context: Context) -> None:
            hard = [records for name, records in sample_threads().items() if name[:3] == "id-"]
            kept = [
                records
                for name, records in sample_threads().items()
                if name[:3] == "id-" and name not in self.may_refuse
            ]
            async with _running(sink_factory, context) as sink:
                await self._store(sink, kept, context)
            async with _running(sink_factory, context, finish=False) as sink:
                marks = await sink.held([_ref(records) for records in hard])
            wanted = {} if self.keeps_no_marks else {_thread(item): ("1", 2) for item in kept}
            assert _said(marks) == wanted
            self._compare(await read_target(read_back, context), kept)

        _run(test)

    def test_held_answers_for_thousands_of_threads(self, sink_factory: SinkFactory) -> None:
        """The engine asks about a whole page of a list at once."""

        async def test(context: Context) -> None:
            records = chain(_id(0), 1)
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
                marks = await sink.held(
                    [ThreadRef(thread_id=_id(number), version="1") for number in range(5000)]
                )
            assert set(marks) == (set() if self.keeps_no_marks else {_id(0)})

        _run(test)

    def test_a_partial_thread_is_stored_and_not_marked(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """It is there to be read, `held` does not know it, and it takes an older mark away."""

        async def test(context: Context) -> None:
            whole, was_whole = chain(_id(0), 2), chain(_id(1), 3)
            partial, fresh = chain(_id(1), 2), chain(_id(2), 1)
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [whole, was_whole], context)
            async with _running(sink_factory, context) as sink:
                if self.keeps_no_marks:
                    await self._store(sink, [whole], context)
                await self._store(sink, [partial, fresh], context, partial=True)
            async with _running(sink_factory, context, finish=not self.keeps_no_marks) as sink:
                marks = await sink.held([_ref(item) for item in (whole, partial, fresh)])
            self._compare(await read_target(read_back, context), [whole, partial, fresh])
            assert set(marks) == (set() if self.keeps_no_marks else {_id(0)})

        _run(test)

    # -- other sources -----------------------------------------------------------------------

    def test_another_source_is_refused_without_merge(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A run from elsewhere into a target with threads ends before it has begun."""
        if self.merges_not:
            return

        async def test(context: Context) -> None:
            records = chain(_id(0), 2)
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
            with pytest.raises(UsageError, match="merge"):
                async with _running(sink_factory, context, make_run(source="kit://second")):
                    pass
            self._compare(await read_target(read_back, context), [records])

        _run(test)

    def test_merged_sources_are_kept_apart(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """With merge, two sources' threads stand side by side, also under the same id; each
        run holds and forgets only its own."""
        if self.merges_not:
            return

        async def test(context: Context) -> None:
            second_run = make_run(source="kit://second", merge=True)
            mine, shared = chain(_id(0), 2), chain(_id(1), 2)
            theirs, same_id = chain(_id(2), 3), chain(_id(1), 4)
            refs = [_ref(item) for item in (mine, shared, theirs)]
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [mine, shared], context)
            async with _running(sink_factory, context, second_run) as sink:
                assert dict(await sink.held(refs)) == {}
                await self._store(sink, [theirs, same_id], context, version="2")
                assert _said(await sink.held(refs)) == {_id(1): ("2", 4), _id(2): ("2", 3)}
                await sink.forget([_id(0)])
            async with _running(sink_factory, context, make_run(merge=True)) as sink:
                assert _said(await sink.held(refs)) == {_id(0): ("1", 2), _id(1): ("1", 2)}
            every = [record for part in (mine, shared, theirs, same_id) for record in part]
            contents = await read_target(read_back, context)
            came = [record for records in contents.threads.values() for record in records]
            assert same_records(came, every) == []

        _run(test)

    # -- forgetting --------------------------------------------------------------------------

    def test_forgotten_threads_are_gone_with_their_marks(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """Others stay; ids that are not there are ignored; the thread may come again."""
        if self.keeps_no_marks:
            return  # nothing stands there that the run itself has not written

        async def test(context: Context) -> None:
            gone, stays = chain(_id(0), 3), chain(_id(1), 2)
            refs = [_ref(gone), _ref(stays)]
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [gone, stays], context)
            async with _running(sink_factory, context) as sink:
                await sink.forget([_id(0), _id(77), "no such thread"])
                assert set(await sink.held(refs)) == {_id(1)}
                await sink.forget([])
            async with _running(sink_factory, context) as sink:
                assert set(await sink.held(refs)) == {_id(1)}
            self._compare(await read_target(read_back, context), [stays])
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [gone], context)
                assert set(await sink.held(refs)) == {_id(0), _id(1)}
            self._compare(await read_target(read_back, context), [gone, stays])

        _run(test)

    # -- extras ------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", EXTRA_KINDS)
    def test_extras_arrive_and_replace(
        self, kind: str, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """The deployment's records of a kind come back; a later write takes their place, and
        a partial one is added to them. They leave threads and other kinds alone."""
        accepts = sink_factory().accepts
        if accepts != ANY_KIND and kind not in accepts:
            return

        async def test(context: Context) -> None:
            records, threads = sample_extras(kind), [chain(_id(0), 2)]

            async def go(*writes: tuple[list[Record], bool]) -> Contents:
                async with _running(sink_factory, context) as sink:
                    await self._store(sink, threads, context)
                    for part, partial in writes:
                        bundle = extras_bundle(context, part, partial=partial)
                        outcome = await sink.write_extras(kind, bundle, context)
                        assert outcome.error is None
                        bundle.close()
                return await read_target(read_back, context)

            def compare(contents: Contents, wanted: list[Record]) -> None:
                self._compare(contents, threads)
                came = {name: items for name, items in contents.extras.items() if items}
                assert set(came) == {kind}
                assert same_records(came[kind], wanted, exact=self.exact_bytes) == []

            compare(await go((records, False)), records)
            compare(await go((records[:1], False)), records[:1])
            compare(await go((records[:1], False), (records[1:], True)), records)

        _run(test)

    # -- what is not done --------------------------------------------------------------------

    def test_a_dry_run_creates_nothing(
        self,
        sink_factory: SinkFactory,
        read_back: ReadBack,
        target_state: Callable[[], object],
    ) -> None:
        """Neither where there is no target, nor where there is one; `held` answers as ever."""

        async def test(context: Context) -> None:
            records = chain(_id(0), 2)
            dry = make_run(dry_run=True)
            before = target_state()
            async with _running(sink_factory, context, dry, finish=False) as sink:
                assert dict(await sink.held([_ref(records)])) == {}
            assert target_state() == before
            assert await _contents_or_none(read_back, context) == {}
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
            before = target_state()
            async with _running(sink_factory, context, dry, finish=False) as sink:
                marks = await sink.held([_ref(records)])
            assert set(marks) == (set() if self.keeps_no_marks else {_id(0)})
            assert target_state() == before
            self._compare(await read_target(read_back, context), [records])

        _run(test)

    def test_opening_and_probing_create_nothing(
        self,
        sink_factory: SinkFactory,
        read_back: ReadBack,
        target_state: Callable[[], object],
    ) -> None:
        """The constructor touches nothing, opening creates nothing, a probe tells facts; or,
        where there is no target yet, an error of lgx's."""

        async def test(context: Context) -> None:
            before = target_state()
            sink_factory()
            assert target_state() == before
            try:
                async with sink_factory() as sink:
                    assert isinstance(sink, Sink)
                    assert isinstance(await sink.probe(context), Probe)
            except LgxError as error:
                assert str(error), "an error without a message"  # noqa: PT017
            assert target_state() == before
            assert await _contents_or_none(read_back, context) == {}

        _run(test)

    def test_an_aborted_run_leaves_nothing_broken(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A run that ends without `finish`: what was written stands with its mark where marks
        are kept; otherwise the target is what it was before, or is not there."""

        async def test(context: Context) -> None:
            first, second = chain(_id(0), 2), chain(_id(1), 3)
            await self._aborted(sink_factory, [first], context)
            stands = {} if self.keeps_no_marks else {_id(0): 3}
            assert await _contents_or_none(read_back, context) == stands
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [first], context)
            await self._aborted(sink_factory, [second], context)
            wanted = [first] if self.keeps_no_marks else [first, second]
            self._compare(await read_target(read_back, context), wanted)
            async with _running(sink_factory, context) as sink:
                marks = await sink.held([_ref(first), _ref(second)])
                await self._store(sink, [first, second], context)
            assert set(marks) == (set() if self.keeps_no_marks else {_id(0), _id(1)})
            self._compare(await read_target(read_back, context), [first, second])

        _run(test)

    def test_nothing_shows_before_the_end_without_marks(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A document that is written as a whole appears when the run finishes, not before."""
        if not self.keeps_no_marks:
            return

        async def test(context: Context) -> None:
            records = chain(_id(0), 2)
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
                assert await _contents_or_none(read_back, context) == {}
            self._compare(await read_target(read_back, context), [records])

        _run(test)

    def test_a_thread_that_breaks_off_leaves_the_old_copy(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """When a bundle cannot be read to its end, nothing of it stands in the target: the
        old copy does, with its mark; a thread that was not there is not there."""

        async def test(context: Context) -> None:
            old, other = chain(_id(0), 3), chain(_id(9), 2)
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [old], context)
            stands = [old]
            for records in (chain(_id(0), 5), chain(_id(1), 4)):
                whole = make_bundle(context, records, version="2")
                broken = BrokenBundle(whole.spool, ref=whole.ref, mark=whole.mark)
                try:
                    # An error of lgx's ends the run here, as it ends the engine's.
                    async with _running(sink_factory, context) as sink:
                        await self._store(sink, [other], context)
                        (outcome,) = await sink.write([broken], context)
                        assert outcome.error, "a thread that broke off was said to be durable"
                    finished = True
                except LgxError:
                    finished = False
                whole.close()
                if not self.keeps_no_marks:
                    stands = [old, other]
                elif finished:
                    stands = [other]
                self._compare(await read_target(read_back, context), stands)
            async with _running(sink_factory, context, finish=False) as sink:
                marks = await sink.held([_ref(old), ThreadRef(thread_id=_id(1), version="2")])
            assert _said(marks) == ({} if self.keeps_no_marks else {_id(0): ("1", 3)})

        _run(test)

    def test_a_record_that_is_not_json_costs_its_thread_alone(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A bundle with a line that no decoder takes is refused, or kept as it is; the threads
        before and after it arrive, and the target stays readable."""

        async def test(context: Context) -> None:
            before, odd, after = (chain(_id(number), 4) for number in range(3))
            odd[2] = msgspec.structs.replace(odd[2], values=Raw(b'{"n": nothing}'))
            async with _running(sink_factory, context) as sink:
                bundles = [make_bundle(context, records) for records in (before, odd, after)]
                outcomes = await _delivered(sink, bundles, context)
                for bundle in bundles:
                    bundle.close()
            assert [outcomes[_thread(records)].error for records in (before, after)] == [None, None]
            contents = await read_target(read_back, context)
            assert set(contents.threads) - {_thread(odd)} == {_thread(before), _thread(after)}
            for records in (before, after):
                came = contents.threads[_thread(records)]
                assert same_records(came, records, exact=self.exact_bytes) == []
                assert order_faults(came) == []

        _run(test)

    # -- cancellation ------------------------------------------------------------------------

    def test_a_cancelled_begin_leaves_nothing_behind(
        self,
        sink_factory: SinkFactory,
        read_back: ReadBack,
        target_state: Callable[[], object],
    ) -> None:
        """Wherever `begin` is cancelled, once the sink is left nothing works on the target any
        more, and the next run in the same process finds it free."""
        before = target_state()
        for steps in (0, 1, 2, 4, 8, 16, 64, 256):

            async def cancelled(context: Context, steps: int = steps) -> None:
                async with sink_factory() as sink:
                    assert isinstance(sink, Sink)
                    task = asyncio.ensure_future(sink.begin(make_run()))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    await _cancel(task)
                await self._is_at_rest(target_state)

            _run(cancelled)
            if self.keeps_no_marks:
                assert target_state() == before

        async def test(context: Context) -> None:
            records = chain(_id(0), 2)
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
            self._compare(await read_target(read_back, context), [records])

        _run(test)

    def test_a_cancelled_write_is_over_when_it_returns(
        self,
        sink_factory: SinkFactory,
        read_back: ReadBack,
        target_state: Callable[[], object],
    ) -> None:
        """However often it is cancelled: no thread reads the bundle any more, which the engine
        then closes; the thread stands whole or not at all, and the next run can write it."""
        before = target_state()
        records = chain(_id(0), 4)

        async def cancelled(context: Context) -> None:
            plain = make_bundle(context, records)
            bundle = GatedBundle(plain.spool, ref=plain.ref, mark=plain.mark)
            async with _running(sink_factory, context, finish=False) as sink:
                task = asyncio.ensure_future(sink.write([bundle], context))
                entered = asyncio.ensure_future(asyncio.to_thread(bundle.entered.wait, 30))
                try:
                    await asyncio.wait({task, entered}, return_when=asyncio.FIRST_COMPLETED)
                    for _ in range(2):
                        task.cancel()
                        for _ in range(20):
                            await asyncio.sleep(0)
                        assert not (task.done() and bundle.readers), "it is still being read"
                finally:
                    bundle.entered.set()
                    bundle.gate.set()
                    await asyncio.wait({task, entered})
                assert bundle.readers == 0
                bundle.close()
                if not task.cancelled():
                    task.result()
            await self._is_at_rest(target_state)

        _run(cancelled)
        if self.keeps_no_marks:
            assert target_state() == before

        async def test(context: Context) -> None:
            assert await _contents_or_none(read_back, context) in ({}, {_id(0): len(records)})
            async with _running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
            self._compare(await read_target(read_back, context), [records])

        _run(test)

    # -- helpers -----------------------------------------------------------------------------

    async def _is_at_rest(self, target_state: Callable[[], object]) -> None:
        """Nothing changes when all worker threads have ended; the last thing in an event loop."""
        state = target_state()
        await asyncio.get_running_loop().shutdown_default_executor()
        assert target_state() == state

    async def _store(
        self,
        sink: Sink[Any],
        threads: Sequence[Sequence[Record]],
        context: Context,
        *,
        version: str = "1",
        partial: bool = False,
    ) -> None:
        """Writes threads that the sink is to take, in batches no larger than it wants."""
        for start in range(0, len(threads), sink.batch_threads):
            bundles = [
                make_bundle(context, records, version=version, partial=partial)
                for records in threads[start : start + sink.batch_threads]
            ]
            await self._accepted(sink, bundles, context)

    async def _aborted(
        self, factory: SinkFactory, threads: Sequence[Sequence[Record]], context: Context
    ) -> None:
        """A run that writes threads and then ends by an error."""
        try:
            async with _running(factory, context) as sink:
                await self._store(sink, threads, context)
                raise _Abort
        except _Abort:
            pass

    async def _accepted(self, sink: Sink[Any], bundles: Sequence[Bundle], context: Context) -> None:
        outcomes = await _write(sink, bundles, context)
        assert [outcome.error for outcome in outcomes] == [None] * len(bundles)
        assert [outcome.losses for outcome in outcomes] == [()] * len(bundles)

    def _compare(self, contents: Contents, wanted: Sequence[Sequence[Record]]) -> None:
        """The target holds these threads and no others, each whole and in order."""
        assert contents.faults == []
        assert sorted(contents.threads) == sorted(_thread(records) for records in wanted)
        for records in wanted:
            came = contents.threads[_thread(records)]
            assert same_records(came, records, exact=self.exact_bytes) == []


class _Abort(Exception):  # noqa: N818 -- stands for whatever ends a run
    pass


def _run(test: Callable[[Context], Coroutine[Any, Any, None]]) -> None:
    async def go() -> None:
        await test(make_context())

    asyncio.run(go())


@asynccontextmanager
async def _running(
    factory: SinkFactory, context: Context, run: RunInfo | None = None, *, finish: bool = True
) -> AsyncIterator[Sink[Any]]:
    """A run with a sink, as the engine goes about it."""
    sink = factory()
    async with sink:
        await sink.begin(run or make_run())
        yield sink
        if finish:
            await sink.finish(context)


async def _cancel(task: asyncio.Future[Any]) -> None:
    """Cancels and waits; raises what it failed with, if it failed."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _delivered(
    sink: Sink[Any], bundles: Sequence[Bundle], context: Context
) -> dict[str | None, WriteOutcome]:
    """Writes a batch as the engine does: where it fails as a whole, one by one."""
    try:
        outcomes = await sink.write(bundles, context)
    except (ThreadError, RetryableError) as error:
        if len(bundles) > 1:
            each = [await _delivered(sink, [bundle], context) for bundle in bundles]
            return {thread_id: outcome for part in each for thread_id, outcome in part.items()}
        outcomes = [WriteOutcome(thread_id=bundles[0].thread_id, error=str(error))]
    return {outcome.thread_id: outcome for outcome in outcomes}


async def _write(
    sink: Sink[Any], bundles: Sequence[Bundle], context: Context
) -> Sequence[WriteOutcome]:
    """One call of `write`: an outcome for each bundle, in order."""
    outcomes = await sink.write(bundles, context)
    assert [outcome.thread_id for outcome in outcomes] == [bundle.thread_id for bundle in bundles]
    for outcome in outcomes:
        assert outcome.error != "", "an outcome's error says nothing"
    for bundle in bundles:
        bundle.close()
    return outcomes


async def _contents_or_none(read_back: ReadBack, context: Context) -> dict[str, int]:
    """How many records each thread in the target has; nothing where it cannot be opened."""
    try:
        contents = await read_target(read_back, context)
    except LgxError:
        return {}
    assert contents.faults == []
    return {thread_id: len(records) for thread_id, records in contents.threads.items()}


def _id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-00000000000a"


def _thread(records: Sequence[Record]) -> str:
    thread_id: str = getattr(records[0], "thread_id")  # noqa: B009 -- not every kind has one
    return thread_id


def _ref(records: Sequence[Record]) -> ThreadRef:
    return ThreadRef(thread_id=_thread(records), version="1")


def _said(marks: Mapping[str, Mark]) -> dict[str, tuple[str, int]]:
    return {thread_id: (mark.version, mark.checkpoints) for thread_id, mark in marks.items()}
