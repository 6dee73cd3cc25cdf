"""Memory depends on the largest document, not on the size of a store or of a thread."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

_COPY = """
import sys, lgx
source, sink = (lgx.use("redis-saver", url=url) for url in sys.argv[1:])
for full in (False, True):
    report = lgx.run(source, sink, full=full)
    assert report.exit_code == 0 and report.threads.written == int(report.threads.listed), report
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""


def _fill(store: Any, *, threads: int, checkpoints: int, size: int) -> int:
    pipeline = store.client.pipeline(transaction=False)
    for thread in range(threads):
        for number in range(checkpoints):
            document = {
                "thread_id": f"t{thread}",
                "run_id": "",
                "checkpoint_ns": "__empty__",
                "checkpoint_id": f"{number:08}",
                "parent_checkpoint_id": f"{number - 1:08}" if number else "",
                "checkpoint_ts": 0,
                "checkpoint": {"v": 4, "channel_values": {"x": os.urandom(size // 2).hex()}},
                "metadata": "{}",
                "has_writes": False,
            }
            key = f"checkpoint:t{thread}:__empty__:{number:08}"
            pipeline.execute_command("JSON.SET", key, "$", msgspec.json.encode(document))
            if len(pipeline) >= 200:
                pipeline.execute()
    pipeline.execute()
    return threads * checkpoints


def _peak(store: Any, other: Any, **shape: int) -> int:
    """The most memory that copying, and copying anew, took, in bytes."""
    count = _fill(store, **shape)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _COPY, store.url, other.url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(other.client.scan_iter("checkpoint:*", count=5000))) == count
    return int(done.stdout) * 1024


@pytest.mark.timeout(180)
def test_a_thread_of_40_megabytes_is_streamed(store: Any, other: Any) -> None:
    """Into a store, and over what stands there: in 130 MB, most of which are the program's own."""
    assert _peak(store, other, threads=1, checkpoints=640, size=64 << 10) <= 130_000_000


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "shape",
    [
        {"threads": 1, "checkpoints": 1000, "size": 1 << 20},
        {"threads": 1, "checkpoints": 100_000, "size": 200},
        {"threads": 5_000, "checkpoints": 5, "size": 200},
    ],
    ids=["a gigabyte", "many documents", "many threads"],
)
def test_stores_of_every_shape(store: Any, other: Any, shape: dict[str, int]) -> None:
    """In 250 MB."""
    assert _peak(store, other, **shape) <= 250_000_000
