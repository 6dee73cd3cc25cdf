"""Memory depends on the largest row, not on the size of a thread."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lgx import Thread

LARGE = Path(__file__).with_name("large.py")

FILL = """
INSERT INTO langgraph_checkpoints
    (thread, position, thread_id, checkpoint_ns, checkpoint_id, values)
SELECT t.id, n, t.thread_id, '', 'c' || n, to_jsonb(repeat(md5(n::text), $1))
FROM langgraph_threads AS t, generate_series(1, $2) AS n
"""


async def _measure(shop: Any, megabytes: int, row_kilobytes: int, connections: int) -> int:
    """The most memory that reading a thread took; it must be whole."""
    await shop.write([Thread(thread_id="large")])
    repeats, rows = row_kilobytes * 1024 // 32, megabytes * 1024 // row_kilobytes
    shop.query(FILL, repeats, rows)
    digest = hashlib.md5(usedforsecurity=False)
    for number in range(1, rows + 1):
        part = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
        digest.update(b'"%s"' % (part.encode() * repeats))
    process = subprocess.run(  # noqa: ASYNC221 -- nothing else runs meanwhile
        [sys.executable, str(LARGE), shop.dsn, str(connections)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr == ""
    peak, count, found = process.stdout.split()
    assert (int(count), found) == (rows, digest.hexdigest())
    return int(peak)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("row_kilobytes", [8, 1024], ids=["small rows", "large rows"])
async def test_a_thread_of_200_megabytes_takes_little_memory(
    shop: Any, row_kilobytes: int, connections: int
) -> None:
    """Read in at most 120 MB, of which half are those of the program itself."""
    assert await _measure(shop, 200, row_kilobytes, connections) <= 120_000_000


@pytest.mark.nightly
@pytest.mark.timeout(900)
async def test_a_thread_of_2_gigabytes_takes_no_more(shop: Any) -> None:
    """The same at length."""
    assert await _measure(shop, 2048, 1024, 4) <= 120_000_000
