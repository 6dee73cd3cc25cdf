"""Cancelled calls: over when they return, with nothing left at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lgx.context import Context
from lgx.contracts import Sink
from lgx.testing.conformance.bundles import GatedBundle, make_bundle, make_run
from lgx.testing.conformance.reading import ReadBack, read_target
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import chain
from lgx.testing.conformance.sinks.engine import SinkFactory, cancel, record_counts, running
from lgx.testing.conformance.sinks.ids import nth_id
from lgx.testing.conformance.sinks.kit import SinkKit
from lgx.testing.contexts import make_context

__all__ = ["Cancellation"]


class Cancellation(SinkKit):
    """`begin` and `write` are cancelled at many points."""

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
                    task = asyncio.ensure_future(sink.begin(make_run(), make_context()))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    await cancel(task)
                await _is_at_rest(target_state)

            run_test(cancelled)
            if self.keeps_no_marks:
                assert target_state() == before

        async def test(context: Context) -> None:
            records = chain(nth_id(0), 2)
            async with running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
            self._compare(await read_target(read_back, context), [records])

        run_test(test)

    def test_a_cancelled_write_is_over_when_it_returns(
        self,
        sink_factory: SinkFactory,
        read_back: ReadBack,
        target_state: Callable[[], object],
    ) -> None:
        """However often it is cancelled: no thread reads the bundle any more, which the engine
        then closes; the thread stands whole or not at all, and the next run can write it."""
        before = target_state()
        records = chain(nth_id(0), 4)

        async def cancelled(context: Context) -> None:
            plain = make_bundle(context, records)
            bundle = GatedBundle(plain.spool, ref=plain.ref, mark=plain.mark)
            async with running(sink_factory, context, finish=False) as sink:
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
            await _is_at_rest(target_state)

        run_test(cancelled)
        if self.keeps_no_marks:
            assert target_state() == before

        async def test(context: Context) -> None:
            assert await record_counts(read_back, context) in ({}, {nth_id(0): len(records)})
            async with running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
            self._compare(await read_target(read_back, context), [records])

        run_test(test)


async def _is_at_rest(target_state: Callable[[], object]) -> None:
    """Nothing changes when all worker threads have ended; the last thing in an event loop."""
    state = target_state()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert target_state() == state
