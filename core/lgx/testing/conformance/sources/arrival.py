"""Every thread arrives whole, in order, with its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lgx.context import Context
from lgx.contracts import Source
from lgx.query import Query
from lgx.records import Record
from lgx.testing.conformance.reading import Contents, list_all, read_refs, same_records
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.sources.kit import Expected, SourceFactory, SourceKit, read_source
from lgx.threads import ReadOutcome, ThreadRef

__all__ = ["Arrival"]


class Arrival(SourceKit):
    """What is read of threads."""

    def test_threads_arrive_whole(self, source_factory: SourceFactory, expected: Expected) -> None:
        """Every record of every thread, as it is, once; no other thread."""

        async def test(context: Context) -> None:
            contents = await read_source(source_factory, Query(), context)
            assert sorted(contents.threads) == sorted(expected)
            for thread_id, records in expected.items():
                came = contents.threads[thread_id]
                assert same_records(came, records, exact=self.exact_bytes) == []

        run_test(test)

    def test_records_come_together_and_in_order(self, source_factory: SourceFactory) -> None:
        """A thread's records stand together: the `thread`, its checkpoints, parents before
        children, its other records, its end; nothing comes after, nothing unasked."""

        async def test(context: Context) -> None:
            assert (await read_source(source_factory, Query(), context)).faults == []

        run_test(test)

    def test_each_thread_ends_once_with_its_outcome(
        self,
        source_factory: SourceFactory,
        expected: Expected,
        expected_outcomes: Mapping[str, ReadOutcome],
    ) -> None:
        """A `ThreadEnd` for each: complete without losses, or what the test's data calls for."""

        async def test(context: Context) -> None:
            ends = (await read_source(source_factory, Query(), context)).ends
            wanted = {
                thread_id: expected_outcomes.get(thread_id, "complete") for thread_id in expected
            }
            assert {thread_id: end.outcome for thread_id, end in ends.items()} == wanted
            for thread_id, end in ends.items():
                assert bool([loss for loss in end.losses if loss.holdable]) == (
                    end.outcome == "partial"
                ), f"the losses of {thread_id!r} do not fit its outcome {end.outcome}"

        run_test(test)

    def test_reads_may_run_at_once(self, source_factory: SourceFactory, expected: Expected) -> None:
        """Many calls of `read` at once bring what one after the other brings."""

        async def test(context: Context) -> None:
            async with source_factory() as source:
                if not isinstance(source, Source):
                    return
                refs = await list_all(source, Query(), context)
                parts = [
                    refs[start : start + source.refs_per_read]
                    for start in range(0, len(refs), source.refs_per_read)
                ]
                contents = [Contents() for _ in parts]
                await asyncio.gather(
                    *(
                        read_refs(source, part, context, content)
                        for part, content in zip(parts, contents, strict=True)
                    )
                )
            came: dict[str, list[Record]] = {}
            for content in contents:
                assert content.finish().faults == []
                came |= content.threads
            assert sorted(came) == sorted(expected)
            for thread_id, records in expected.items():
                assert same_records(came[thread_id], records, exact=self.exact_bytes) == []

        run_test(test)

    def test_a_thread_that_has_gone_ends_as_deleted(self, source_factory: SourceFactory) -> None:
        """A listed thread may be gone when it is read: its end says so, and nothing is raised."""

        async def test(context: Context) -> None:
            async with source_factory() as source:
                if not isinstance(source, Source):
                    return
                contents = Contents()
                gone = ThreadRef(thread_id=self.absent_id, version="1")
                await read_refs(source, [gone], context, contents)
                assert contents.ends[self.absent_id].outcome == "deleted"
                assert contents.threads == {}

        run_test(test)
