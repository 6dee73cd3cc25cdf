"""What the tests of all checkpointers share: a zoo of graphs, and stores that hold it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from lgx import RunInfo
from lgx.testing import PostgresServer

from . import dressing, moving
from . import zoo as graphs
from .stores import Store


@pytest.fixture(scope="session")
def zoo() -> ModuleType:
    """Graphs of every sort: `run`, `held`, `differences`, `resume` (see zoo.py)."""
    return graphs


@pytest.fixture(scope="session")
def move() -> Callable[..., Any]:
    """What the engine does between a source and a sink (see moving.py)."""
    return moving.move


@pytest.fixture(scope="session")
def dressed() -> ModuleType:
    """Rows as states, for the conformance kits: `RowSink`, `PlainSource`, `HeadedSource`."""
    return dressing


@pytest.fixture(scope="session")
def run_of() -> Callable[..., RunInfo]:
    """What a sink is told about a run: `run_of(SOURCE, merge=…, dry_run=…)`."""
    return moving.run_of


@pytest.fixture(scope="session")
def _zoo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zoo") / "zoo.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        graphs.run(saver)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def sqlite_zoo(_zoo_file: Path, tmp_path: Path) -> Path:
    """A file in which SqliteSaver holds the whole zoo; the test's own copy."""
    return Path(shutil.copy(_zoo_file, tmp_path / "zoo.db"))


@pytest.fixture
def in_sqlite() -> Callable[[Path], graphs.Held]:
    """A function that gives what SqliteSaver finds in a file."""

    def read(path: Path) -> graphs.Held:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            return graphs.held(saver)

    return read


@pytest.fixture
def new_store(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Makes an empty database, dropped after the test."""
    made: list[str] = []

    def make() -> Store:
        made.append(postgres_server.new_database())
        return Store(postgres_server, made[-1], tmp_path)

    yield make
    for dsn in made:
        postgres_server.drop_database(dsn)


@pytest.fixture(scope="session")
def _zoo_database(postgres_server: PostgresServer) -> Iterator[str]:
    dsn = postgres_server.new_database()
    with PostgresSaver.from_conn_string(dsn) as saver:
        saver.setup()
        graphs.run(saver)
    yield dsn
    postgres_server.drop_database(dsn)


@pytest.fixture
def filled(
    postgres_server: PostgresServer, _zoo_database: str, new_store: Callable[[], Store]
) -> Store:
    """A store with the whole zoo; the test's own copy, as PostgresSaver wrote it."""
    store = new_store()
    template, name = (urlsplit(dsn).path[1:] for dsn in (_zoo_database, store.dsn))
    postgres_server.execute(postgres_server.dsn, f"DROP DATABASE {name}")
    postgres_server.execute(postgres_server.dsn, f"CREATE DATABASE {name} TEMPLATE {template}")
    return store
