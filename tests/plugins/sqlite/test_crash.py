"""A run that is killed at any moment leaves whole threads and no others; the next one ends it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

EXPORT = Path(__file__).with_name("export.py")


def _start(path: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(EXPORT), str(path), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(path: Path, threads: int) -> int:
    """Runs it to its end; how many threads it wrote."""
    process = _start(path, str(threads))
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    return int(out.split()[-1])


async def _digests(shop: Any) -> dict[str, str]:
    found = await shop.lines()
    return {key: sha256(b"\n".join(lines)).hexdigest() for key, lines in found.items()}


async def _kill_often(shop: Any, kills: int, threads: int) -> None:
    begun = time.monotonic()
    assert _finish(shop.path, threads) == threads
    seconds = time.monotonic() - begun
    whole = await _digests(shop)
    shop.path.unlink()

    chance = random.Random(20261120)
    done = 0
    for _ in range(4 * kills):
        if done == kills:
            break
        existed, begun = shop.path.exists(), time.monotonic()
        process = _start(shop.path, str(threads))
        try:
            process.wait(chance.uniform(0.2, 1) * seconds)
        except subprocess.TimeoutExpired:
            done += 1
            over = False
        else:
            over = True
            if not existed:  # the machine is faster than it was
                seconds = min(seconds, time.monotonic() - begun)
        process.kill()
        process.communicate()
        if shop.path.exists() and shop.path.stat().st_size:
            assert shop.query("PRAGMA integrity_check") == [("ok",)]
            assert shop.query("PRAGMA foreign_key_check") == []
            if "langgraph_threads" in _tables(shop):
                partly = await _digests(shop)
                assert partly == {key: whole[key] for key in partly}
                _check_marks(shop)
        if over or chance.random() < 0.3:  # begin anew, or else all is done and none is killed
            for path in shop.path.parent.glob("threads.db*"):
                path.unlink()
    assert done == kills, f"only {done} of {kills} runs could be killed before their end"
    _finish(shop.path, threads)
    assert await _digests(shop) == whole
    assert shop.query("PRAGMA integrity_check") == [("ok",)]
    assert _finish(shop.path, threads) == 0


def _tables(shop: Any) -> Sequence[str]:
    return [name for (name,) in shop.query("SELECT name FROM sqlite_master")]


def _check_marks(shop: Any) -> None:
    """Each mark stands beside as many checkpoints as it says."""
    wrong = shop.query(
        "SELECT thread_id FROM langgraph_threads AS t WHERE checkpoints IS NOT "
        "(SELECT count(*) FROM langgraph_checkpoints AS c WHERE c.thread = t.id)"
    )
    assert wrong == []
    assert shop.query("SELECT * FROM langgraph_info WHERE key = 'writing'") == []


@pytest.mark.timeout(300)  # many processes: slow where the machine has other work
async def test_a_killed_run_is_ended_by_the_next(shop: Any) -> None:
    """Ten SIGKILLs at random moments; the same records, by digest, as an undisturbed run."""
    await _kill_often(shop, 10, 1200)


@pytest.mark.nightly
@pytest.mark.timeout(900)
async def test_a_run_that_is_killed_fifty_times_is_ended_by_the_next(shop: Any) -> None:
    """The same at length."""
    await _kill_often(shop, 50, 3000)


async def test_a_torn_log_costs_its_last_batches_alone(shop: Any) -> None:
    """What was not synced when the power went is dropped, down to a whole batch."""
    assert _finish(shop.path, 500) == 500
    whole = await _digests(shop)
    shop.path.unlink()
    process = _start(shop.path, "500")
    assert process.stdout is not None
    for line in process.stdout:
        if line == "300 done\n":
            break
    process.kill()
    process.communicate()
    kept = shop.path.parent / "kept"
    kept.mkdir()
    for path in list(shop.path.parent.glob("threads.db*")):
        shutil.move(path, kept)
    wal = (kept / "threads.db-wal").read_bytes()
    chance = random.Random(20261120)
    for _ in range(20):
        for path in shop.path.parent.glob("threads.db*"):
            path.unlink()
        shutil.copy(kept / "threads.db", shop.path)
        torn = wal[: chance.randrange(len(wal))]
        shop.path.with_name("threads.db-wal").write_bytes(torn)
        assert shop.query("PRAGMA integrity_check") == [("ok",)]
        if "langgraph_threads" in _tables(shop):
            partly = await _digests(shop)
            assert len(partly) % 100 == 0
            assert partly == {key: whole[key] for key in partly}
    _finish(shop.path, 500)
    assert await _digests(shop) == whole
