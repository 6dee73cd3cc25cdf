"""Compares two places of so many threads, each of so many checkpoints, in a process of its own.

    python many.py THREADS CHECKPOINTS BYTES [rebuilt]

The second place has the same threads, or threads that a server has rebuilt of them. Prints
threads and checkpoints that were equal, and the peak of memory in MB.
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

THREADS, CHECKPOINTS, SIZE = map(int, sys.argv[1:4])
SECOND = "made" if sys.argv[4:] == ["rebuilt"] else "many"
METADATA = {"source": "loop", "step": 1, "graph_id": "agent"}
LABEL = {"source": "many", "fidelity": "replayed"}
FAR = 1000  # each of so many checkpoints has the first one as its parent


class NoOptions(Config, frozen=True, kw_only=True):
    pass


class Many(Source[NoOptions]):
    """Threads that are made when they are read."""

    name = "many"
    config_type = NoOptions
    offers = frozenset({"thread", "checkpoint"})
    refs_per_read = 50
    letter = "c"
    metadata = raw(METADATA)

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
            yield Thread(thread_id=ref.thread_id, metadata=self.metadata)
            for number in range(CHECKPOINTS):
                parent = 0 if number % FAR == 0 else number - 1
                yield Checkpoint(
                    thread_id=ref.thread_id,
                    checkpoint_ns="",
                    checkpoint_id=f"{self.letter}{number:08}",
                    parent_checkpoint_id=f"{self.letter}{parent:08}" if number else None,
                    values=Raw(b'{"text":"%s","n":%d}' % (b"x" * SIZE, number)),
                    metadata=raw(METADATA),
                )
            yield ThreadEnd(thread_id=ref.thread_id, outcome="complete")


class Made(Many):
    """The same threads, as a server has them that has rebuilt them."""

    letter = "d"
    metadata = raw({**METADATA, "lgx": LABEL})


class Registry:
    """Knows no other sources."""

    def source(self, name: str) -> type[Many]:
        return Made if name == "made" else Many

    def components(self, name: str) -> Mapping[str, type[Many]]:
        return {"source": self.source(name)}


registry: Any = Registry()
found = lgx.verify("many", SECOND, registry=registry, memory=16 << 20)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) // 1024  # `ru_maxrss` has that of whoever started this, too
print(found.threads.equal, found.checkpoints.equal, peak)  # noqa: T201
