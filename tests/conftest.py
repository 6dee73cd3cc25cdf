"""Settings of all tests, and servers of PostgreSQL and S3 for those that want one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from lgx.testing import PostgresProcess, PostgresServer, S3Process

# How long an example takes depends on what else the machine does, and proves nothing.
settings.register_profile("lgx", deadline=None)
settings.load_profile("lgx")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the tests' own, or the one that LGX_TEST_POSTGRES names."""
    named = os.environ.get("LGX_TEST_POSTGRES")
    with PostgresServer(named) if named else PostgresProcess() as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """The DSN of an empty database, dropped after the test, whoever is connected to it."""
    dsn = postgres_server.new_database()
    yield dsn
    postgres_server.drop_database(dsn)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Process]:
    """An S3 server of the tests' own, or the one that LGX_TEST_S3 names."""
    with S3Process() as server:
        yield server
