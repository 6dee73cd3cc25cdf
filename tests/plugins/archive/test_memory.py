"""Memory stays bounded whatever an archive holds, and archives stay small."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lgx import Checkpoint, Record, Thread, raw

BOUND = 200 << 20


def bounded(worker: Any, path: Path, **command: Any) -> None:
    """Writes, opens again and reads back, each in a process of its own."""
    written = worker.run(path=str(path), **command)
    assert written["exit"] == 0
    assert written["peak"] < BOUND
    read = worker.run(do="read_whole", path=str(path))
    assert read["exit"] == 0
    assert read["records"] == written["records"]
    assert read["peak"] < BOUND
    assert worker.run(do="open_sink", path=str(path))["peak"] < BOUND


def test_a_large_thread_needs_little_memory(worker: Any, tmp_path: Path) -> None:
    """200 MB in one thread, over several parts, written and read below the bound."""
    bounded(worker, tmp_path / "archive", do="write_large", size=200_000_000)
    assert len([*(tmp_path / "archive").glob("parts/*.ndjson.zst")]) == 3


def test_many_small_threads_need_little_memory(worker: Any, tmp_path: Path) -> None:
    """The index of all threads lies on disk while an archive is open."""
    bounded(worker, tmp_path / "archive", do="write_many", count=50_000)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_huge_thread_needs_no_more_memory(worker: Any, tmp_path: Path) -> None:
    """2 GB in one thread."""
    bounded(worker, tmp_path / "archive", do="write_large", size=2_000_000_000)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_million_threads_need_no_more_memory(worker: Any, tmp_path: Path) -> None:
    """And their archive's manifest stays small, too."""
    path = tmp_path / "archive"
    bounded(worker, path, do="write_many", count=1_000_000)
    assert (path / "manifest.json").stat().st_size < 200_000


def conversation(number: int, rng: random.Random) -> list[Record]:
    """A thread as chats make them: each state repeats all messages before it."""
    thread_id = f"{rng.getrandbits(128):032x}"
    records: list[Record] = [Thread(thread_id=thread_id, metadata=raw({"graph_id": "agent"}))]
    messages: list[dict[str, object]] = [{"type": "system", "content": "Be brief. " * 40}]
    for step in range(rng.randint(2, 30)):
        words = " ".join(f"{rng.getrandbits(20):x}" for _ in range(rng.randint(3, 60)))
        messages.append({"type": "human", "content": words, "id": f"{rng.getrandbits(128):032x}"})
        records.append(
            Checkpoint(
                thread_id=thread_id,
                checkpoint_ns="",
                checkpoint_id=f"{rng.getrandbits(128):032x}",
                values=raw({"messages": messages}),
                metadata=raw({"source": "loop", "step": step, "user": number}),
            )
        )
    return records


async def test_an_archive_is_hardly_larger_than_one_compressed_file(
    archives: Any, tmp_path: Path
) -> None:
    """All files together: at most 1.3 times the same records as one stream at the same level
    and window."""
    rng = random.Random(1)
    threads = {}
    for number in range(300):
        records = conversation(number, rng)
        assert isinstance(records[0], Thread)
        threads[records[0].thread_id] = records
    path = tmp_path / "archive"
    await archives.write(path, threads)
    lines = archives.lines(threads)
    text = b"".join(line + b"\n" for thread_id in sorted(lines) for line in lines[thread_id])
    parameters = zstandard.ZstdCompressionParameters.from_level(9, window_log=24, enable_ldm=True)
    one = len(zstandard.ZstdCompressor(compression_params=parameters).compress(text))
    whole = sum(map(len, archives.files(path).values()))
    assert len(text) > 10_000_000
    assert whole <= 1.3 * one
