"""Reads one large thread, in a process of its own.

    python large.py DSN CONNECTIONS

Prints the most memory that it took meanwhile, in bytes, how many checkpoints came and the
digest of their values.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import sys
from pathlib import Path

from lgx import Checkpoint, Query, Secret, ThreadEnd, ThreadRef
from lgx.testing import make_context
from lgx_plugins.postgres import PostgresSource
from lgx_plugins.postgres.config import PostgresSourceConfig


def peak() -> int:
    """Of this program alone: what `getrusage` says begins with the memory of its parent."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


async def main(dsn: str, connections: int) -> None:
    context = make_context()
    config = PostgresSourceConfig(dsn=Secret(dsn), connections=connections)
    count, digest = 0, hashlib.md5(usedforsecurity=False)
    async with PostgresSource(config) as source:
        refs = [ref async for ref in source.list(Query(), context) if isinstance(ref, ThreadRef)]
        async for item in source.read(refs, context):
            if isinstance(item, ThreadEnd):
                assert item.outcome == "complete", item
            elif isinstance(item, Checkpoint):
                count += 1
                digest.update(memoryview(item.values))  # type: ignore[arg-type]
    print(peak(), count, digest.hexdigest())  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
