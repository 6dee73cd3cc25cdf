"""Memory is bounded by the budget, whatever the number of threads and the size of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MOST = 120  # MB, with 16 MB of data in flight and twice 8 MB of digests


def compare(threads: int, checkpoints: int, size: int, *how: str) -> int:
    """The peak of a process that compares two such places, in MB; see `many.py`."""
    script = Path(__file__).parent / "many.py"
    done = subprocess.run(
        [sys.executable, str(script), *map(str, (threads, checkpoints, size)), *how],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    equal, states, peak = map(int, done.stdout.split())
    assert (equal, states) == (threads, threads * checkpoints)
    return peak


@pytest.mark.parametrize(
    "shape", [(3_000, 2, 100), (1, 5_000, 1_000), (3, 5, 10_000_000)], ids=["many", "long", "wide"]
)
def test_memory_is_bounded(shape: tuple[int, int, int]) -> None:
    """Many threads, one of many checkpoints, and values of 10 MB each."""
    assert compare(*shape) < (MOST if shape[2] < 1_000_000 else 2 * MOST)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", [(), ("rebuilt",)], ids=["copied", "rebuilt"])
@pytest.mark.parametrize("shape", [(100_000, 3, 500), (1, 200_000, 500)], ids=["many", "long"])
def test_memory_is_bounded_for_very_many(shape: tuple[int, int, int], how: tuple[str, ...]) -> None:
    """A hundred thousand threads, and a thread of two hundred thousand checkpoints."""
    assert compare(*shape, *how) < MOST
