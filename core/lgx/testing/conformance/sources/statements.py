"""What a source says of itself."""

from __future__ import annotations

from lgx.context import Context
from lgx.contracts import SourceBase
from lgx.facts import Probe
from lgx.query import Query
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.sources.kit import SourceFactory, SourceKit, read_source

__all__ = ["Statements"]


class Statements(SourceKit):
    """Kinds, identity, facts."""

    def test_offers_covers_what_comes(self, source_factory: SourceFactory) -> None:
        """No record is of a kind that was not offered; kinds are negotiated beforehand."""

        async def test(context: Context) -> None:
            source = source_factory()
            if "*" in source.offers:
                return
            contents = await read_source(source_factory, Query(), context)
            came = {record.kind for records in contents.threads.values() for record in records}
            came |= {kind for kind, records in contents.extras.items() if records}
            assert came <= source.offers

        run_test(test)

    def test_the_identity_stays(self, source_factory: SourceFactory) -> None:
        """Two objects over one place say the same, and something."""

        async def test(context: Context) -> None:
            said = []
            for _ in range(2):
                async with source_factory() as source:
                    assert isinstance(source, SourceBase)
                    said.append(await source.identity())
            assert said[0] == said[1] != ""

        run_test(test)

    def test_a_probe_tells_facts(self, source_factory: SourceFactory) -> None:
        """Facts with names and values, none of them an error where all is well."""

        async def test(context: Context) -> None:
            async with source_factory() as source:
                probe = await source.probe(context)
            assert isinstance(probe, Probe)
            assert probe.facts, "a probe without a fact tells nothing"
            assert all(fact.name and fact.value for fact in probe.facts)
            assert [fact for fact in probe.facts if fact.level == "error"] == []

        run_test(test)
