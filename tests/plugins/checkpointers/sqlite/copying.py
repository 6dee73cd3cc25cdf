"""A run of its own process: writes numbered threads in batches, as the engine would.

    python copying.py PATH COUNT

Threads whose marks stand in the target are left out. Prints how many were written.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from lgx import Bundle, CheckpointWrite, Mark, RawCheckpoint, Record, RunInfo, ThreadRef, raw
from lgx.testing import make_context
from lgx_plugins.checkpointers.sqlite import SqliteSaverSink
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverSinkConfig

BATCH = 100


def records(number: int) -> list[Record]:
    thread_id = f"thread {number}"
    states: list[Record] = [
        RawCheckpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=f"c{step}",
            parent_checkpoint_id=f"c{step - 1}" if step else None,
            type="bytes",
            blob=bytes([number % 256]) * (number * 37 % 997),
            metadata=raw({"step": step}),
        )
        for step in range(1 + number % 5)
    ]
    writes = [
        CheckpointWrite(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=f"c{step}",
            task_id="task",
            idx=0,
            channel="x",
            type="bytes",
            blob=b"%d" % number,
            task_path="~p",
        )
        for step in range(1 + number % 5)
    ]
    return [*states, *writes]


async def main(path: Path, count: int) -> int:
    context = make_context()
    written = 0
    async with SqliteSaverSink(SqliteSaverSinkConfig(path=path)) as sink:
        run = RunInfo(source="test://one", started_at="2026", fingerprint="f")
        await sink.begin(run, make_context())
        for start in range(0, count, BATCH):
            refs = [
                ThreadRef(thread_id=f"thread {n}", version="v")
                for n in range(start, min(start + BATCH, count))
            ]
            held = await sink.held(refs)
            bundles = []
            for number, ref in enumerate(refs, start):
                if ref.thread_id in held:
                    continue
                spool = context.spool()
                spool.extend(records(number))
                mark = Mark(version="v", fingerprint="f", checkpoints=spool.checkpoints)
                bundles.append(Bundle(spool, ref=ref, mark=mark))
            outcomes = await sink.write(bundles, context)
            assert [outcome.error for outcome in outcomes] == [None] * len(bundles)
            written += len(bundles)
            for bundle in bundles:
                bundle.close()
        await sink.finish(context)
    return written


if __name__ == "__main__":
    print(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
