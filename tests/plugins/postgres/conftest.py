"""Databases, names and what reaches them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import pytest

from lgx import Secret
from lgx.testing import PostgresProcess, PostgresServer, TransactionPooler
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
