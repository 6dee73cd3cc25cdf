"""What a crash, a full disk or a failing one leaves, and that the next run goes on from it."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import random
import re
import shutil
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lgx import FatalError, IntegrityError
from lgx.testing import make_context
from lgx_plugins.archive.directory import DirectoryStore
from lgx_plugins.archive.inspection import verify_archive

THREADS = 60


async def contents(archives: Any, path: Path) -> tuple[dict[str, list[bytes]], list[Any]]:
    return await archives.read(path), await archives.read_extras(path, "store_item")


def tear(path: Path, log: Path, rng: random.Random) -> None:
    """What a power cut may do after a kill: bytes and names that no fsync covered are lost."""
    sizes: dict[int, int] = {}
    names: dict[int, set[str]] = {}
    for line in log.read_bytes().splitlines():
        try:
            note = json.loads(line)
        except ValueError:
            continue  # the note itself was cut short
        if note["names"] is None:
            sizes[note["inode"]] = note["size"]
        else:
            names[note["inode"]] = set(note["names"])
    for folder in (path / "parts", path):
        if not folder.is_dir():
            continue
        durable = names.get(folder.stat().st_ino, set())
        for file in sorted(folder.iterdir()):
            if not file.is_file() or file.name == ".lgx-lock":
                continue
            about = file.stat()
            kept = sizes.get(about.st_ino, 0)
            if file.name not in durable and rng.random() < 0.5:
                file.unlink()
            elif about.st_size > kept:
                os.truncate(file, rng.randint(kept, about.st_size))
                if rng.random() < 0.3:  # the size was written, the last blocks were not
                    with file.open("ab") as torn:
                        torn.write(bytes(about.st_size - file.stat().st_size))


def assert_names_tell_the_truth(path: Path) -> None:
    """No file with a final name is broken: each part's name holds its digest."""
    for file in path.glob("parts/*.ndjson.zst"):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert file.name.split("-")[2].startswith(digest[:16])


class Reference(NamedTuple):
    """What exports end with when nothing disturbs them.

    Attributes:
        base: an archive of the older state.
        old: the threads in it.
        whole: what an export over it ends with: threads and extras.
        operations: how many calls that may change files that took.
    """

    base: Path
    old: dict[str, list[bytes]]
    whole: Any
    operations: int


@pytest.fixture
async def reference(
    archives: Any, worker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    path = tmp_path_factory.mktemp("whole")
    base, after = path / "base", path / "after"
    run = {"do": "export", "operations": True}
    assert worker.run(**run, path=str(base), threads=THREADS // 2, version="v0")["exit"] == 0
    shutil.copytree(base, after)
    said = worker.run(**run, path=str(after), threads=THREADS, version="v1")
    assert said["exit"] == 0
    whole = await contents(archives, after)
    assert len(whole[0]) == THREADS
    return Reference(base, await archives.read(base), whole, said["operations"])


def copy_durably(base: Path, target: Path, log: Path) -> None:
    """A copy of an archive of which a power cut takes nothing."""
    shutil.copytree(base, target)
    with log.open("w") as notes:
        for file in (target, *target.rglob("*")):
            about = file.stat()
            names = [entry.name for entry in file.iterdir()] if file.is_dir() else None
            note = {"inode": about.st_ino, "size": about.st_size, "names": names}
            notes.write(json.dumps(note) + "\n")


async def crash_loop(
    archives: Any, worker: Any, path: Path, seed: int, reference: Reference, **options: Any
) -> int:
    """Exports over an older archive, killed again and again; how many kills it took."""
    rng = random.Random(seed)
    target, log = path / f"killed-{seed}", path / f"log-{seed}"
    copy_durably(reference.base, target, log)
    old, whole = reference.old, reference.whole
    run = {"do": "export", "path": str(target), "log": str(log), "operations": True, **options}
    kills = 0
    while True:
        moment = {"moment": rng.randrange(reference.operations), "portion": rng.random()}
        said = worker.run(**run, **moment if kills < 4 else {}, threads=THREADS, version="v1")
        if said["exit"] == 0:
            break
        assert said["exit"] == -9, said
        kills += 1
        if rng.random() < 0.6:
            tear(target, log, rng)
        assert_names_tell_the_truth(target)
        now = await archives.read(target)
        for thread_id, lines in now.items():
            assert lines in (whole[0].get(thread_id), old.get(thread_id))
        assert {thread_id for thread_id in old if thread_id in whole[0]} <= set(now)
    assert await contents(archives, target) == whole
    assert verify_archive(DirectoryStore(target)).problems == ()
    assert sorted(entry.name for entry in target.iterdir()) == ["manifest.json", "parts"]
    return kills


async def loops(count: int, archives: Any, worker: Any, path: Path, reference: Reference) -> None:
    """So many kills, and what belongs to the last."""
    kills = seed = 0
    while kills < count:
        kills += await crash_loop(archives, worker, path, seed, reference)
        seed += 1


async def test_killed_exports_end_as_one_that_was_not(
    archives: Any, worker: Any, tmp_path: Path, reference: Reference
) -> None:
    """After SIGKILL at any call that may change a file, before it, after it or amid a write, with
    unsynced bytes and names torn off, every state reads whole, and running again ends with the
    records of an uninterrupted export."""
    await loops(20, archives, worker, tmp_path, reference)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
async def test_many_killed_exports_end_as_one_that_was_not(
    archives: Any, worker: Any, tmp_path: Path, reference: Reference
) -> None:
    """The same, oftener."""
    await loops(400, archives, worker, tmp_path, reference)


async def test_a_missing_fsync_would_be_found(
    archives: Any, worker: Any, tmp_path: Path, reference: Reference
) -> None:
    """The loop above tells an export that does not sync from one that does."""
    with pytest.raises((AssertionError, IntegrityError)):
        for seed in range(100):
            await crash_loop(archives, worker, tmp_path, seed, reference, unsynced=True)


def failing(
    monkeypatch: pytest.MonkeyPatch, name: str, number: int, error: int
) -> Callable[[], int]:
    """Makes the `number`th call of an `os` function fail, once; tells how many calls came."""
    real = getattr(os, name)
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OSError(error, os.strerror(error))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, call)
    return lambda: calls


async def failure(call: Awaitable[None]) -> str | None:
    """The message of the fatal error that ended the call."""
    try:
        await call
    except FatalError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("fsync", errno.EIO, "the disk reports an error"),
        ("write", errno.ENOSPC, "no space is left"),
        ("write", errno.EDQUOT, "no space is left"),
        ("write", errno.EFBIG, "larger than files may be"),
    ],
)
async def test_a_failing_disk_ends_the_run_and_loses_nothing(
    archives: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: int,
    words: str,
) -> None:
    """Whichever write or fsync fails: one clear error, no further try, what was committed
    reads whole, and the next run ends with everything."""
    first = {f"a{number}": archives.thread(f"a{number}") for number in range(4)}
    second = {f"b{number}": archives.thread(f"b{number}") for number in range(4)}
    number = 0
    while True:
        number += 1
        path = tmp_path / str(number)
        await archives.write(path, first)
        with monkeypatch.context() as patch:
            calls = failing(patch, name, number, error)
            raised = await failure(archives.write(path, second, batch=2))
            if raised is None:
                assert calls() < number
                break
            assert words in raised
            assert str(path) in raised
            if name == "fsync":
                assert calls() == number  # nothing was tried after it failed
        held = await archives.read(path)
        assert set(held) in ({*first}, {*first, "b0", "b1"}, {*first, *second})
        await archives.write(path, second, batch=2)
        assert await archives.read(path) == archives.lines(first | second)
    assert number > 8  # journal, parts and indexes of two batches, manifest


async def test_after_a_failure_the_same_run_writes_nothing_more(
    archives: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that failed refuses further batches, and its finish leaves the archive alone."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    context = archives.context()
    bundle = archives.bundle(context, "b", archives.thread("b"))
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        with monkeypatch.context() as patch:
            failing(patch, "fsync", 3, errno.EIO)
            with pytest.raises(FatalError, match="the disk reports an error"):
                await sink.write([bundle], context)
        with pytest.raises(FatalError, match="could not be written to before"):
            await sink.write([bundle], context)
        await sink.finish(context)
    bundle.close()
    assert set(await archives.read(path)) == {"a"}


async def test_a_cancelled_write_ends_before_the_archive_is_closed(
    archives: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is cancelled: the batch in flight is finished, then the lock is freed."""
    path = tmp_path / "archive"
    context = archives.context()
    bundle = archives.bundle(context, "a", archives.thread("a"))
    begun, go_on, fsync = threading.Event(), threading.Event(), os.fsync

    def waiting(descriptor: int) -> None:
        begun.set()
        go_on.wait()
        fsync(descriptor)

    async def run() -> None:
        async with archives.sink(path) as sink:
            await sink.begin(archives.run(), make_context())
            monkeypatch.setattr(os, "fsync", waiting)
            await sink.write([bundle], context)

    task = asyncio.create_task(run())
    await asyncio.to_thread(begun.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert (path / ".lgx-lock").exists()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    bundle.close()
    assert not (path / ".lgx-lock").exists()
    assert await archives.read(path) == archives.lines({"a": archives.thread("a")})


async def test_a_cancelled_begin_frees_the_lock(
    archives: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive that was opened meanwhile is closed; another run can write at once."""
    path = tmp_path / "archive"
    begun, go_on, fsync = threading.Event(), threading.Event(), os.fsync

    def waiting(descriptor: int) -> None:
        begun.set()
        go_on.wait()
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", waiting)
        async with archives.sink(path) as sink:
            task = asyncio.create_task(sink.begin(archives.run(), make_context()))
            await asyncio.to_thread(begun.wait)
            task.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (path / ".lgx-lock").exists()
    assert sorted(archives.files(path)) == ["manifest.json"]
    await archives.write(path, {"a": archives.thread("a")})
    assert await archives.read(path) == archives.lines({"a": archives.thread("a")})


def test_a_limit_on_file_sizes_is_one_clear_error(worker: Any, tmp_path: Path) -> None:
    """RLIMIT_FSIZE, as `ulimit -f` sets it, ends the run with the file's name and the cause."""
    path = tmp_path / "archive"
    said = worker.run(do="export", path=str(path), threads=60, version="v1", file_limit=20_000)
    assert said["type"] == "FatalError"
    assert re.search(rf"'{path}/.*' is larger than files may be here", said["error"])
    assert said["exit"] == 1


def test_a_directory_without_permission_is_one_clear_error(worker: Any, tmp_path: Path) -> None:
    """A place that cannot be written to is refused with its name and the cause."""
    path = tmp_path / "closed" / "archive"
    path.parent.mkdir(mode=0o500)
    said = worker.run(do="export", path=str(path), threads=1, version="v1", unprivileged=True)
    assert said["type"] == "UsageError"
    # Root's temporary directories may not even be entered by another user.
    told = r"the folder '(.*)' cannot be (?:entered|written to): permission denied; .*"
    match = re.fullmatch(told, said["error"])
    assert match, said["error"]
    assert path.is_relative_to(match[1])
