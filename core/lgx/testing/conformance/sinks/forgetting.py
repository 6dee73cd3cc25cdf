"""Threads that a target is to forget."""

from __future__ import annotations

from lgx.context import Context
from lgx.testing.conformance.reading import ReadBack, read_target
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import chain
from lgx.testing.conformance.sinks.engine import SinkFactory, running
from lgx.testing.conformance.sinks.ids import nth_id, ref_of
from lgx.testing.conformance.sinks.kit import SinkKit

__all__ = ["Forgetting"]


class Forgetting(SinkKit):
    """What is forgotten is gone, and nothing else is."""

    def test_forgotten_threads_are_gone_with_their_marks(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """Others stay; ids that are not there are ignored; the thread may come again."""
        if self.keeps_no_marks:
            return  # nothing stands there that the run itself has not written

        async def test(context: Context) -> None:
            gone, stays = chain(nth_id(0), 3), chain(nth_id(1), 2)
            refs = [ref_of(gone), ref_of(stays)]
            async with running(sink_factory, context) as sink:
                await self._store(sink, [gone, stays], context)
            async with running(sink_factory, context) as sink:
                await sink.forget([nth_id(0), nth_id(77), "no such thread"])
                assert set(await sink.held(refs)) == {nth_id(1)}
                await sink.forget([])
            async with running(sink_factory, context) as sink:
                assert set(await sink.held(refs)) == {nth_id(1)}
            self._compare(await read_target(read_back, context), [stays])
            async with running(sink_factory, context) as sink:
                await self._store(sink, [gone], context)
                assert set(await sink.held(refs)) == {nth_id(0), nth_id(1)}
            self._compare(await read_target(read_back, context), [gone, stays])

        run_test(test)
