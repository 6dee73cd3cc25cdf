"""The deployment's own records: assistants, crons, items of the store."""

from __future__ import annotations

import pytest

from lgx.context import Context
from lgx.records import ANY_KIND, EXTRA_KINDS, Record
from lgx.testing.conformance.bundles import extras_bundle
from lgx.testing.conformance.reading import Contents, ReadBack, read_target, same_records
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import chain, sample_extras
from lgx.testing.conformance.sinks.engine import SinkFactory, running
from lgx.testing.conformance.sinks.ids import nth_id
from lgx.testing.conformance.sinks.kit import SinkKit

__all__ = ["Extras"]


class Extras(SinkKit):
    """A kind is replaced as a whole, or added to where it is partial."""

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
            records, threads = sample_extras(kind), [chain(nth_id(0), 2)]

            async def go(*writes: tuple[list[Record], bool]) -> Contents:
                async with running(sink_factory, context) as sink:
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

        run_test(test)
