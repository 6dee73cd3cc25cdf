"""The list of threads."""

from __future__ import annotations

from lgx.context import Context
from lgx.contracts import Source
from lgx.query import Query
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.sources.kit import Expected, SourceFactory, SourceKit, read_source

__all__ = ["Listing"]


class Listing(SourceKit):
    """Every thread is listed, in the order that is claimed."""

    def test_each_thread_is_listed_once(
        self, source_factory: SourceFactory, expected: Expected
    ) -> None:
        """All of them, none twice, each with a version."""

        async def test(context: Context) -> None:
            refs = (await read_source(source_factory, Query(), context)).refs
            assert sorted(ref.thread_id for ref in refs) == sorted(expected)
            assert all(ref.version for ref in refs), "a thread came without a version"

        run_test(test)

    def test_the_list_is_in_the_order_that_is_claimed(self, source_factory: SourceFactory) -> None:
        """`ordered` means: by the UTF-8 bytes of the ids."""

        async def test(context: Context) -> None:
            source = source_factory()
            if not (isinstance(source, Source) and source.ordered):
                return
            ids = [
                ref.thread_id for ref in (await read_source(source_factory, Query(), context)).refs
            ]
            assert ids == sorted(ids, key=lambda thread_id: thread_id.encode())

        run_test(test)
