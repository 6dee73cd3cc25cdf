"""Sources that are wrong on purpose, each with its kit; run by `test_kits.py`.

Not collected by itself: its tests are there to fail. `fails` names the tests of the kit
that are to find the fault; no others do.
"""

# ruff: noqa: N801 -- the classes `sink` and `source` stand for attributes

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from lgx import (
    EXTRA_KINDS,
    Context,
    Coverage,
    Fact,
    Loss,
    Probe,
    Query,
    Record,
    ThreadEnd,
    ThreadError,
    ThreadRef,
    decode_line,
    encode_line,
)
from lgx.testing import SourceConformance, sample_extras
from lgx.testing.conformance.samples import checkpoint, thread
from lgx.testing.memory import (
    MemoryConfig,
    MemorySource,
    MemoryStream,
    MemoryTarget,
    StoredThread,
)

Lines = list[bytes]


class SourceCase(SourceConformance):
    """A source that is wrong, over a handful of threads."""

    source: ClassVar[type[MemorySource] | type[MemoryStream]]
    fails: ClassVar[tuple[str, ...]]

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        given: dict[str, Sequence[Record]] = {}
        for number, status in enumerate(("idle", "busy", "interrupted", "error", "idle")):
            thread_id = f"{number}-🎈"
            head = thread(
                thread_id,
                status=status,
                updated_at=f"2026-02-0{number + 1}T00:00:00+00:00",
                metadata=encode_line_of(number),
            )
            states = [
                checkpoint(thread_id, 0),
                checkpoint(thread_id, 1, parent=0),
                checkpoint(thread_id, 2, parent=1),
                checkpoint(thread_id, 0, namespace="child:1"),
            ]
            given[thread_id] = [head, *states]
        return given

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]]:
        return {kind: sample_extras(kind) for kind in EXTRA_KINDS}

    @pytest.fixture
    def target(
        self,
        expected: Mapping[str, Sequence[Record]],
        expected_extras: Mapping[str, Sequence[Record]],
    ) -> MemoryTarget:
        return MemoryTarget.filled(expected.values(), expected_extras)

    @pytest.fixture
    def source_factory(self, target: MemoryTarget) -> Callable[[], MemorySource | MemoryStream]:
        return lambda: self.source(MemoryConfig(target=target))

    @pytest.fixture
    def change(self, target: MemoryTarget) -> Callable[[], str]:
        def change() -> str:
            stored = target.threads["memory://given", "2-🎈"]
            stored.lines.append(encode_line(checkpoint("2-🎈", 9, parent=2)))
            return "2-🎈"

        return change


def encode_line_of(number: int) -> Any:
    from lgx import raw

    return raw({"graph_id": "agent", "number": number, "user": {"name": "Zoë"}})


READS = (
    "test_threads_arrive_whole",
    "test_reads_may_run_at_once",
    "test_a_filter_admits_what_it_should",
)
ENDS = (
    "test_records_come_together_and_in_order",
    "test_reads_may_run_at_once",
)


class Editing(MemorySource):
    """Gives something else than it holds."""

    def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
        raise NotImplementedError

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        items = [item async for item in super().read(refs, context)]
        while items:
            end = next(at for at, item in enumerate(items) if isinstance(item, ThreadEnd))
            part, items = items[: end + 1], items[end + 1 :]
            for item in self.edited(part) if len(part) > 1 else part:
                yield item


class TestReadsAllButTheLastRecord(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[:-2], items[-1]]

    fails = READS


class TestReadsARecordTwice(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[:-1], *items[-2:]]

    fails = READS


class TestReadsNewestFirst(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [items[0], *items[-2:0:-1], items[-1]]

    fails = ENDS


class TestReadsTheThreadLast(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[1:-1], items[0], items[-1]]

    fails = ENDS


class TestOmitsTheEnd(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return items[:-1]

    fails = (*ENDS, "test_each_thread_ends_once_with_its_outcome")


class TestEndsTwice(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items, items[-1]]

    fails = ENDS


class TestEndsTooEarly(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[:-2], items[-1], items[-2]]

    fails = ENDS


class TestMixesThreads(SourceCase):
    class source(MemorySource):
        """Gives the records of several threads in turn."""

        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            every = [
                [item async for item in super(type(self), self).read([ref], context)]
                for ref in refs
            ]
            for row in itertools.zip_longest(*every):
                for item in row:
                    if item is not None:
                        yield item

    fails = ENDS


class TestReadsOthersToo(SourceCase):
    class source(MemorySource):
        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            more = [ThreadRef(thread_id="0-🎈", version="1")]
            if any(ref.thread_id == "0-🎈" for ref in refs):
                more = []
            async for item in super().read([*refs, *more], context):
                yield item

    fails = (
        *ENDS,
        "test_threads_arrive_whole",
        "test_a_filter_admits_what_it_should",
        "test_a_thread_that_has_gone_ends_as_deleted",
    )


class TestSaysPartialWithoutALoss(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[:-1], ThreadEnd(thread_id=items[-1].thread_id, outcome="partial")]  # type: ignore[union-attr]

    fails = ("test_each_thread_ends_once_with_its_outcome",)


class TestSaysCompleteWithALoss(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            end = items[-1]
            assert isinstance(end, ThreadEnd)
            lost = (Loss(what="checkpoint 1", why="it is gone", thread_id=end.thread_id),)
            return [
                *items[:-1],
                ThreadEnd(thread_id=end.thread_id, outcome="complete", losses=lost),
            ]

    fails = ("test_each_thread_ends_once_with_its_outcome",)


class TestManglesNumbers(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [
                item
                if isinstance(item, ThreadEnd)
                else decode_line(encode_line(item).replace(b'"step":2', b'"step":2.5'))
                for item in items
            ]

    fails = READS


class TestDropsAThread(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            refs = [ref async for ref in super().list(query, context)]
            for ref in refs[:-1]:
                yield ref

    fails = (
        *READS,
        "test_each_thread_is_listed_once",
        "test_each_thread_ends_once_with_its_outcome",
        "test_a_limit_gives_enough",
    )


class TestListsAThreadTwice(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            last = None
            async for last in super().list(query, context):
                yield last
            if last is not None:
                yield last

    fails = (
        "test_threads_arrive_whole",
        "test_records_come_together_and_in_order",
        "test_reads_may_run_at_once",
        "test_each_thread_is_listed_once",
        "test_a_filter_admits_what_it_should",
        "test_a_limit_gives_enough",
    )


class TestClaimsAnOrder(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            for ref in [ref async for ref in super().list(query, context)][::-1]:
                yield ref

    fails = ("test_the_list_is_in_the_order_that_is_claimed",)


class TestIgnoresFilters(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            async for ref in super().list(Query(), context):
                yield ref

    fails = (
        "test_a_filter_admits_what_it_should",
        "test_a_filter_that_nothing_passes_gives_nothing",
    )


class TestIgnoresTheStatus(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            from msgspec.structs import replace

            async for ref in super().list(replace(query, status=None), context):
                yield ref

    fails = (
        "test_a_filter_admits_what_it_should[status]",
        "test_a_filter_admits_what_it_should[all at once]",
    )


class TestTakesUntilAsInclusive(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            from msgspec.structs import replace

            until = query.until.replace("T00:00:00", "T00:00:01") if query.until else None
            async for ref in super().list(replace(query, until=until), context):
                yield ref

    fails = (
        "test_a_filter_admits_what_it_should[until]",
        "test_a_filter_admits_what_it_should[window]",
    )


class TestTakesNoIdsForAll(SourceCase):
    class source(MemorySource):
        """Drops unknown ids from the filter, and an empty filter admits everything."""

        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            from msgspec.structs import replace

            known = tuple(item for item in query.thread_ids if self.stored(item))
            async for ref in super().list(replace(query, thread_ids=known), context):
                yield ref

    fails = ("test_a_filter_that_nothing_passes_gives_nothing",)


class TestStopsTooEarly(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            refs = [ref async for ref in super().list(query, context)]
            for ref in refs[: None if query.limit is None else query.limit - 1]:
                yield ref

    fails = ("test_a_limit_gives_enough",)


class TestHasOneVersionForAll(SourceCase):
    class source(MemorySource):
        def version(self, thread: StoredThread) -> str:
            return "1"

    fails = ("test_a_change_changes_the_version",)


class TestTakesTheCountForAVersion(SourceCase):
    class source(MemorySource):
        def version(self, thread: StoredThread) -> str:
            return str(len(self.config.target.threads) + sum(map(len, self.all_lines())))

        def all_lines(self) -> list[Lines]:
            return [item.lines for item in self.config.target.threads.values()]

    fails = ("test_a_change_changes_the_version",)


class TestHasNoVersion(SourceCase):
    class source(MemorySource):
        def version(self, thread: StoredThread) -> str:
            return ""

    fails = ("test_each_thread_is_listed_once", "test_a_change_changes_the_version")


class TestHasUnstableVersions(SourceCase):
    class source(MemorySource):
        def version(self, thread: StoredThread) -> str:
            return str(id(self)) + super().version(thread)

        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            # Kept, so that no other source gets the same number.
            KEPT.append(self)
            async for ref in super().list(query, context):
                yield ref

    fails = ("test_versions_stay_while_nothing_changes", "test_a_change_changes_the_version")


KEPT: list[object] = []


class TestOffersTooLittle(SourceCase):
    class source(MemorySource):
        offers = frozenset({"thread", *EXTRA_KINDS})

    fails = ("test_offers_covers_what_comes",)


class TestOffersNoExtras(SourceCase):
    class source(MemorySource):
        offers = frozenset({"thread", "checkpoint"})

    fails = ("test_extras_arrive_whole",)


class TestConfusesExtras(SourceCase):
    class source(MemorySource):
        async def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
            async for record in super().extras("cron", query, context):
                yield record

    fails = ("test_extras_arrive_whole",)


class TestHasNoIdentity(SourceCase):
    class source(MemorySource):
        async def identity(self) -> str:
            return ""

    fails = ("test_the_identity_stays",)


class TestHasANewIdentityEachTime(SourceCase):
    class source(MemorySource):
        async def identity(self) -> str:
            KEPT.append(self)
            return str(id(self))

    fails = ("test_the_identity_stays",)


class TestProbesNothing(SourceCase):
    class source(MemorySource):
        async def probe(self, context: Context) -> Probe:
            return Probe()

    fails = ("test_a_probe_tells_facts",)


class TestProbesAnError(SourceCase):
    class source(MemorySource):
        async def probe(self, context: Context) -> Probe:
            return Probe(facts=(Fact(name="storage", value="none", level="error"),))

    fails = ("test_a_probe_tells_facts",)


class TestHasRoomForNoCheckpoints(SourceCase):
    class source(MemorySource):
        async def coverage(self) -> Coverage:
            return Coverage(kinds=frozenset({"thread", *EXTRA_KINDS}))

    fails = ("test_coverage_covers_what_comes",)


class TestHasRoomForNoNamespaces(SourceCase):
    class source(MemorySource):
        async def coverage(self) -> Coverage:
            return Coverage(namespaces=False)

    fails = ("test_coverage_covers_what_comes",)


class TestHasRoomForFewFields(SourceCase):
    class source(MemorySource):
        async def coverage(self) -> Coverage:
            return Coverage(fields={"checkpoint": frozenset({"values"})})

    fails = ("test_coverage_covers_what_comes",)


class TestFindsDamageInWhatIsWhole(SourceCase):
    class source(MemorySource):
        async def check(self, context: Context) -> Probe:
            return Probe(facts=(Fact(name="part", value="is damaged", level="error"),))

    fails = ("test_what_is_whole_passes_its_own_check",)


class TestRaisesForAThreadThatHasGone(SourceCase):
    class source(MemorySource):
        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            for ref in refs:
                if self.stored(ref.thread_id) is None:
                    raise ThreadError(f"thread {ref.thread_id!r} is gone")
            async for item in super().read(refs, context):
                yield item

    fails = ("test_a_thread_that_has_gone_ends_as_deleted",)


class TestTakesGoneForEmpty(SourceCase):
    class source(MemorySource):
        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            async for item in super().read(refs, context):
                if isinstance(item, ThreadEnd):
                    item = ThreadEnd(thread_id=item.thread_id, outcome="complete")
                yield item

    fails = ("test_a_thread_that_has_gone_ends_as_deleted",)


class TestSharesACursor(SourceCase):
    class source(MemorySource):
        """Two reads at once get in each other's way."""

        current: Sequence[ThreadRef] = ()

        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            self.current = refs
            await asyncio.sleep(0)
            async for item in super().read(self.current, context):
                yield item

    fails = ("test_reads_may_run_at_once",)


class TestStreamsExtrasUnasked(SourceCase):
    class source(MemoryStream):
        async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
            from msgspec.structs import replace

            async for item in super().scan(replace(query, extras=True), context):
                yield item

    fails = ("test_extras_stay_away_where_unwanted",)


class TestStreamsWithoutVersions(SourceCase):
    class source(MemoryStream):
        async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
            async for item in super().scan(query, context):
                if isinstance(item, ThreadEnd):
                    item = ThreadEnd(thread_id=item.thread_id, outcome="complete")
                yield item

    fails = ("test_each_thread_is_listed_once", "test_a_change_changes_the_version")


class TestStreamsWithoutTheLastEnd(SourceCase):
    class source(MemoryStream):
        async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
            items = [item async for item in super().scan(query, context)]
            for item in items[:-1]:
                yield item

    fails = (
        "test_records_come_together_and_in_order",
        "test_each_thread_ends_once_with_its_outcome",
        "test_each_thread_is_listed_once",
        "test_a_filter_admits_what_it_should",
        "test_a_limit_gives_enough",
    )


class TestSaysNothingAboutChanges(SourceCase):
    """Neither a way to change the data nor a reason why it cannot change."""

    source = MemorySource
    fails = ("test_a_change_changes_the_version",)

    @pytest.fixture
    def change(self) -> None:
        return None
