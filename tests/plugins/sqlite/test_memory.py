"""Memory depends on the largest record, not on the size of a thread."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LARGE = Path(__file__).with_name("large.py")


def _measure(tmp_path: Path, megabytes: int, row_kilobytes: int) -> int:
    """The most memory that writing, replacing and reading a thread took; it must be whole."""
    process = subprocess.run(
        [sys.executable, str(LARGE), str(tmp_path / "t.db"), str(megabytes), str(row_kilobytes)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr == ""
    peak, written, read = process.stdout.split()
    assert written == read
    return int(peak)


@pytest.mark.timeout(300)  # half a gigabyte of writing: slow where the disk has other work
@pytest.mark.parametrize("row_kilobytes", [20, 1000], ids=["small rows", "large rows"])
def test_a_thread_of_200_megabytes_takes_less_memory_than_its_size(
    tmp_path: Path, row_kilobytes: int
) -> None:
    """Written, replaced and read back, in at most 200 MB."""
    assert _measure(tmp_path, 200, row_kilobytes) <= 200_000_000


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_thread_of_2_gigabytes_takes_at_most_200_megabytes(tmp_path: Path) -> None:
    """The same at length."""
    assert _measure(tmp_path, 2000, 1000) <= 200_000_000
