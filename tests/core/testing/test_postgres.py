"""The server that tests of databases run against."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from lgx.testing import PostgresProcess, PostgresServer


def test_databases_are_fresh_and_go_with_the_server() -> None:
    """Each is empty; dropping one throws out whoever is connected; nothing stays behind."""
    with PostgresProcess() as server:
        one, two = server.new_database(), server.new_database()
        server.execute(one, "CREATE TABLE t (x INT); INSERT INTO t VALUES (1), (2);")
        assert server.execute(one, "SELECT x FROM t WHERE x > $1", 1) == [(2,)]
        with pytest.raises(asyncpg.UndefinedTableError):
            server.execute(two, "SELECT x FROM t")
        server.drop_database(one)
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            server.execute(one, "SELECT 1")
        directory, pid = server.directory, server.pid
        os.kill(pid, 0)
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_was_committed_outlives_the_server() -> None:
    """kill -9 and an administrator's restart; both come back at the same address."""
    with PostgresProcess() as server:
        dsn = server.new_database()
        server.execute(dsn, "CREATE TABLE t (x INT); INSERT INTO t VALUES (1);")
        server.kill()
        with pytest.raises(OSError, match=r"No such file|refused"):
            server.execute(dsn, "SELECT 1")
        server.start()
        assert server.execute(dsn, "SELECT x FROM t") == [(1,)]
        server.restart()
        assert server.execute(dsn, "SELECT x FROM t") == [(1,)]
        assert "was not properly shut down" in server.log()


_START = """
import signal
from lgx.testing import PostgresProcess
with PostgresProcess() as server:
    print(server.directory, flush=True)
    signal.pause()
"""


def test_it_ends_with_the_process_that_started_it() -> None:
    """Also by kill -9: neither the server nor its directory stay behind."""
    with subprocess.Popen([sys.executable, "-c", _START], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        directory = Path(process.stdout.readline().decode().strip())
        assert (directory / "data" / "postmaster.pid").exists()
        process.kill()
    deadline = time.monotonic() + 30
    while directory.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_another_server_is_used_as_it_is(postgres_server: PostgresServer) -> None:
    """Named by a DSN: databases are made there, and dropped with the block."""
    with PostgresServer(postgres_server.dsn) as server:
        dsn = server.new_database()
        ((name,),) = server.execute(dsn, "SELECT current_database()")
    assert postgres_server.execute(
        postgres_server.dsn, "SELECT count(*) FROM pg_database WHERE datname = $1", name
    ) == [(0,)]


def test_a_server_that_does_not_start_says_why() -> None:
    """Its own words are in the error."""
    with pytest.raises(RuntimeError, match="unrecognized configuration parameter"):
        PostgresProcess(no_such_setting="1").__enter__()
