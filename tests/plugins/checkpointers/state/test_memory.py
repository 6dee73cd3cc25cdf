"""Memory depends on the largest checkpoint, not on the size of a thread."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import ormsgpack
import pytest

from lgx_plugins.checkpointers.sqlite.schema import SAVER_TABLES

_EXPORT = """
import sys, lgx
report = lgx.run(lgx.use("sqlite-saver", path=sys.argv[1]),
                 lgx.use("ndjson", path=sys.argv[2]), fidelity="state")
assert report.exit_code == 0 and report.threads.written == 1, report
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""


def _fill(path: Path, megabytes: int, kilobytes: int) -> int:
    """One thread; how many checkpoints it has."""
    count = (megabytes << 10) // kilobytes
    text = "é" * (kilobytes << 9)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(";".join(SAVER_TABLES))
        for number in range(count):
            document: dict[str, Any] = {
                "v": 4,
                "ts": "2026-01-01T00:00:00+00:00",
                "id": f"{number:08}",
                "channel_values": {"text": text, "n": number},
                "channel_versions": {"text": number, "n": number},
                "versions_seen": {},
            }
            metadata = msgspec.json.encode({"source": "loop", "step": number, "parents": {}})
            parent = f"{number - 1:08}" if number else None
            connection.execute(
                "INSERT INTO checkpoints VALUES ('t', '', ?, ?, 'msgpack', ?, ?)",
                (document["id"], parent, ormsgpack.packb(document), metadata),
            )
    return count


def _peak(tmp_path: Path, megabytes: int, kilobytes: int) -> int:
    """The most memory that an export of states took, in bytes."""
    path, target = tmp_path / "large.db", tmp_path / "large.ndjson"
    count = _fill(path, megabytes, kilobytes)
    done = subprocess.run(
        [sys.executable, "-c", _EXPORT, str(path), str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with target.open("rb") as file:
        assert sum(line.startswith(b'{"kind":"checkpoint"') for line in file) == count
    return int(done.stdout) * 1024


@pytest.mark.timeout(180)
def test_the_states_of_a_thread_of_60_megabytes_are_streamed(tmp_path: Path) -> None:
    """In 100 MB, of which half are the program's own."""
    assert _peak(tmp_path, 60, 64) <= 100_000_000


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_the_states_of_a_thread_of_2_gigabytes_take_at_most_200_megabytes(tmp_path: Path) -> None:
    """The same at length."""
    assert _peak(tmp_path, 2048, 512) <= 200_000_000
