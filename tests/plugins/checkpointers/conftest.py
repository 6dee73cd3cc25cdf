"""What the tests of all checkpointers share: a zoo of graphs, and stores that hold it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from . import zoo as graphs


@pytest.fixture(scope="session")
def zoo() -> ModuleType:
    """Graphs of every sort: `run`, `held`, `differences`, `resume` (see zoo.py)."""
    return graphs


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
