"""Writes one large thread and reads it back, in a process of its own.

    python large.py PATH MEGABYTES ROW_KILOBYTES

Prints the most memory that it took meanwhile, in bytes, and the digests of both sides.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys
from pathlib import Path

from msgspec import Raw

from lgx import (
    Bundle,
    Checkpoint,
    Mark,
    Query,
    RunInfo,
    Spool,
    Thread,
    ThreadEnd,
    ThreadRef,
    encode_line,
)
from lgx.testing import make_context
from lgx_plugins.sqlite import SqliteSink, SqliteSource
from lgx_plugins.sqlite.config import SqliteConfig, SqliteSourceConfig


def peak() -> int:
    """Of this program alone: what `getrusage` says begins with the memory of its parent."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def digest(spool: Spool) -> str:
    sha = hashlib.sha256()
    for line in spool.lines():
        sha.update(line + b"\n")
    return sha.hexdigest()


async def main(path: Path, size: int, row: int) -> None:
    context = make_context(spool_directory=path.parent)
    spool = context.spool()
    spool.append(Thread(thread_id="large"))
    for number in range(size // row):
        text = os.urandom(row // 2).hex().encode()
        spool.append(
            Checkpoint(
                thread_id="large",
                checkpoint_ns="",
                checkpoint_id=f"c{number}",
                values=Raw(b'"%s"' % text),
            )
        )
    async with SqliteSink(SqliteConfig(path=path)) as sink:
        run = RunInfo(source="http://one", started_at="2026", fingerprint="f")
        await sink.begin(run, make_context())
        mark = Mark(version="v", fingerprint="f", checkpoints=spool.checkpoints)
        bundle = Bundle(spool, ref=ThreadRef(thread_id="large", version="v"), mark=mark)
        for _ in range(2):  # the second time it is replaced
            (outcome,) = await sink.write([bundle], context)
            assert outcome.error is None, outcome
        await sink.finish(context)
    written = digest(spool)
    spool.close()
    read = context.spool()
    async with SqliteSource(SqliteSourceConfig(path=path)) as source:
        refs = [ref async for ref in source.list(Query(), context) if isinstance(ref, ThreadRef)]
        async for item in source.read(refs, context):
            if isinstance(item, ThreadEnd):
                assert item.outcome == "complete", item
            else:
                read.append_line(encode_line(item), checkpoint=item.kind == "checkpoint")
    print(peak(), written, digest(read))  # noqa: T201
    read.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) << 20, int(sys.argv[3]) << 10))
