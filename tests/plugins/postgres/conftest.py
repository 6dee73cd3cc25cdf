"""Databases, names and what reaches them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from lgx import Query, Record, RunInfo, Secret
from lgx.testing import (
    PostgresProcess,
    PostgresServer,
    TransactionPooler,
    make_bundle,
    make_context,
    make_run,
    read_all,
)
from lgx_plugins.postgres import PostgresSink, PostgresSource
from lgx_plugins.postgres.config import PostgresSinkConfig, PostgresSourceConfig
from lgx_plugins.postgres.connection import Address
from lgx_plugins.postgres.names import Names

Sql: TypeAlias = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def names() -> Names:
    """As they are where no option is given."""
    return Names("public", "langgraph_")


@pytest.fixture
def address(database: str) -> Address:
    return Address(Secret(database))


@pytest.fixture
def sql(postgres_server: PostgresServer, database: str) -> Sql:
    """Runs SQL in the database as another program would."""

    def run(text: str, *args: Any) -> list[tuple[Any, ...]]:
        return postgres_server.execute(database, text, *args)

    return run


@pytest.fixture(scope="session")
def own_server(postgres_server: PostgresServer) -> Iterator[PostgresProcess]:
    """A server whose roles, passwords and addresses are the tests' to make."""
    if isinstance(postgres_server, PostgresProcess):
        yield postgres_server
        return
    with PostgresProcess() as server:
        yield server


@pytest.fixture
def own_database(own_server: PostgresProcess) -> Iterator[str]:
    """The DSN of an empty database of that server."""
    dsn = own_server.new_database()
    yield dsn
    own_server.drop_database(dsn)


@pytest.fixture
async def pooler(own_database: str) -> AsyncIterator[TransactionPooler]:
    """A pooler in transaction mode, before that database."""
    async with TransactionPooler(own_database) as pooler:
        yield pooler


class _Listener(logging.Handler):
    """Sets an event at the first record."""

    def __init__(self, event: asyncio.Event) -> None:
        super().__init__()
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        self._event.set()


@pytest.fixture
async def told() -> AsyncIterator[asyncio.Event]:
    """Set once a run has said that it waits for another one."""
    event = asyncio.Event()
    listener = _Listener(event)
    logger = logging.getLogger("lgx_plugins.postgres.lock")
    logger.addHandler(listener)
    yield event
    logger.removeHandler(listener)


class Target:
    """One database, written by runs of the sink and read by the source."""

    def __init__(self, dsn: str, directory: Path) -> None:
        self.dsn = dsn
        self.directory = directory

    def sink(self, **options: Any) -> PostgresSink:
        options = {"dsn": Secret(self.dsn), **options}
        return PostgresSink(PostgresSinkConfig(**options))

    def source(self, **options: Any) -> PostgresSource:
        options = {"dsn": Secret(self.dsn), **options}
        return PostgresSource(PostgresSourceConfig(**options))

    async def write(
        self, *threads: Sequence[Record], run: RunInfo | None = None, **options: Any
    ) -> list[str]:
        """One run that writes these threads, each of which must arrive; returns its notes."""
        context = make_context(spool_directory=self.directory)
        async with self.sink(**options) as sink:
            await sink.begin(run or make_run(), make_context())
            bundles = [make_bundle(context, records) for records in threads]
            try:
                outcomes = await sink.write(bundles, context)
            finally:
                for bundle in bundles:
                    bundle.close()
            assert [outcome.error for outcome in outcomes] == [None] * len(threads)
            await sink.finish(context)
        return [note.message for note in context.notes.values()]

    async def read(self, **options: Any) -> dict[str, list[Record]]:
        """Every thread's records, in order; all must be complete."""
        async with self.source(**options) as source:
            contents = await read_all(source, Query(), make_context())
        assert contents.faults == []
        assert {end.outcome for end in contents.ends.values()} <= {"complete"}
        return contents.threads


@pytest.fixture
def open_target(tmp_path: Path) -> Callable[[str], Target]:
    """Makes a target of a database's DSN."""
    return lambda dsn: Target(dsn, tmp_path)


@pytest.fixture
def target(database: str, open_target: Callable[[str], Target]) -> Target:
    return open_target(database)


OLDER = """
CREATE TABLE langgraph_threads (
    id SERIAL PRIMARY KEY,
    thread_id VARCHAR(255) UNIQUE NOT NULL,
    metadata JSONB DEFAULT '{}',
    values JSONB DEFAULT '{}',
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    source_url TEXT,
    exported_at TIMESTAMP DEFAULT NOW()
);
CREATE TABLE langgraph_checkpoints (
    id SERIAL PRIMARY KEY,
    thread_id VARCHAR(255) REFERENCES langgraph_threads(thread_id),
    checkpoint_id VARCHAR(255),
    parent_checkpoint_id VARCHAR(255),
    checkpoint_data JSONB DEFAULT '{}',
    values JSONB DEFAULT '{}',
    metadata JSONB DEFAULT '{}',
    created_at TIMESTAMP
);
"""


@pytest.fixture
def older(sql: Sql) -> Sql:
    """Tables that the older export tool made, exactly as it did; runs SQL there."""
    sql(OLDER)
    return sql
