"""A thread stands whole or not at all, whatever ends its run."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from lgx.context import Context
from lgx.errors import LgxError
from lgx.testing.conformance.bundles import BrokenBundle, make_bundle
from lgx.testing.conformance.reading import ReadBack, order_faults, read_target
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import chain
from lgx.testing.conformance.sinks.engine import SinkFactory, delivered, record_counts, running
from lgx.testing.conformance.sinks.ids import id_of, nth_id, ref_of, said
from lgx.testing.conformance.sinks.kit import SinkKit
from lgx.threads import ThreadRef

__all__ = ["Atomicity"]


class Atomicity(SinkKit):
    """Runs that are aborted, threads that break off, records that are none."""

    def test_an_aborted_run_leaves_nothing_broken(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A run that ends without `finish`: what was written stands with its mark where marks
        are kept; otherwise the target is what it was before, or is not there."""

        async def test(context: Context) -> None:
            first, second = chain(nth_id(0), 2), chain(nth_id(1), 3)
            await self._aborted(sink_factory, [first], context)
            stands = {} if self.keeps_no_marks else {nth_id(0): 3}
            assert await record_counts(read_back, context) == stands
            async with running(sink_factory, context) as sink:
                await self._store(sink, [first], context)
            await self._aborted(sink_factory, [second], context)
            wanted = [first] if self.keeps_no_marks else [first, second]
            self._compare(await read_target(read_back, context), wanted)
            async with running(sink_factory, context) as sink:
                marks = await sink.held([ref_of(first), ref_of(second)])
                await self._store(sink, [first, second], context)
            assert set(marks) == (set() if self.keeps_no_marks else {nth_id(0), nth_id(1)})
            self._compare(await read_target(read_back, context), [first, second])

        run_test(test)

    def test_nothing_shows_before_the_end_without_marks(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A document that is written as a whole appears when the run finishes, not before."""
        if not self.keeps_no_marks:
            return

        async def test(context: Context) -> None:
            records = chain(nth_id(0), 2)
            async with running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
                assert await record_counts(read_back, context) == {}
            self._compare(await read_target(read_back, context), [records])

        run_test(test)

    def test_a_thread_that_breaks_off_leaves_the_old_copy(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """When a bundle cannot be read to its end, nothing of it stands in the target: the
        old copy does, with its mark; a thread that was not there is not there."""

        async def test(context: Context) -> None:
            old, other = chain(nth_id(0), 3), chain(nth_id(9), 2)
            async with running(sink_factory, context) as sink:
                await self._store(sink, [old], context)
            stands = [old]
            for records in (chain(nth_id(0), 5), chain(nth_id(1), 4)):
                whole = make_bundle(context, records, version="2")
                broken = BrokenBundle(whole.spool, ref=whole.ref, mark=whole.mark)
                try:
                    # An error of lgx's ends the run here, as it ends the engine's.
                    async with running(sink_factory, context) as sink:
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
            async with running(sink_factory, context, finish=False) as sink:
                marks = await sink.held([ref_of(old), ThreadRef(thread_id=nth_id(1), version="2")])
            assert said(marks) == ({} if self.keeps_no_marks else {nth_id(0): ("1", 3)})

        run_test(test)

    def test_a_record_that_is_not_json_costs_its_thread_alone(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A bundle with a line that no decoder takes is refused, or kept as it is; the threads
        before and after it arrive, and the target stays readable."""

        async def test(context: Context) -> None:
            before, odd, after = (chain(nth_id(number), 4) for number in range(3))
            odd[2] = msgspec.structs.replace(odd[2], values=Raw(b'{"n": nothing}'))
            async with running(sink_factory, context) as sink:
                bundles = [make_bundle(context, records) for records in (before, odd, after)]
                outcomes = await delivered(sink, bundles, context)
                for bundle in bundles:
                    bundle.close()
            assert [outcomes[id_of(records)].error for records in (before, after)] == [None, None]
            contents = await read_target(read_back, context)
            assert set(contents.threads) - {id_of(odd)} == {id_of(before), id_of(after)}
            for records in (before, after):
                came = contents.threads[id_of(records)]
                assert self._differences(came, records) == []
                assert order_faults(came) == []

        run_test(test)
