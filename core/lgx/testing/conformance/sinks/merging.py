"""Threads of several sources in one target."""

from __future__ import annotations

import pytest

from lgx.context import Context
from lgx.errors import UsageError
from lgx.testing.conformance.bundles import make_run
from lgx.testing.conformance.reading import ReadBack, read_target, same_records
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import chain
from lgx.testing.conformance.sinks.engine import SinkFactory, running
from lgx.testing.conformance.sinks.ids import nth_id, ref_of, said
from lgx.testing.conformance.sinks.kit import SinkKit

__all__ = ["Merging"]


class Merging(SinkKit):
    """A second source is refused, or with merge kept apart."""

    def test_another_source_is_refused_without_merge(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A run from elsewhere into a target with threads ends before it has begun."""
        if self.merges_not:
            return

        async def test(context: Context) -> None:
            records = chain(nth_id(0), 2)
            async with running(sink_factory, context) as sink:
                await self._store(sink, [records], context)
            with pytest.raises(UsageError, match="merge"):
                async with running(sink_factory, context, make_run(source="kit://second")):
                    pass
            self._compare(await read_target(read_back, context), [records])

        run_test(test)

    def test_merged_sources_are_kept_apart(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """With merge, two sources' threads stand side by side, also under the same id; each
        run holds and forgets only its own."""
        if self.merges_not:
            return

        async def test(context: Context) -> None:
            second_run = make_run(source="kit://second", merge=True)
            mine, shared = chain(nth_id(0), 2), chain(nth_id(1), 2)
            theirs, same_id = chain(nth_id(2), 3), chain(nth_id(1), 4)
            refs = [ref_of(item) for item in (mine, shared, theirs)]
            async with running(sink_factory, context) as sink:
                await self._store(sink, [mine, shared], context)
            async with running(sink_factory, context, second_run) as sink:
                assert dict(await sink.held(refs)) == {}
                await self._store(sink, [theirs, same_id], context, version="2")
                assert said(await sink.held(refs)) == {nth_id(1): ("2", 4), nth_id(2): ("2", 3)}
                await sink.forget([nth_id(0)])
            async with running(sink_factory, context, make_run(merge=True)) as sink:
                assert said(await sink.held(refs)) == {nth_id(0): ("1", 2), nth_id(1): ("1", 2)}
            every = [record for part in (mine, shared, theirs, same_id) for record in part]
            contents = await read_target(read_back, context)
            came = [record for records in contents.threads.values() for record in records]
            assert same_records(came, every) == []

        run_test(test)
