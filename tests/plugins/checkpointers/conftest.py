"""What the tests of all checkpointers share: a zoo of graphs, and stores that hold it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from lgx import RunInfo
from lgx.testing import PostgresServer

from . import dressing, moving
from . import zoo as graphs
from .stores import Databases, Store


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


@pytest.fixture(scope="session")
def _databases(postgres_server: PostgresServer) -> Iterator[Databases]:
    databases = Databases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture
def new_store(
    postgres_server: PostgresServer, _databases: Databases, tmp_path: Path
) -> Iterator[Callable[[], Store]]:
    """Gives stores in empty databases."""
    taken: list[str] = []

    def make() -> Store:
        taken.append(_databases.take())
        return Store(postgres_server, taken[-1], tmp_path)

    yield make
    for dsn in taken:
        _databases.give(dsn)


@pytest.fixture(scope="session")
def _zoo_rows(postgres_server: PostgresServer, _databases: Databases, tmp_path_factory: Any) -> Any:
    dsn = _databases.take()
    store = Store(postgres_server, dsn, tmp_path_factory.mktemp("store"))
    with store.saver() as saver:
        graphs.run(saver)
    rows = store.rows()
    _databases.give(dsn)
    return rows


@pytest.fixture
def filled(_zoo_rows: Any, new_store: Callable[[], Store]) -> Store:
    """A store with the whole zoo as PostgresSaver wrote it; the test's own copy."""
    store = new_store()
    store.fill(_zoo_rows)
    return store
