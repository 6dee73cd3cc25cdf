"""Exports that are killed at any moment, and whose unsynced bytes are then torn off."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx.testing import StubProcess

DRIVER = Path(__file__).with_name("driver.py")
THREADS = 1500


@pytest.fixture(scope="module")
def stub() -> Iterator[Any]:
    with StubProcess(threads=THREADS, checkpoints=3, size=400) as process:
        yield process


class Reference:
    """What an uninterrupted run leaves, and how long it takes; made once for each sink."""

    def __init__(self, stub: Any, sink: str, folder: Path) -> None:
        self.seconds = complete(stub, sink, folder / "whole", folder / "log")
        self.records = records(sink, folder / "whole", folder)
        assert len(self.records) > 4 * THREADS


@pytest.fixture(scope="module", params=["archive", "sqlite"])
def sink(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(stub: Any, sink: str, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(stub, sink, tmp_path_factory.mktemp("reference"))


def start(stub: Any, sink: str, target: Path, log: Path) -> subprocess.Popen[bytes]:
    arguments = ["--source", "cloud", "--source-url", stub.url, "--sink", sink]
    command = [sys.executable, str(DRIVER), str(log), "run", *arguments]
    return subprocess.Popen(
        [*command, "--sink-path", str(target), "--quiet"], stderr=subprocess.PIPE
    )


def complete(stub: Any, sink: str, target: Path, log: Path) -> float:
    """Runs to the end, and returns how long it took."""
    begun = time.monotonic()
    process = start(stub, sink, target, log)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    return time.monotonic() - begun


def records(sink: str, target: Path, folder: Path) -> list[str]:
    """Digests of all records that the target gives back, sorted."""
    path = folder / "read-back.ndjson"
    report = lgx.run(lgx.use(sink, path=str(target)), lgx.use("ndjson", path=str(path)))
    assert report.exit_code == 0, report
    with path.open("rb") as lines:
        next(lines)  # the header
        return sorted(hashlib.blake2b(line, digest_size=16).hexdigest() for line in lines)


def tear(target: Path, log: Path, dice: random.Random) -> None:
    """Cuts every file somewhere behind what is known to have reached the disk."""
    synced: dict[int, int] = {}
    if log.exists():
        for line in log.read_text().splitlines():
            inode, size = map(int, line.split())
            synced[inode] = max(size, synced.get(inode, 0))
    files = [path for path in target.rglob("*") if path.is_file()] if target.is_dir() else []
    for path in files:
        status = path.stat()
        safe = synced.get(status.st_ino, 0)
        if status.st_size > safe:
            with path.open("r+b") as file:
                file.truncate(dice.randint(safe, status.st_size))
    wal = target.with_name(f"{target.name}-wal")
    if wal.exists():
        cut_wal(wal, dice)


def cut_wal(path: Path, dice: random.Random) -> None:
    """Cuts a write-ahead log somewhere behind its last commit, which SQLite has synced."""
    content = path.read_bytes()
    if len(content) < 32:
        return
    page = struct.unpack(">I", content[8:12])[0]
    committed = 32
    for start_of_frame in range(32, len(content) - page - 23, page + 24):
        if struct.unpack(">I", content[start_of_frame + 4 : start_of_frame + 8])[0]:
            committed = start_of_frame + page + 24
    with path.open("r+b") as file:
        file.truncate(dice.randint(committed, len(content)))


def check_unbroken(sink: str, target: Path, folder: Path) -> None:
    """What a killed run left can be read, as far as it came."""
    if sink == "archive" and (target / "manifest.json").exists():
        records(sink, target, folder)
    if sink == "sqlite" and target.exists() and target.stat().st_size:
        with sqlite3.connect(target) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def kill_and_finish(
    stub: Any,
    sink: str,
    reference: Reference,
    folder: Path,
    kills: int,
    *,
    torn: bool,
    seed: int,
) -> None:
    dice = random.Random(seed)
    log = folder / "log"
    target = folder / "target"
    landed = 0
    for _ in range(kills):
        process = start(stub, sink, target, log)
        try:
            process.wait(dice.uniform(0.1, 1.0) * reference.seconds)
        except subprocess.TimeoutExpired:
            landed += 1
        process.kill()
        process.communicate()
        if torn:
            tear(target, log, dice)
        check_unbroken(sink, target, folder)
        if process.returncode == 0:
            # It was through before the moment came: the next kill gets a fresh target.
            assert records(sink, target, folder) == reference.records
            target = target.with_name(f"{target.name}x")
    assert landed, "no kill came while the run was under way"
    complete(stub, sink, target, log)

    assert records(sink, target, folder) == reference.records


@pytest.mark.parametrize("torn", [False, True], ids=["killed", "torn"])
def test_a_killed_export_ends_with_the_same_records(
    stub: Any, sink: str, reference: Reference, tmp_path: Path, *, torn: bool
) -> None:
    """After kills at random moments the next run goes on, and nothing is missing or broken."""
    kill_and_finish(stub, sink, reference, tmp_path, 3, torn=torn, seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("torn", [False, True], ids=["killed", "torn"])
def test_fifty_kills_change_nothing(
    stub: Any, sink: str, reference: Reference, tmp_path: Path, *, torn: bool
) -> None:
    """The same for fifty moments, three kills to each target."""
    for seed in range(17):
        folder = tmp_path / str(seed)
        folder.mkdir()
        kill_and_finish(stub, sink, reference, folder, 3, torn=torn, seed=seed)
