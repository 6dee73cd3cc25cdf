"""What a source says of itself."""

from __future__ import annotations

from msgspec import UNSET

from lgx.codec import to_fields
from lgx.context import Context
from lgx.contracts import SourceBase
from lgx.facts import Probe
from lgx.query import Query
from lgx.records import ANY_KIND, Record
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.sources.kit import SourceFactory, SourceKit, read_source

__all__ = ["Statements"]

_IDENTITY = {
    *("thread_id", "checkpoint_ns", "checkpoint_id", "run_id"),
    *("assistant_id", "version", "cron_id", "namespace", "key"),
}


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

    def test_coverage_covers_what_comes(self, source_factory: SourceFactory) -> None:
        """Whatever comes there is room for: else `lgx verify` would not compare it."""

        async def test(context: Context) -> None:
            async with source_factory() as source:
                assert isinstance(source, SourceBase)
                covered = await source.coverage()
            contents = await read_source(source_factory, Query(), context)
            came = [record for records in contents.threads.values() for record in records]
            came += [record for records in contents.extras.values() for record in records]
            for record in came:
                assert covered.kinds == ANY_KIND or record.kind in covered.kinds
                assert covered.namespaces or not getattr(record, "checkpoint_ns", "")
                fields = covered.fields.get(record.kind)
                assert fields is None or _fields(record) <= fields

        run_test(test)

    def test_what_is_whole_passes_its_own_check(self, source_factory: SourceFactory) -> None:
        """Where a source checks itself at all."""

        async def test(context: Context) -> None:
            async with source_factory() as source:
                assert isinstance(source, SourceBase)
                facts = (await source.check(context)).facts
            assert [fact for fact in facts if fact.level == "error"] == []

        run_test(test)


def _fields(record: Record) -> set[str]:
    """The fields that a record has, but those by which it is identified."""
    fields = set(to_fields(record)) - {"kind"} - _IDENTITY
    return {name for name in fields if getattr(record, name, UNSET) is not None}
