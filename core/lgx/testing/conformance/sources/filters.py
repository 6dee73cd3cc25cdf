"""Filters and limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from msgspec import Raw, UnsetType

from lgx.context import Context
from lgx.errors import ThreadError
from lgx.jsontext import split_object
from lgx.query import Query
from lgx.records import Record, Thread
from lgx.testing.conformance.reading import same_records
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.sources.kit import Expected, SourceFactory, SourceKit, read_source

__all__ = ["Filters"]


class Filters(SourceKit):
    """What passes the query comes, and nothing else."""

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
                contents = await read_source(source_factory, query, context)
                admitted = {
                    thread_id
                    for thread_id, records in expected.items()
                    if query.admits(_head(records))
                }
                assert {ref.thread_id for ref in contents.refs} == admitted, query
                assert set(contents.threads) == admitted, query
                for thread_id in admitted:
                    assert same_records(contents.threads[thread_id], expected[thread_id]) == []

        run_test(test)

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
                contents = await read_source(source_factory, query, context)
                assert (contents.threads, contents.refs) == ({}, [])

        run_test(test)

    def test_a_limit_gives_enough(self, source_factory: SourceFactory, expected: Expected) -> None:
        """The engine counts; a source may stop early, but not before the limit."""

        async def test(context: Context) -> None:
            for limit in (1, 2, len(expected) + 1):
                contents = await read_source(
                    source_factory, Query(limit=limit, extras=False), context
                )
                ids = [ref.thread_id for ref in contents.refs]
                assert len(ids) == len(set(ids))
                assert set(ids) <= set(expected)
                assert len(ids) >= min(limit, len(expected))

        run_test(test)


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
