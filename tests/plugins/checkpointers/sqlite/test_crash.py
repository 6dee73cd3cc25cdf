"""A run that is killed at any moment leaves whole threads and no others; the next one ends it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

COPYING = Path(__file__).with_name("copying.py")


def _start(path: Path, threads: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(COPYING), str(path), str(threads)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(path: Path, threads: int) -> int:
    """Runs it to its end; how many threads it wrote."""
    process = _start(path, threads)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    return int(out.split()[-1])


def _kill_often(files: Any, kills: int, threads: int) -> None:
    path: Path = files.target
    begun = time.monotonic()
    assert _finish(path, threads) == threads
    seconds = time.monotonic() - begun
    whole = files.rows(path)
    size = Counter(row[0] for table in whole.values() for row in table)
    path.unlink()

    chance = random.Random(20261120)
    done = 0
    for _ in range(4 * kills):
        if done == kills:
            break
        existed, begun = path.exists(), time.monotonic()
        process = _start(path, threads)
        try:
            process.wait(chance.uniform(0.3, 1) * seconds)
        except subprocess.TimeoutExpired:
            done += 1
            over = False
        else:
            over = True
            if not existed:  # the machine is faster than it was
                seconds = min(seconds, time.monotonic() - begun)
        process.kill()
        process.communicate()
        if path.exists() and path.stat().st_size:
            _check(files, path, whole, size)
        if over or chance.random() < 0.3:  # begin anew, or else all is done and none is killed
            for left in path.parent.glob("copy.db*"):
                left.unlink()
    assert done == kills, f"only {done} of {kills} runs could be killed before their end"
    _finish(path, threads)
    assert files.rows(path) == whole
    assert _finish(path, threads) == 0


def _check(files: Any, path: Path, whole: Any, size: Counter[str]) -> None:
    """Each thread that is there is there with all of its rows and its mark."""
    assert files.query(path, "PRAGMA integrity_check") == [("ok",)]
    if not files.query(path, "SELECT 1 FROM sqlite_master WHERE name = 'lgx_marks'"):
        assert files.query(path, "SELECT count(*) FROM sqlite_master") == [(0,)]
        return
    partly = files.rows(path)
    assert all(set(partly[table]) <= set(whole[table]) for table in partly)
    found = Counter(row[0] for table in partly.values() for row in table)
    assert found == {thread: size[thread] for thread in found}
    marked = {thread for (thread,) in files.query(path, "SELECT thread_id FROM lgx_marks")}
    assert marked == set(found)


@pytest.mark.timeout(300)  # many processes: slow where the machine has other work
def test_a_killed_run_is_ended_by_the_next(files: Any) -> None:
    """Four SIGKILLs at random moments; in the end the same rows as an undisturbed run's."""
    _kill_often(files, 4, 1500)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_run_that_is_killed_fifty_times_is_ended_by_the_next(files: Any) -> None:
    """The same at length."""
    _kill_often(files, 50, 3000)
