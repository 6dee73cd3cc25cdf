"""What every source promises, by lgx's own kit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from lgx import EXTRA_KINDS, Record, Secret, SourceBase
from lgx.testing import PostgresServer, SourceConformance, sample_extras, sample_threads
from lgx.testing.conformance.filling import fill
from lgx_plugins.postgres import PostgresSink, PostgresSource
from lgx_plugins.postgres.config import PostgresSinkConfig, PostgresSourceConfig


class TestPostgresSource(SourceConformance):
    connections = 4
    layout: Any = "plain"
    table = "langgraph_checkpoints"

    @pytest.fixture
    def filled(self, database: str) -> str:
        sink = PostgresSink(PostgresSinkConfig(dsn=Secret(database), layout=self.layout))
        extras = {kind: sample_extras(kind) for kind in EXTRA_KINDS}
        asyncio.run(fill(sink, list(sample_threads().values()), extras))
        return database

    @pytest.fixture
    def source_factory(self, filled: str) -> Callable[[], SourceBase[Any]]:
        config = PostgresSourceConfig(dsn=Secret(filled), connections=self.connections)
        return lambda: PostgresSource(config)

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        return {getattr(records[0], "thread_id"): records for records in sample_threads().values()}  # noqa: B009

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]]:
        return {kind: sample_extras(kind) for kind in EXTRA_KINDS}

    @pytest.fixture
    def change(self, postgres_server: PostgresServer, filled: str) -> Callable[[], str]:
        def edit() -> str:
            ((thread_id,),) = postgres_server.execute(
                filled,
                f"UPDATE {self.table} SET metadata = '{{\"edited\": true}}' "
                f"WHERE id = (SELECT min(id) FROM {self.table}) RETURNING thread_id",
            )
            return str(thread_id)

        return edit


class TestOneConnection(TestPostgresSource):
    """The connection that holds the moment reads, too."""

    connections = 1


class TestDedup(TestPostgresSource):
    """Checkpoints are a view, which puts their values together."""

    layout = "dedup"
    table = "langgraph_checkpoint_rows"
