"""Marks: what a target says that it holds whole."""

from __future__ import annotations

from lgx.context import Context
from lgx.testing.conformance.reading import ReadBack, read_target
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import chain, sample_threads
from lgx.testing.conformance.sinks.engine import SinkFactory, running
from lgx.testing.conformance.sinks.ids import id_of, nth_id, ref_of, said
from lgx.testing.conformance.sinks.kit import SinkKit
from lgx.threads import ThreadRef

__all__ = ["Marks"]


class Marks(SinkKit):
    """`held` answers by what was written, in this run and in earlier ones."""

    def test_whole_threads_are_held_and_no_others(self, sink_factory: SinkFactory) -> None:
        """`held` gives the marks that were written, for the threads that it is asked about;
        nothing for unknown ids, nothing before anything was written."""

        async def test(context: Context) -> None:
            first, second, third = (chain(nth_id(number), number + 1) for number in range(3))
            unknown = ThreadRef(thread_id=nth_id(99), version="1")
            async with running(sink_factory, context) as sink:
                assert dict(await sink.held([ref_of(first), unknown])) == {}
                assert dict(await sink.held([])) == {}
                await self._store(sink, [first, second, third], context, version="v-7 🎈")
                marks = await sink.held([ref_of(first), unknown, ref_of(third)])
            if self.keeps_no_marks:
                assert dict(marks) == {}
            else:
                assert said(marks) == {
                    id_of(first): ("v-7 🎈", 1),
                    id_of(third): ("v-7 🎈", 3),
                }
                assert {mark.fingerprint for mark in marks.values()} == {"f" * 64}

        run_test(test)

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
            async with running(sink_factory, context) as sink:
                await self._store(sink, kept, context)
            async with running(sink_factory, context, finish=False) as sink:
                marks = await sink.held([ref_of(records) for records in hard])
            wanted = {} if self.keeps_no_marks else {id_of(item): ("1", 2) for item in kept}
            assert said(marks) == wanted
            self._compare(await read_target(read_back, context), kept)

        run_test(test)

    def test_held_answers_for_thousands_of_threads(self, sink_factory: SinkFactory) -> None:
        """The engine asks about a whole page of a list at once."""

        async def test(context: Context) -> None:
            records = chain(nth_id(0), 1)
            async with running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
                marks = await sink.held(
                    [ThreadRef(thread_id=nth_id(number), version="1") for number in range(5000)]
                )
            assert set(marks) == (set() if self.keeps_no_marks else {nth_id(0)})

        run_test(test)

    def test_a_partial_thread_is_stored_and_not_marked(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """It is there to be read, `held` does not know it, and it takes an older mark away."""

        async def test(context: Context) -> None:
            whole, was_whole = chain(nth_id(0), 2), chain(nth_id(1), 3)
            partial, fresh = chain(nth_id(1), 2), chain(nth_id(2), 1)
            async with running(sink_factory, context) as sink:
                await self._store(sink, [whole, was_whole], context)
            async with running(sink_factory, context) as sink:
                if self.keeps_no_marks:
                    await self._store(sink, [whole], context)
                await self._store(sink, [partial, fresh], context, partial=True)
            async with running(sink_factory, context, finish=not self.keeps_no_marks) as sink:
                marks = await sink.held([ref_of(item) for item in (whole, partial, fresh)])
            self._compare(await read_target(read_back, context), [whole, partial, fresh])
            assert set(marks) == (set() if self.keeps_no_marks else {nth_id(0)})

        run_test(test)
