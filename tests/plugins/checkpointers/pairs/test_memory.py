"""Memory depends on the largest row, not on the size of a thread."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_COPY = """
import sys, lgx
origin, target, path, back = sys.argv[1:]
def store(dsn): return lgx.use("postgres-saver", dsn=dsn)
file = lgx.use("sqlite-saver", path=path)
for source, sink, full in (
    (store(origin), store(target), False),
    (store(origin), store(target), True),
    (store(origin), file, False),
    (file, store(back), False),
):
    report = lgx.run(source, sink, full=full)
    assert report.exit_code == 0 and report.threads.written == 1, report
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""

_FILL = (
    """
    INSERT INTO checkpoints SELECT 't', '', n::text, nullif(n - 1, 0)::text, NULL,
        jsonb_build_object('v', 4, 'id', n::text, 'ts', '2026-01-01T00:00:00+00:00',
        'channel_values', '{}'::jsonb, 'versions_seen', '{}'::jsonb,
        'channel_versions', jsonb_build_object('a', n::text)), '{}'
        FROM generate_series(1, $1) AS n
    """,
    """
    INSERT INTO checkpoint_blobs SELECT 't', '', 'a', n::text, 'bytes',
        decode(repeat(md5(n::text), $2), 'hex') FROM generate_series(1, $1) AS n
    """,
    """
    INSERT INTO checkpoint_writes SELECT 't', '', n::text, 'task', 0, 'a', 'bytes',
        decode(repeat(md5(n::text), $2), 'hex'), '' FROM generate_series(1, $1) AS n
    """,
)


def _peak(new_store: Callable[[], Any], folder: Path, megabytes: int, kilobytes: int) -> int:
    """The most memory that copies of a thread took, one after the other, in bytes."""
    store, target, back = new_store(), new_store(), new_store()
    with store.saver():
        pass
    count = (megabytes << 10) // (2 * kilobytes)
    for statement in _FILL:
        store.sql(statement, *((count,) if "$2" not in statement else (count, kilobytes << 6)))
    done = subprocess.run(
        [sys.executable, "-c", _COPY, store.dsn, target.dsn, str(folder / "copy.db"), back.dsn],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    same = "SELECT count(*), sum(octet_length(blob)) FROM checkpoint_blobs"
    assert target.sql(same) == back.sql(same) == store.sql(same)
    return int(done.stdout) * 1024


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kilobytes", [64, pytest.param(1024, marks=pytest.mark.nightly)])
def test_a_thread_of_24_megabytes_is_streamed(
    new_store: Callable[[], Any], tmp_path: Path, kilobytes: int
) -> None:
    """Between databases, over what stands there, into a file and back: in 90 MB, of which most
    are those of the program itself."""
    assert _peak(new_store, tmp_path, 24, kilobytes) <= 90_000_000


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_thread_of_2_gigabytes_takes_at_most_250_megabytes(
    new_store: Callable[[], Any], tmp_path: Path
) -> None:
    assert _peak(new_store, tmp_path, 2048, 256) <= 250_000_000
