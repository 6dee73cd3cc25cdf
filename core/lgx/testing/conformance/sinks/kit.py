"""What every test of a sink stands on: its target, what it cannot do, writing and comparing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from lgx.context import Context
from lgx.contracts import Sink
from lgx.records import Record
from lgx.spool import Bundle
from lgx.testing.conformance.bundles import make_bundle
from lgx.testing.conformance.reading import Contents, ReadBack, same_records
from lgx.testing.conformance.sinks.engine import SinkFactory, running, write_all
from lgx.testing.conformance.sinks.ids import id_of

__all__ = ["SinkKit"]


class SinkKit:
    """The fixtures and attributes by which a subclass describes its sink; no tests.

    What a sink cannot do is declared by the attributes, each with the reason; an empty
    reason means that it can.
    """

    keeps_no_marks: ClassVar[str] = ""
    """Why `held` always answers `{}` and each run writes everything: a single document."""

    merges_not: ClassVar[str] = ""
    """Why threads of two sources cannot stand in one target, nor be told apart."""

    may_refuse: ClassVar[Mapping[str, str]] = {}
    """Samples of `sample_threads()` that the target cannot hold, with the reason. The sink is
    then to refuse that thread, and no other; if it does hold it, the entry is out of date."""

    exact_bytes: ClassVar[bool] = False
    """Whether records come back byte by byte, not only with equal values."""

    @pytest.fixture
    def sink_factory(self) -> SinkFactory:
        """Makes a new sink, not opened, on this test's target; always the same target."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `sink_factory`")

    @pytest.fixture
    def read_back(self) -> ReadBack:
        """A function, plain or async, that gives a source over the target (not opened), or
        the records in it. Where there is no target yet: no records, or an `LgxError`."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `read_back`")

    @pytest.fixture
    def target_state(self) -> Callable[[], object]:
        """A function whose answers are equal as long as nothing was created or changed, such
        as a listing of files with their digests. By default nothing is looked at."""
        return lambda: None

    async def _store(
        self,
        sink: Sink[Any],
        threads: Sequence[Sequence[Record]],
        context: Context,
        *,
        version: str = "1",
        partial: bool = False,
    ) -> None:
        """Writes threads that the sink is to take, in batches no larger than it wants."""
        for start in range(0, len(threads), sink.batch_threads):
            bundles = [
                make_bundle(context, records, version=version, partial=partial)
                for records in threads[start : start + sink.batch_threads]
            ]
            await self._accepted(sink, bundles, context)

    async def _aborted(
        self, factory: SinkFactory, threads: Sequence[Sequence[Record]], context: Context
    ) -> None:
        """A run that writes threads and then ends by an error."""
        try:
            async with running(factory, context) as sink:
                await self._store(sink, threads, context)
                raise _Abort
        except _Abort:
            pass

    async def _accepted(self, sink: Sink[Any], bundles: Sequence[Bundle], context: Context) -> None:
        outcomes = await write_all(sink, bundles, context)
        assert [outcome.error for outcome in outcomes] == [None] * len(bundles)
        assert [outcome.losses for outcome in outcomes] == [()] * len(bundles)

    def _differences(self, came: Sequence[Record], wanted: Sequence[Record]) -> list[str]:
        """What of a thread did not come as it was written, one line each. For a target that
        cannot hold all of it, and tells so, a subclass compares what it holds."""
        return same_records(came, wanted, exact=self.exact_bytes)

    def _compare(self, contents: Contents, wanted: Sequence[Sequence[Record]]) -> None:
        """The target holds these threads and no others, each whole and in order."""
        assert contents.faults == []
        assert sorted(contents.threads) == sorted(id_of(records) for records in wanted)
        for records in wanted:
            came = contents.threads[id_of(records)]
            assert self._differences(came, records) == []


class _Abort(Exception):  # noqa: N818 -- stands for whatever ends a run
    pass
