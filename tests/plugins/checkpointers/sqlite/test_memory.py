"""Memory depends on the largest row, not on the size of a thread."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lgx_plugins.checkpointers.sqlite.schema import SAVER_TABLES

_COPY = """
import sys, lgx
source, sink = (lgx.use("sqlite-saver", path=path) for path in sys.argv[1:])
for full in (False, True):
    report = lgx.run(source, sink, full=full)
    assert report.exit_code == 0 and report.threads.written == 1, report
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""

_FILL = """
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
INSERT INTO checkpoints SELECT 't', '', {id}, {parent}, 'bytes', randomblob({size}), '{{}}' FROM n;
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
INSERT INTO writes SELECT 't', '', {id}, 'task', '', 0, 'a', 'bytes', randomblob({size}) FROM n;
"""

_ORDERS = {
    "in the order of ids": ("printf('%08d', n)", "printf('%08d', n - 1)"),
    "against the order of ids": ("printf('%08d', 1e7 - n)", "printf('%08d', 1e7 + 1 - n)"),
}


def _peak(files: Any, order: str, megabytes: int, kilobytes: int) -> int:
    """The most memory that writing a thread and writing it again took, in bytes."""
    checkpoint_id, parent = _ORDERS[order]
    count = (megabytes << 10) // (2 * kilobytes)
    fill = _FILL.format(count=count, id=checkpoint_id, parent=parent, size=kilobytes << 10)
    path: Path = files.script(files.folder / "large.db", ";".join((*SAVER_TABLES, fill)))
    done = subprocess.run(
        [sys.executable, "-c", _COPY, str(path), str(files.target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    total = "SELECT count(*), sum(length(checkpoint)) FROM checkpoints"
    assert files.query(files.target, total) == files.query(path, total)
    return int(done.stdout) * 1024


@pytest.mark.timeout(180)
def test_a_thread_of_60_megabytes_is_streamed(files: Any) -> None:
    """Into a file, and over what stands there, also where parents are to be found first: in
    100 MB, of which half are the program's own."""
    assert _peak(files, "against the order of ids", 60, 64) <= 100_000_000


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("order", list(_ORDERS))
def test_a_thread_of_2_gigabytes_takes_at_most_200_megabytes(order: str, files: Any) -> None:
    """The same at length."""
    assert _peak(files, order, 2048, 512) <= 200_000_000
