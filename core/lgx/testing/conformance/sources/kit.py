"""What every test of a source stands on: the source, and what is known to be in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from lgx.context import Context
from lgx.contracts import SourceBase
from lgx.query import Query
from lgx.records import Record
from lgx.testing.conformance.reading import Contents, read_all
from lgx.threads import ReadOutcome

__all__ = ["Expected", "SourceFactory", "SourceKit", "read_source"]

SourceFactory = Callable[[], SourceBase[Any]]
Expected = Mapping[str, Sequence[Record]]


class SourceKit:
    """The fixtures and attributes by which a subclass describes its source; no tests.

    What a source cannot do is declared by the attributes, each with the reason; an empty
    reason means that it can.
    """

    never_changes: ClassVar[str] = ""
    """Why there is no fixture `change`: what the source reads cannot be changed by a test."""

    exact_bytes: ClassVar[bool] = False
    """Whether records are the expected ones byte by byte, not only with equal values."""

    absent_id: ClassVar[str] = "11111111-1111-4111-8111-111111111111"
    """An id in the form that the source's ids have, of no thread in it."""

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


async def read_source(factory: SourceFactory, query: Query, context: Context) -> Contents:
    """Everything that passes the query, from a new source."""
    source = factory()
    async with source:
        return await read_all(source, query, context)
