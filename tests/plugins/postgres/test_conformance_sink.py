"""What every sink promises, by lgx's own kit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lgx import Query, Record, Secret, Sink, SourceBase, ThreadEnd, ThreadRef
from lgx.testing import PostgresServer, SinkConformance, make_context
from lgx_plugins.postgres import PostgresSink, PostgresSource
from lgx_plugins.postgres.config import PostgresSinkConfig, PostgresSourceConfig

Sql = Callable[..., list[tuple[Any, ...]]]

_RELATIONS = """
    SELECT n.nspname, c.relname, c.relkind::text FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2
"""


def everything(server: PostgresServer, dsn: str) -> dict[str, object]:
    """All relations of a database, and a digest of the rows of each table."""
    found: dict[str, object] = {}
    for schema, name, kind in server.execute(dsn, _RELATIONS):
        quoted = '"{}"."{}"'.format(schema, name.replace('"', '""'))
        rows = None
        if kind == "r":
            rows = server.execute(
                dsn,
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) "
                f"FROM {quoted} AS t",
            )
        found[f"{kind} {quoted}"] = rows
    return found


class TestPostgresSink(SinkConformance):
    layout = "plain"

    @pytest.fixture
    def sink_factory(self, database: str) -> Callable[[], Sink[Any]]:
        layout: Any = self.layout
        return lambda: PostgresSink(PostgresSinkConfig(dsn=Secret(database), layout=layout))

    @pytest.fixture
    def read_back(self, database: str, sql: Sql) -> Callable[[], Any]:
        def source(origin: str | None = None) -> PostgresSource:
            return PostgresSource(PostgresSourceConfig(dsn=Secret(database), origin=origin))

        async def merged(origins: list[str]) -> list[Record]:
            records: list[Record] = []
            context = make_context()
            for origin in origins:
                async with source(origin) as one:
                    refs = [
                        ref
                        async for ref in one.list(Query(), context)
                        if isinstance(ref, ThreadRef)
                    ]
                    for start in range(0, len(refs), one.refs_per_read):
                        records += [
                            item
                            async for item in one.read(
                                refs[start : start + one.refs_per_read], context
                            )
                            if not isinstance(item, ThreadEnd)
                        ]
            return records

        def read() -> SourceBase[Any] | Awaitable[list[Record]]:
            if sql("SELECT 1 FROM pg_class WHERE relname = 'langgraph_threads'"):
                rows = sql("SELECT DISTINCT source_url FROM langgraph_threads")
                if len(rows) > 1:
                    return merged([origin for (origin,) in rows])
            return source()

        return read

    @pytest.fixture
    def target_state(self, postgres_server: PostgresServer, database: str) -> Callable[[], object]:
        return lambda: everything(postgres_server, database)


class TestPostgresSinkDedup(TestPostgresSink):
    layout = "dedup"
