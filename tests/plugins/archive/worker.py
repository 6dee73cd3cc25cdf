"""Runs commands in forked children: exports that a test may kill, bound or measure.

Reads one JSON object a line; says whatever the child says, and in the end the child's exit status.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 -- what children need is loaded before the fork
import hashlib
import json
import os
import resource
import signal
import sqlite3  # noqa: F401
import stat
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard  # noqa: F401

from lgx import (
    Bundle,
    Checkpoint,
    LgxError,
    Mark,
    Query,
    Record,
    RunInfo,
    StoreItem,
    Thread,
    ThreadEnd,
    ThreadRef,
    raw,
)
from lgx.testing import make_context
from lgx_plugins.archive import ArchiveSink, ArchiveSource

_write = os.write  # what `die_at` counts is the export's own
_CHANGES = ("open", "write", "pwrite", "ftruncate", "fsync", "rename", "unlink", "mkdir")


def say(**words: Any) -> None:
    _write(1, json.dumps(words).encode() + b"\n")


def noise(size: int, *seed: object) -> str:
    """Text that does not compress to nothing, always the same."""
    text = b""
    while len(text) < size // 2:
        text += hashlib.sha512(repr((seed, len(text))).encode()).digest()
    return text.hex()[:size]


def records_of(number: int, version: str) -> tuple[str, list[Record]]:
    thread_id = f"{number:04d}/../{version if number % 10 == 3 else ''}"
    size = 9000 if number % 20 == 7 else 40  # some are split over several parts
    records: list[Record] = [Thread(thread_id=thread_id, metadata=raw({"version": version}))]
    records += [
        Checkpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=f"{step:04d}",
            values=raw({"text": noise(size, number, step, version)}),
        )
        for step in range(10)
    ]
    return thread_id, records


async def export(path: str, threads: int, version: str, **_: Any) -> None:
    """One run of a source with so many threads, which keeps what the archive holds."""
    context = make_context()
    async with ArchiveSink(ArchiveSink.config_type(path=Path(path), part_size=1 << 16)) as sink:
        run = RunInfo(source="worker", started_at="now", fingerprint="f")
        await sink.begin(run, make_context())
        for start in range(0, threads, 6):
            batch = [records_of(number, version) for number in range(start, start + 6)]
            refs = [ThreadRef(thread_id=thread_id, version=version) for thread_id, _ in batch]
            held = await sink.held(refs)
            bundles = []
            for ref, (thread_id, records) in zip(refs, batch, strict=True):
                if thread_id in held and held[thread_id].version == version:
                    continue
                spool = context.spool()
                for record in records:
                    spool.append(record)
                mark = Mark(version=version, fingerprint="f", checkpoints=spool.checkpoints)
                bundles.append(Bundle(spool, ref=ref, mark=mark))
            await sink.write(bundles, context)
            for bundle in bundles:
                bundle.close()
        if version != "v0":
            await sink.forget([f"{number:04d}/../v0" for number in range(threads)])
        spool = context.spool()
        for number in range(20):
            spool.append(StoreItem(namespace=("n",), key=str(number), value=raw(version)))
        await sink.write_extras("store_item", Bundle(spool, ref=None, mark=None), context)
        spool.close()
        await sink.finish(context)


async def write_large(path: str, size: int, **_: Any) -> None:
    """One thread of so many bytes."""
    context = make_context()
    spool = context.spool()
    spool.append(Thread(thread_id="large"))
    count = 0
    messages = [noise(200, number) for number in range(2000)]
    while spool.size < size:
        messages = [*messages[1:], noise(200, "new", count)]
        values = raw({"messages": messages})
        spool.append(
            Checkpoint(
                thread_id="large", checkpoint_ns="", checkpoint_id=f"{count:08d}", values=values
            )
        )
        count += 1
    mark = Mark(version="v", fingerprint="f", checkpoints=count)
    ref = ThreadRef(thread_id="large", version="v")
    async with ArchiveSink(ArchiveSink.config_type(path=Path(path))) as sink:
        run = RunInfo(source="worker", started_at="now", fingerprint="f")
        await sink.begin(run, make_context())
        await sink.write([Bundle(spool, ref=ref, mark=mark)], context)
        await sink.finish(context)
    say(records=spool.count, peak=peak())
    spool.close()


async def write_many(path: str, count: int, **_: Any) -> None:
    """So many small threads."""
    context = make_context()
    async with ArchiveSink(ArchiveSink.config_type(path=Path(path))) as sink:
        run = RunInfo(source="worker", started_at="now", fingerprint="f")
        await sink.begin(run, make_context())
        for start in range(0, count, sink.batch_threads):
            bundles = []
            for number in range(start, min(start + sink.batch_threads, count)):
                spool = context.spool()
                thread_id = f"{number:08d}"
                spool.append(Thread(thread_id=thread_id, metadata=raw({"number": number})))
                ref = ThreadRef(thread_id=thread_id, version="v")
                mark = Mark(version="v", fingerprint="f")
                bundles.append(Bundle(spool, ref=ref, mark=mark))
            await sink.write(bundles, context)
            for bundle in bundles:
                bundle.close()
        await sink.finish(context)
    say(records=count, peak=peak())


async def read_whole(path: str, **_: Any) -> None:
    """Reads all threads, keeping nothing."""
    context = make_context()
    count = 0
    async with ArchiveSource(ArchiveSource.config_type(path=Path(path))) as source:
        refs = []
        async for ref in source.list(Query(), context):
            assert isinstance(ref, ThreadRef)
            refs.append(ref)
            if len(refs) == source.refs_per_read:
                count += await count_records(source, refs, context)
                refs = []
        count += await count_records(source, refs, context)
    say(records=count, peak=peak())


async def count_records(source: ArchiveSource, refs: list[ThreadRef], context: Any) -> int:
    count = 0
    async for item in source.read(refs, context):
        count += not isinstance(item, ThreadEnd)
    return count


async def open_sink(path: str, **_: Any) -> None:
    """Opens an archive for writing, asks for one mark, and lets it be."""
    async with ArchiveSink(ArchiveSink.config_type(path=Path(path))) as sink:
        run = RunInfo(source="worker", started_at="now", fingerprint="f")
        await sink.begin(run, make_context())
        await sink.held([ThreadRef(thread_id="00000001", version="v")])
    say(peak=peak())


COMMANDS = {
    command.__name__: command
    for command in (export, write_large, write_many, read_whole, open_sink)
}


def peak() -> int:
    """The most memory that this process has had, in bytes, without that of its parent."""
    text = Path("/proc/self/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def watch_syncs(log: str) -> None:
    """Notes what every fsync made durable: a file up to a size, or a directory's names."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    fsync = os.fsync

    def noting(file: int) -> None:
        fsync(file)
        about = os.fstat(file)
        names = os.listdir(file) if stat.S_ISDIR(about.st_mode) else None
        note = {"inode": about.st_ino, "size": about.st_size, "names": names}
        _write(descriptor, json.dumps(note).encode() + b"\n")

    os.fsync = noting  # type: ignore[assignment]


def die_at(moment: int | None, portion: float) -> list[int]:
    """Counts calls that may change files, from here on; the one numbered `moment` is the last
    thing that happens.

    Args:
        portion: how much of it: nothing, all, or in between the first bytes of a write.
    """
    count = [0]

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            last = count[0] - 1 == moment
            if last and name == "write":
                args = (args[0], args[1][: round(portion * len(args[1]))])
            done = real(*args, **kwargs) if not last or name == "write" or portion > 0.5 else None
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return call

    for name in _CHANGES:
        setattr(os, name, watched(name, getattr(os, name)))
    return count


def run_child(command: dict[str, Any]) -> int:
    if "log" in command:
        watch_syncs(command["log"])
    if "unsynced" in command:
        os.fsync = lambda file: None  # type: ignore[assignment]
    if "file_limit" in command:
        resource.setrlimit(resource.RLIMIT_FSIZE, (command["file_limit"], command["file_limit"]))
    if command.get("unprivileged") and os.getuid() == 0:
        os.setuid(65534)
    count = None
    if "operations" in command:
        count = die_at(command.pop("moment", None), command.pop("portion", 0.0))
    try:
        asyncio.run(COMMANDS[command.pop("do")](**command))
    except LgxError as error:
        say(error=str(error), type=type(error).__name__)
        return 1
    if count is not None:
        say(operations=count[0])
    return 0


def main() -> None:
    for line in sys.stdin.buffer:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                status = run_child(command)
            except BaseException:  # a child must not go on as its parent
                traceback.print_exc()
            finally:
                os._exit(status)
        say(exit=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
