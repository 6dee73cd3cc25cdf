"""Exports that are killed at any moment leave whole threads; the next run ends them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx import Secret
from lgx.testing import PostgresServer, StubProcess

THREADS = 1200


@pytest.fixture(scope="module")
def stub() -> Iterator[Any]:
    with StubProcess(threads=THREADS, checkpoints=3, size=400) as process:
        yield process


def _start(stub: Any, dsn: str, layout: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lgx", "run", "--source", "cloud", "--source-url", stub.url]
    return subprocess.Popen(
        [*command, "--sink", "postgres", "--sink-layout", layout, "--quiet"],
        env={**os.environ, "LGX_SINK_DSN": dsn},
        stderr=subprocess.PIPE,
    )


def _complete(stub: Any, dsn: str, layout: str) -> float:
    """Runs to the end, and returns how long it took."""
    begun = time.monotonic()
    process = _start(stub, dsn, layout)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    return time.monotonic() - begun


def _records(dsn: str, folder: Path) -> list[str]:
    """Digests of all records that the target gives back, sorted."""
    path = folder / "read-back.ndjson"
    report = lgx.run(lgx.use("postgres", dsn=Secret(dsn)), lgx.use("ndjson", path=str(path)))
    assert report.exit_code == 0, report
    with path.open("rb") as lines:
        next(lines)  # the header
        return sorted(blake2b(line, digest_size=16).hexdigest() for line in lines)


_BROKEN = (
    "SELECT count(*) FROM langgraph_threads AS t WHERE checkpoints IS DISTINCT FROM "
    "(SELECT count(*) FROM langgraph_checkpoints AS c WHERE c.thread = t.id)"
)


def _check_unbroken(server: PostgresServer, dsn: str) -> None:
    """Each mark stands beside as many checkpoints as it says."""
    if server.execute(dsn, "SELECT 1 FROM pg_class WHERE relname = 'langgraph_checkpoints'"):
        assert server.execute(dsn, _BROKEN) == [(0,)]


def _kill_often(server: PostgresServer, stub: Any, folder: Path, kills: int, layout: str) -> None:
    dice = random.Random(kills)
    whole = server.new_database()
    seconds = _complete(stub, whole, layout)
    wanted = _records(whole, folder)
    assert len(wanted) > 4 * THREADS
    server.drop_database(whole)
    landed, dsn = 0, server.new_database()
    for number in range(kills):
        process = _start(stub, dsn, layout)
        try:
            process.wait(dice.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            landed += 1
        process.kill()
        process.communicate()
        _check_unbroken(server, dsn)
        if process.returncode == 0 or number % 4 == 3:  # else all kills but the first come late
            _complete(stub, dsn, layout)
            assert _records(dsn, folder) == wanted
            server.drop_database(dsn)
            dsn = server.new_database()
    assert landed, "no kill came while the run was under way"
    _complete(stub, dsn, layout)
    assert _records(dsn, folder) == wanted
    server.drop_database(dsn)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("layout", ["plain", "dedup"])
def test_a_killed_export_is_ended_by_the_next(
    postgres_server: PostgresServer, stub: Any, tmp_path: Path, layout: str
) -> None:
    """SIGKILL at random moments: the lock is free at once, whole threads stand, and the next
    run leaves the same records, by digest, as an uninterrupted one."""
    _kill_often(postgres_server, stub, tmp_path, 3, layout)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("layout", ["plain", "dedup"])
def test_fifty_kills_change_nothing(
    postgres_server: PostgresServer, stub: Any, tmp_path: Path, layout: str
) -> None:
    """The same for fifty moments."""
    _kill_often(postgres_server, stub, tmp_path, 50, layout)
