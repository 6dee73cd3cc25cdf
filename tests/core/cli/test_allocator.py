"""Large blocks go back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from lgx.cli.allocator import hand_back_large_blocks

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 >> 20

if sys.argv[1] == "asked":
    hand_back_large_blocks()
bytes(30 << 20)  # from now on glibc would keep blocks of this size in its heap
blocks, between = [], []
for _ in range(60):
    blocks.append(b"x" * (2 << 20))
    between.append(b"x" * 100_000)
before = resident()
blocks.clear()
print(before - resident())
"""


def _freed(how: str) -> int:
    """Megabytes that the process hands back when it lets 120 of them go."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is asked for")
def test_large_blocks_that_are_free_do_not_stay_in_the_process() -> None:
    """Small objects between them do not hold them, as they do where nothing was asked for."""
    assert _freed("asked") > 100
    assert _freed("not asked") < 20
