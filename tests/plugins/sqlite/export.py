"""A run of its own process: writes numbered threads in batches, as the engine would.

    python export.py PATH COUNT [LIMIT]

Threads whose marks stand in the target are left out. Prints how many were written. LIMIT is
the size beyond which no file may grow. An error of lgx's is printed and ends it with 1.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from lgx import Bundle, Checkpoint, LgxError, Mark, Record, RunInfo, Thread, ThreadRef, raw
from lgx.testing import make_context
from lgx_plugins.sqlite import SqliteSink
from lgx_plugins.sqlite.config import SqliteConfig

BATCH = 100


def records(number: int) -> list[Record]:
    thread_id = f"thread {number}"
    states = [
        Checkpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=f"c{step}",
            values=raw({"number": number, "step": step, "text": "x" * (number * 37 % 997)}),
        )
        for step in range(1 + number % 5)
    ]
    return [Thread(thread_id=thread_id, metadata=raw({"number": number})), *states]


async def main(path: Path, count: int) -> int:
    context = make_context()
    written = 0
    async with SqliteSink(SqliteConfig(path=path)) as sink:
        run = RunInfo(source="http://one", started_at="2026", fingerprint="f")
        await sink.begin(run, make_context())
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            refs = [ThreadRef(thread_id=f"thread {n}", version="v") for n in numbers]
            held = await sink.held(refs)
            bundles = []
            for number, ref in zip(numbers, refs, strict=True):
                if ref.thread_id in held:
                    continue
                spool = context.spool()
                for record in records(number):
                    spool.append(record)
                mark = Mark(version="v", fingerprint="f", checkpoints=spool.checkpoints)
                bundles.append(Bundle(spool, ref=ref, mark=mark))
            outcomes = await sink.write(bundles, context)
            assert [outcome.error for outcome in outcomes] == [None] * len(bundles)
            written += len(bundles)
            for bundle in bundles:
                bundle.close()
            print(f"{start} done", flush=True)  # noqa: T201
        await sink.finish(context)
    return written


if __name__ == "__main__":
    if len(sys.argv) > 3:
        size = int(sys.argv[3])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        print(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
    except LgxError as error:
        print(f"{type(error).__name__}: {error}")  # noqa: T201
        sys.exit(1)
