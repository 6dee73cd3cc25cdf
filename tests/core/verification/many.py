"""Compares two places of so many threads, each of so many checkpoints, in a process of its own.

    python many.py THREADS CHECKPOINTS BYTES

Prints threads and checkpoints that were equal, and the peak of memory in MB.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Raw

import lgx
from lgx import (
    Checkpoint,
    Config,
    Context,
    Probe,
    Query,
    Record,
    Source,
    Thread,
    ThreadEnd,
    ThreadRef,
    raw,
)

THREADS, CHECKPOINTS, SIZE = map(int, sys.argv[1:])
METADATA = raw({"source": "loop", "step": 1, "graph_id": "agent"})


class NoOptions(Config, frozen=True, kw_only=True):
    pass


class Many(Source[NoOptions]):
    """Threads that are made when they are read."""

    name = "many"
    config_type = NoOptions
    offers = frozenset({"thread", "checkpoint"})
    refs_per_read = 50

    async def probe(self, context: Context) -> Probe:
        return Probe()

    async def identity(self) -> str:
        return "many"

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
        for number in range(THREADS):
            yield ThreadRef(thread_id=f"{number:012}", version="1")

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        for ref in refs:
            yield Thread(thread_id=ref.thread_id, metadata=METADATA)
            for number in range(CHECKPOINTS):
                yield Checkpoint(
                    thread_id=ref.thread_id,
                    checkpoint_ns="",
                    checkpoint_id=f"c{number:08}",
                    values=Raw(b'{"text":"%s","n":%d}' % (b"x" * SIZE, number)),
                    metadata=METADATA,
                )
            yield ThreadEnd(thread_id=ref.thread_id, outcome="complete")


class Registry:
    """Knows no other source."""

    def source(self, name: str) -> type[Many]:
        return Many

    def components(self, name: str) -> Mapping[str, type[Many]]:
        return {"source": Many}


registry: Any = Registry()
found = lgx.verify("many", "many", registry=registry, memory=16 << 20)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) // 1024  # `ru_maxrss` has that of whoever started this, too
print(found.threads.equal, found.checkpoints.equal, peak)  # noqa: T201
