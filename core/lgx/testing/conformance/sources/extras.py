"""The deployment's own records: assistants, crons, items of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lgx.context import Context
from lgx.query import Query
from lgx.records import EXTRA_KINDS, Record
from lgx.testing.conformance.reading import same_records
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.sources.kit import SourceFactory, SourceKit, read_source

__all__ = ["Extras"]


class Extras(SourceKit):
    """They come whole where they are wanted."""

    def test_extras_arrive_whole(
        self,
        source_factory: SourceFactory,
        expected_extras: Mapping[str, Sequence[Record]] | None,
    ) -> None:
        """Each kind that is offered can be read, and holds records of that kind alone."""

        async def test(context: Context) -> None:
            contents = await read_source(source_factory, Query(), context)
            for kind, records in contents.extras.items():
                assert {record.kind for record in records} <= {kind}
            if expected_extras is not None:
                for kind in EXTRA_KINDS:
                    came = contents.extras.get(kind, [])
                    wanted = expected_extras.get(kind, ())
                    assert same_records(came, wanted, exact=self.exact_bytes) == []

        run_test(test)

    def test_extras_stay_away_where_unwanted(self, source_factory: SourceFactory) -> None:
        """A stream leaves them out when the query does; any other source is not asked."""

        async def test(context: Context) -> None:
            contents = await read_source(source_factory, Query(extras=False), context)
            assert {kind: items for kind, items in contents.extras.items() if items} == {}

        run_test(test)
