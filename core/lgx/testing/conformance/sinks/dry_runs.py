"""Looking without touching: dry runs, opening, probing."""

from __future__ import annotations

from collections.abc import Callable

from lgx.context import Context
from lgx.contracts import Sink
from lgx.errors import LgxError
from lgx.facts import Probe
from lgx.testing.conformance.bundles import make_run
from lgx.testing.conformance.reading import ReadBack, read_target
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import chain
from lgx.testing.conformance.sinks.engine import SinkFactory, record_counts, running
from lgx.testing.conformance.sinks.ids import nth_id, ref_of
from lgx.testing.conformance.sinks.kit import SinkKit

__all__ = ["DryRuns"]


class DryRuns(SinkKit):
    """What does not write changes nothing."""

    def test_a_dry_run_creates_nothing(
        self,
        sink_factory: SinkFactory,
        read_back: ReadBack,
        target_state: Callable[[], object],
    ) -> None:
        """Neither where there is no target, nor where there is one; `held` answers as ever."""

        async def test(context: Context) -> None:
            records = chain(nth_id(0), 2)
            dry = make_run(dry_run=True)
            before = target_state()
            async with running(sink_factory, context, dry, finish=False) as sink:
                assert dict(await sink.held([ref_of(records)])) == {}
            assert target_state() == before
            assert await record_counts(read_back, context) == {}
            async with running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
            before = target_state()
            async with running(sink_factory, context, dry, finish=False) as sink:
                marks = await sink.held([ref_of(records)])
            assert set(marks) == (set() if self.keeps_no_marks else {nth_id(0)})
            assert target_state() == before
            self._compare(await read_target(read_back, context), [records])

        run_test(test)

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
            assert await record_counts(read_back, context) == {}

        run_test(test)
