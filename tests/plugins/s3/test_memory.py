"""Memory is bounded by the size of requests and their number, whatever an archive holds."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

BOUND = 250_000_000

WRITE = """
import asyncio, os, sys
from lgx import Bundle, Checkpoint, Mark, Thread, ThreadRef, raw
from lgx.testing import make_context, make_run
from lgx_plugins.s3 import S3Sink

url, endpoint, size = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def main():
    context = make_context()
    spool = context.spool()
    spool.append(Thread(thread_id="large"))
    while spool.size < size:  # hardly compressible: as large in the store as here
        values = raw({"noise": os.urandom(400_000).hex()})
        spool.append(Checkpoint(thread_id="large", checkpoint_ns="", values=values,
                                checkpoint_id=f"{spool.count:08d}"))
    mark = Mark(version="1", fingerprint="f" * 64, checkpoints=spool.checkpoints)
    bundle = Bundle(spool, ref=ThreadRef(thread_id="large", version="1"), mark=mark)
    async with S3Sink(S3Sink.config_type(url=url, endpoint_url=endpoint, level=1)) as sink:
        await sink.begin(make_run(), make_context())
        await sink.write([bundle], context)
        await sink.finish(context)
    bundle.close()

asyncio.run(main())
"""
READ = """
import asyncio, sys
from lgx import Query
from lgx.testing import make_context
from lgx_plugins.s3 import S3Source

url, endpoint, size = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def main():
    context = make_context()
    got = 0
    async with S3Source(S3Source.config_type(url=url, endpoint_url=endpoint)) as source:
        refs = [ref async for ref in source.list(Query(), context)]
        async for item in source.read(refs, context):
            got += len(bytes(getattr(item, "values", b"") or b""))
    assert got > size * 0.95, got

asyncio.run(main())
"""
PEAK = """
status = open("/proc/self/status").read()
print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
"""


def peak(code: str, bucket: Any, size: int) -> int:
    """The most memory that a process of its own had."""
    command = [sys.executable, "-c", code + PEAK, bucket.url(), bucket.endpoint_url, str(size)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def there_and_back(bucket: Any, size: int) -> None:
    assert peak(WRITE, bucket, size) < BOUND
    assert peak(READ, bucket, size) < BOUND


def test_a_large_thread_needs_little_memory(bucket: Any) -> None:
    """200 MB in one thread, over several parts and many requests, written and read."""
    there_and_back(bucket, 200_000_000)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_huge_thread_needs_no_more_memory(bucket: Any) -> None:
    """2 GB."""
    there_and_back(bucket, 2_000_000_000)
