"""Exports into a bucket that are killed at any moment."""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx.testing import S3Proxy, StubProcess
from lgx.testing.s3_proxy import Request
from lgx_plugins.archive.inspection import verify_archive

THREADS = 400


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProcess]:
    with StubProcess(threads=THREADS, checkpoints=3, size=400) as process:
        yield process


def start(stub: StubProcess, bucket: Any, prefix: str) -> subprocess.Popen[bytes]:
    """An export in a process of its own, in many small batches and requests."""
    code = """
import sys
from lgx_plugins.archive.sink import StoreSink
StoreSink.batch_threads = 40
StoreSink.batch_seconds = 0.05
sys.argv[0] = "lgx"
from lgx.cli import main
sys.exit(main())
"""
    arguments = ["run", "--source", "cloud", "--source-url", stub.url, "--sink", "s3", "--quiet"]
    arguments += ["--sink-url", bucket.url(prefix), "--sink-endpoint-url", bucket.endpoint_url]
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE)


def complete(stub: StubProcess, bucket: Any, prefix: str) -> None:
    """Runs to the end."""
    process = start(stub, bucket, prefix)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()


def kill_at(stub: StubProcess, shaky: Any, proxy: S3Proxy, prefix: str, request: int) -> bool:
    """Kills an export when it makes this request, which may be made all the same; False where
    it makes fewer."""
    started = threading.Event()
    processes: list[subprocess.Popen[bytes]] = []

    def kill(_: Request) -> None:
        started.wait()
        processes[0].kill()
        processes[0].wait()

    proxy.heal()
    proxy.fail("call", after=request, call=kill)
    processes.append(start(stub, shaky, prefix))
    started.set()
    processes[0].communicate(timeout=120)
    assert processes[0].returncode in (0, -signal.SIGKILL)
    return processes[0].returncode != 0


def records(bucket: Any, prefix: str, folder: Path) -> list[str]:
    """Digests of all records that the archive gives back, sorted."""
    path = folder / "read-back.ndjson"
    source = lgx.use("s3", url=bucket.url(prefix), endpoint_url=bucket.endpoint_url)
    report = lgx.run(source, lgx.use("ndjson", path=str(path)))
    assert report.exit_code == 0, report
    with path.open("rb") as lines:
        next(lines)  # the header
        return sorted(hashlib.blake2b(line, digest_size=16).hexdigest() for line in lines)


def kill_and_finish(
    stub: StubProcess, bucket: Any, shaky: Any, proxy: S3Proxy, folder: Path, kills: int, seed: int
) -> None:
    dice = random.Random(seed)
    complete(stub, shaky, "whole")
    requests = len(proxy.log)
    assert requests > 50
    reference = records(bucket, "whole", folder)
    assert len(reference) > 4 * THREADS
    landed = target = 0
    while landed < kills:
        prefix = f"killed-{target}"
        killed = kill_at(stub, shaky, proxy, prefix, dice.randrange(requests))
        landed += killed
        if f"{prefix}/manifest.json" in bucket.objects(""):
            found = records(bucket, prefix, folder)
            assert set(found) <= set(reference)
        if not killed or dice.random() < 0.4 or landed == kills:
            complete(stub, bucket, prefix)
            assert records(bucket, prefix, folder) == reference
            assert verified(bucket, prefix) == ()
            names = {key.removeprefix(f"{prefix}/") for key in bucket.objects(f"{prefix}/")}
            assert {n for n in names if not n.startswith("parts/")} == {"manifest.json"}
            assert [key for key in bucket.uploads() if key.startswith(prefix)] == []
            target += 1


def verified(bucket: Any, prefix: str) -> tuple[str, ...]:
    store = bucket.store(url=bucket.url(prefix))
    problems: tuple[str, ...] = verify_archive(store).problems
    store.close()
    return problems


def test_a_killed_export_ends_with_the_same_records(
    stub: StubProcess, bucket: Any, shaky: Any, proxy: S3Proxy, tmp_path: Path
) -> None:
    """After kills at random requests every state reads whole, and the next run, which is not kept
    out by the dead one's lock, ends with what an uninterrupted one does."""
    kill_and_finish(stub, bucket, shaky, proxy, tmp_path, 4, seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_hundred_kills_change_nothing(
    stub: StubProcess, bucket: Any, shaky: Any, proxy: S3Proxy, tmp_path: Path
) -> None:
    """The same for a hundred requests."""
    kill_and_finish(stub, bucket, shaky, proxy, tmp_path, 100, seed=2)


def test_of_runs_that_start_at_once_one_gets_through(
    stub: StubProcess, bucket: Any, tmp_path: Path
) -> None:
    """The others end with one line that says who writes, and have changed nothing."""
    complete(stub, bucket, "alone")
    processes = [start(stub, bucket, "crowded") for _ in range(3)]
    said = [process.communicate(timeout=120)[1].decode() for process in processes]
    lost = [words for process, words in zip(processes, said, strict=True) if process.returncode]
    assert len(lost) < len(processes)
    assert all(process.returncode in (0, 1) for process in processes)
    assert all("is being written by process" in words for words in lost), lost
    assert records(bucket, "crowded", tmp_path) == records(bucket, "alone", tmp_path)
    assert verified(bucket, "crowded") == ()
    assert [key for key in bucket.objects("crowded/") if "parts/" not in key] == ["manifest.json"]


def test_an_interrupted_export_gives_the_lock_back(
    stub: StubProcess, bucket: Any, tmp_path: Path
) -> None:
    """SIGTERM ends it in order: what was committed stands, and no lock stays."""
    process = start(stub, bucket, "stopped")

    async def until_begun() -> None:
        while not any("/parts/" in key for key in bucket.objects("stopped/")):
            if "stopped/manifest.json" in bucket.objects(""):
                return
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(until_begun(), 60))
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode in (0, 143, -15)  # the last: it had ended, but for Python's own end
    assert "stopped/.lgx-lock" not in bucket.objects("")
    complete(stub, bucket, "stopped")
    assert verified(bucket, "stopped") == ()
