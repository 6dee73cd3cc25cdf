"""Whatever is written arrives whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from msgspec import Raw

from lgx.context import Context
from lgx.records import ANY_KIND, Record
from lgx.testing.conformance.bundles import make_bundle
from lgx.testing.conformance.reading import ReadBack, read_target, same_records
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import chain, sample_threads
from lgx.testing.conformance.sinks.engine import SinkFactory, running, write_all
from lgx.testing.conformance.sinks.ids import nth_id
from lgx.testing.conformance.sinks.kit import SinkKit
from lgx.testing.contexts import make_context

__all__ = ["Arrival"]

_SAMPLE_NAMES = tuple(sample_threads(ANY_KIND))


class Arrival(SinkKit):
    """Threads of every sort, small and large, in batches and at once."""

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
            async with running(sink_factory, context) as sink:
                bundles = [make_bundle(context, records) for records in written.values()]
                outcomes = await write_all(sink, bundles, context)
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

        run_test(test)

    def test_many_threads_arrive_in_several_batches(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """Sixty threads in batches of one, two and many: all there, none twice, none else."""

        async def test(context: Context) -> None:
            threads = [chain(nth_id(number), 1 + number % 4) for number in range(60)]
            async with running(sink_factory, context) as sink:
                for part in (threads[:1], threads[1:3], threads[3:]):
                    await self._store(sink, part, context)
            self._compare(await read_target(read_back, context), threads)

        run_test(test)

    def test_a_bundle_that_lies_on_disk_arrives(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A thread larger than the memory for it, in the spool's file, comes whole."""

        async def test(context: Context) -> None:
            records = chain(nth_id(0), 40, bulk=Raw(b'{"text":"' + b"0123456789" * 5000 + b'"}'))
            small = make_context(memory=1 << 20)
            bundle = make_bundle(small, records)
            assert small.budget.used == 0, "the spool of this test has not gone to disk"
            async with running(sink_factory, context) as sink:
                await self._accepted(sink, [bundle], context)
            self._compare(await read_target(read_back, context), [records])

        run_test(test)

    def test_writers_may_work_at_once(self, sink_factory: SinkFactory, read_back: ReadBack) -> None:
        """As many calls of `write` as `max_writers` allows, all at once, lose nothing."""

        async def test(context: Context) -> None:
            threads = [chain(nth_id(number), 3) for number in range(48)]
            async with running(sink_factory, context) as sink:
                gate = asyncio.Semaphore(sink.max_writers)

                async def writer(part: Sequence[Sequence[Record]]) -> None:
                    async with gate:
                        await self._store(sink, part, context)

                await asyncio.gather(
                    *(writer(threads[start : start + 6]) for start in range(0, 48, 6))
                )
            self._compare(await read_target(read_back, context), threads)

        run_test(test)

    def test_bundles_stay_the_engines(self, sink_factory: SinkFactory) -> None:
        """A bundle can be read again after it was written: the engine closes it, not the sink."""

        async def test(context: Context) -> None:
            records = chain(nth_id(0), 3)
            bundle = make_bundle(context, records)
            async with running(sink_factory, context) as sink:
                (outcome,) = await sink.write([bundle], context)
                assert outcome.error is None
                assert same_records(bundle, records) == []
                bundle.close()

        run_test(test)
