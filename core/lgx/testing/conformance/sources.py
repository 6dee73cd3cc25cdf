"""What every source is to do, as tests: subclass `SourceConformance` and say what it holds.

class TestParquetSource(SourceConformance):
    never_changes = "the file of this test is only read"

    @pytest.fixture
    def source_factory(self, filled):
        return lambda: ParquetSource(ParquetConfig(path=filled))

    @pytest.fixture
    def expected(self):
        return {"1": [Thread(thread_id="1"), Checkpoint(...)]}
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import pytest
from msgspec import Raw, UnsetType

from lgx.context import Context
from lgx.contracts import Source, SourceBase
from lgx.errors import ThreadError
from lgx.facts import Probe
from lgx.jsontext import split_object
from lgx.query import Query
from lgx.records import EXTRA_KINDS, Record, Thread
from lgx.testing.conformance.reading import Contents, list_all, read_all, read_refs, same_records
from lgx.testing.contexts import make_context
from lgx.threads import ReadOutcome, ThreadRef

__all__ = ["SourceConformance"]

SourceFactory = Callable[[], SourceBase[Any]]
Expected = Mapping[str, Sequence[Record]]


class SourceConformance:
    """Tests of one source over data that the subclass knows.

    Two fixtures are mandatory, `source_factory` and `expected`; `change` too, unless the
    class says why nothing changes. What a source cannot do is declared by the attributes
    below, each with the reason; an empty reason means that it can.

    The data should have three threads or more, with different ids, times, statuses and
    metadata: the filters are tried on what it has. The tests are plain functions that run their
    own event loop: no plugin of pytest is needed.
    """

    never_changes: ClassVar[str] = ""
    """Why there is no fixture `change`: what the source reads cannot be changed by a test."""

    exact_bytes: ClassVar[bool] = False
    """Whether records are the expected ones byte by byte, not only with equal values."""

    absent_id: ClassVar[str] = "11111111-1111-4111-8111-111111111111"
    """An id in the form that the source's ids have, of no thread in it."""

    # -- fixtures ------------------------------------------------------------------------

    @pytest.fixture
    def source_factory(self) -> SourceFactory:
        """Makes a new source, not opened; each time on the same data."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `source_factory`")

    @pytest.fixture
    def expected(self) -> Expected:
        """The records of each thread, by thread id; of partial ones, those that can be read."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `expected`")

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]] | None:
        """The deployment's own records by kind; None: they are not compared."""
        return None

    @pytest.fixture
    def expected_outcomes(self) -> Mapping[str, ReadOutcome]:
        """The outcomes of threads that do not end as complete, by thread id."""
        return {}

    @pytest.fixture
    def change(self) -> Callable[[], Any] | None:
        """A function, plain or async, that changes one thread and returns its id."""
        return None

    # -- the whole -------------------------------------------------------------------------

    def test_threads_arrive_whole(self, source_factory: SourceFactory, expected: Expected) -> None:
        """Every record of every thread, as it is, once; no other thread."""

        async def test(context: Context) -> None:
            contents = await _read(source_factory, Query(), context)
            assert sorted(contents.threads) == sorted(expected)
            for thread_id, records in expected.items():
                came = contents.threads[thread_id]
                assert same_records(came, records, exact=self.exact_bytes) == []

        _run(test)

    def test_records_come_together_and_in_order(self, source_factory: SourceFactory) -> None:
        """A thread's records stand together: the `thread`, its checkpoints, parents before
        children, its other records, its end; nothing comes after, nothing unasked."""

        async def test(context: Context) -> None:
            assert (await _read(source_factory, Query(), context)).faults == []

        _run(test)

    def test_each_thread_ends_once_with_its_outcome(
        self,
        source_factory: SourceFactory,
        expected: Expected,
        expected_outcomes: Mapping[str, ReadOutcome],
    ) -> None:
        """A `ThreadEnd` for each: complete without losses, or what the test's data calls for."""

        async def test(context: Context) -> None:
            ends = (await _read(source_factory, Query(), context)).ends
            wanted = {
                thread_id: expected_outcomes.get(thread_id, "complete") for thread_id in expected
            }
            assert {thread_id: end.outcome for thread_id, end in ends.items()} == wanted
            for thread_id, end in ends.items():
                assert bool([loss for loss in end.losses if loss.holdable]) == (
                    end.outcome == "partial"
                ), f"the losses of {thread_id!r} do not fit its outcome {end.outcome}"

        _run(test)

    def test_each_thread_is_listed_once(
        self, source_factory: SourceFactory, expected: Expected
    ) -> None:
        """All of them, none twice, each with a version."""

        async def test(context: Context) -> None:
            refs = (await _read(source_factory, Query(), context)).refs
            assert sorted(ref.thread_id for ref in refs) == sorted(expected)
            assert all(ref.version for ref in refs), "a thread came without a version"

        _run(test)

    def test_the_list_is_in_the_order_that_is_claimed(self, source_factory: SourceFactory) -> None:
        """`ordered` means: by the UTF-8 bytes of the ids."""

        async def test(context: Context) -> None:
            source = source_factory()
            if not (isinstance(source, Source) and source.ordered):
                return
            ids = [ref.thread_id for ref in (await _read(source_factory, Query(), context)).refs]
            assert ids == sorted(ids, key=lambda thread_id: thread_id.encode())

        _run(test)

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

        _run(test)

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

        _run(test)

    # -- filters ---------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "name",
        ["one id", "some ids", "status", "metadata", "since", "until", "window", "all at once"],
    )
    def test_a_filter_admits_what_it_should(
        self, name: str, source_factory: SourceFactory, expected: Expected
    ) -> None:
        """The threads that pass come whole, the others not at all."""

        async def test(context: Context) -> None:
            for query in _queries(name, expected):
                contents = await _read(source_factory, query, context)
                admitted = {
                    thread_id
                    for thread_id, records in expected.items()
                    if query.admits(_head(records))
                }
                assert {ref.thread_id for ref in contents.refs} == admitted, query
                assert set(contents.threads) == admitted, query
                for thread_id in admitted:
                    assert same_records(contents.threads[thread_id], expected[thread_id]) == []

        _run(test)

    def test_a_filter_that_nothing_passes_gives_nothing(
        self, source_factory: SourceFactory
    ) -> None:
        """No thread, and no error."""

        async def test(context: Context) -> None:
            for query in (
                Query(thread_ids=(self.absent_id,), extras=False),
                Query(metadata={"no such key": Raw(b'"no such value"')}, extras=False),
                Query(since="2999-01-01", extras=False),
            ):
                contents = await _read(source_factory, query, context)
                assert (contents.threads, contents.refs) == ({}, [])

        _run(test)

    def test_a_limit_gives_enough(self, source_factory: SourceFactory, expected: Expected) -> None:
        """The engine counts; a source may stop early, but not before the limit."""

        async def test(context: Context) -> None:
            for limit in (1, 2, len(expected) + 1):
                contents = await _read(source_factory, Query(limit=limit, extras=False), context)
                ids = [ref.thread_id for ref in contents.refs]
                assert len(ids) == len(set(ids))
                assert set(ids) <= set(expected)
                assert len(ids) >= min(limit, len(expected))

        _run(test)

    # -- versions --------------------------------------------------------------------------

    def test_versions_stay_while_nothing_changes(self, source_factory: SourceFactory) -> None:
        """Another object over the same data gives each thread the same version."""

        async def test(context: Context) -> None:
            first = await _read(source_factory, Query(), context)
            second = await _read(source_factory, Query(), context)
            assert _versions(first) == _versions(second)

        _run(test)

    def test_a_change_changes_the_version(
        self, source_factory: SourceFactory, change: Callable[[], Any] | None
    ) -> None:
        """That of the changed thread, and no other."""
        if self.never_changes:
            return
        assert change is not None, "give a fixture `change`, or say why in `never_changes`"

        async def test(context: Context) -> None:
            before = _versions(await _read(source_factory, Query(), context))
            changed = change()
            if inspect.isawaitable(changed):
                changed = await changed
            after = _versions(await _read(source_factory, Query(), context))
            differing = {
                thread_id
                for thread_id in before | after
                if before.get(thread_id) != after.get(thread_id)
            }
            assert differing == {changed}

        _run(test)

    # -- what is said ----------------------------------------------------------------------

    def test_offers_covers_what_comes(self, source_factory: SourceFactory) -> None:
        """No record is of a kind that was not offered; kinds are negotiated beforehand."""

        async def test(context: Context) -> None:
            source = source_factory()
            if "*" in source.offers:
                return
            contents = await _read(source_factory, Query(), context)
            came = {record.kind for records in contents.threads.values() for record in records}
            came |= {kind for kind, records in contents.extras.items() if records}
            assert came <= source.offers

        _run(test)

    def test_the_identity_stays(self, source_factory: SourceFactory) -> None:
        """Two objects over one place say the same, and something."""

        async def test(context: Context) -> None:
            said = []
            for _ in range(2):
                async with source_factory() as source:
                    assert isinstance(source, SourceBase)
                    said.append(await source.identity())
            assert said[0] == said[1] != ""

        _run(test)

    def test_a_probe_tells_facts(self, source_factory: SourceFactory) -> None:
        """Facts with names and values, none of them an error where all is well."""

        async def test(context: Context) -> None:
            async with source_factory() as source:
                probe = await source.probe(context)
            assert isinstance(probe, Probe)
            assert probe.facts, "a probe without a fact tells nothing"
            assert all(fact.name and fact.value for fact in probe.facts)
            assert [fact for fact in probe.facts if fact.level == "error"] == []

        _run(test)

    # -- extras ----------------------------------------------------------------------------

    def test_extras_arrive_whole(
        self,
        source_factory: SourceFactory,
        expected_extras: Mapping[str, Sequence[Record]] | None,
    ) -> None:
        """Each kind that is offered can be read, and holds records of that kind alone."""

        async def test(context: Context) -> None:
            contents = await _read(source_factory, Query(), context)
            for kind, records in contents.extras.items():
                assert {record.kind for record in records} <= {kind}
            if expected_extras is not None:
                for kind in EXTRA_KINDS:
                    came = contents.extras.get(kind, [])
                    wanted = expected_extras.get(kind, ())
                    assert same_records(came, wanted, exact=self.exact_bytes) == []

        _run(test)

    def test_extras_stay_away_where_unwanted(self, source_factory: SourceFactory) -> None:
        """A stream leaves them out when the query does; any other source is not asked."""

        async def test(context: Context) -> None:
            contents = await _read(source_factory, Query(extras=False), context)
            assert {kind: items for kind, items in contents.extras.items() if items} == {}

        _run(test)


def _run(test: Callable[[Context], Coroutine[Any, Any, None]]) -> None:
    async def go() -> None:
        await test(make_context())

    asyncio.run(go())


async def _read(factory: SourceFactory, query: Query, context: Context) -> Contents:
    source = factory()
    async with source:
        return await read_all(source, query, context)


def _versions(contents: Contents) -> dict[str, str]:
    return {ref.thread_id: ref.version for ref in contents.refs}


def _head(records: Sequence[Record]) -> Thread:
    head = records[0]
    assert isinstance(head, Thread), "the first of a thread's expected records is its `thread`"
    return head


def _queries(name: str, expected: Expected) -> list[Query]:
    """Filters of one sort, made from the data so that they divide it where it can be divided."""
    heads = {thread_id: _head(records) for thread_id, records in expected.items()}
    ids = sorted(heads)
    times = sorted(head.updated_at for head in heads.values() if head.updated_at)
    middle = times[len(times) // 2] if times else "2026-01-01T00:00:00+00:00"
    if name == "one id":
        return [Query(thread_ids=(thread_id,), extras=False) for thread_id in ids[:2]]
    if name == "some ids":
        return [Query(thread_ids=(*ids[1::2],), extras=False)] if len(ids) > 1 else []
    if name == "status":
        statuses = sorted({head.status for head in heads.values() if head.status})
        return [Query(status=status, extras=False) for status in statuses]
    if name == "metadata":
        return [Query(metadata={key: value}, extras=False) for key, value in _pairs(heads.values())]
    if name == "since":
        return [Query(since=middle, extras=False)]
    if name == "until":
        return [Query(until=middle, extras=False)]
    if name == "window":
        return [Query(since=times[0], until=times[-1], extras=False)] if times else []
    status = next((head.status for head in heads.values() if head.status), None)
    return [Query(thread_ids=tuple(ids[:3]), status=status, until=middle, extras=False)]


def _pairs(heads: Iterable[Thread]) -> list[tuple[str, Raw]]:
    """A few pairs of metadata that threads have and a user might ask for, no two alike."""
    found: dict[tuple[str, bytes], Raw] = {}
    for head in heads:
        if isinstance(head.metadata, UnsetType):
            continue
        try:
            fields = split_object(head.metadata)
        except ThreadError:
            continue  # not an object
        for key, value in fields.items():
            if len(key) + len(value) < 200:
                found.setdefault((key, bytes(value)), Raw(bytes(value)))
    return [(key, value) for (key, _), value in sorted(found.items())][:8]
