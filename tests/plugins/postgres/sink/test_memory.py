"""Size: memory depends on the largest record, and what JSONB cannot hold costs its thread."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from msgspec import Raw

from lgx.testing import PostgresServer, StubProcess

_EXPORT = """
import sys, lgx
url, dsn, layout = sys.argv[1:]
sink = lgx.use("postgres", dsn=dsn, layout=layout)
report = lgx.run(lgx.use("cloud", url=url), sink, extras=False)
assert report.exit_code == 0, report.failures
again = lgx.run(lgx.use("cloud", url=url), sink, extras=False, full=True)
assert again.exit_code == 0, again.failures
status = open("/proc/self/status").read()
print(status.partition("VmHWM:")[2].split()[0])
"""


def _peak(database: str, megabytes: int, kilobytes: int, layout: str) -> int:
    """The most memory that writing a thread twice took, in bytes."""
    size = kilobytes << 10
    count = (megabytes << 20) // size
    with StubProcess(threads=1, checkpoints=count, size=size, cache_bytes=0) as stub:
        done = subprocess.run(
            [sys.executable, "-c", _EXPORT, stub.url, database, layout],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


@pytest.mark.timeout(180)
@pytest.mark.parametrize("layout", ["plain", pytest.param("dedup", marks=pytest.mark.nightly)])
def test_a_thread_of_100_megabytes_is_streamed(
    postgres_server: PostgresServer, database: str, layout: str
) -> None:
    """Written, and written again where it stands, in far less than twice its size."""
    assert _peak(database, 100, 100, layout) <= 180_000_000
    assert postgres_server.execute(database, "SELECT count(*) FROM langgraph_checkpoints") == [
        (1024,)
    ]


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_thread_of_2_gigabytes_takes_at_most_250_megabytes(database: str) -> None:
    """The same at length."""
    assert _peak(database, 2048, 256, "plain") <= 250_000_000


_ELSEWHERE = "); an archive or an ndjson file can"
_BY_SIZE = "holds 268435455 at most; move this thread into an archive or an ndjson file"
_REFUSALS = {
    ("string", "plain"): _BY_SIZE,
    ("string", "dedup"): f"(string too long to represent as jsonb string{_ELSEWHERE}",
    ("numbers", "plain"): f"(invalid memory alloc request size 1073741824{_ELSEWHERE}",
    ("numbers", "dedup"): f"(invalid memory alloc request size 1073741824{_ELSEWHERE}",
    ("elements", "plain"): _BY_SIZE,
    ("elements", "dedup"): (
        f"(total size of jsonb object elements exceeds the maximum of 268435455 bytes{_ELSEWHERE}"
    ),
}


def _values(kind: str) -> Raw:
    """More than JSONB holds, each in another way."""
    if kind == "string":
        return Raw(b'{"text":"%b"}' % (b"x" * (1 << 28)))
    if kind == "numbers":  # two bytes as text, twelve as JSONB
        return Raw(b'{"n":[%b1]}' % (b"1," * 34_000_000))
    text = b'"%b"' % (b"x" * (100 << 20))
    return Raw(b'{"a":[%b,%b],"b":%b}' % (text, text, text))


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.parametrize("layout", ["plain", "dedup"])
@pytest.mark.parametrize("kind", ["string", "numbers", "elements"])
async def test_what_jsonb_cannot_hold_costs_its_thread(
    shop: Any, lines: Any, kind: str, layout: str
) -> None:
    """256 MB of elements, or in one string, are its limit; what the layout keeps in pieces is
    refused too where no query could put it together."""
    records = shop.thread("large", 1, values=_values(kind))
    async with shop.sink(layout=layout) as sink:
        bundles = [shop.bundle(records), shop.bundle(shop.thread("t"))]
        large, other = await sink.write(bundles, shop.context)
    assert other.error is None
    assert large.error is not None
    assert large.error.endswith(_REFUSALS[kind, layout])
    assert await shop.read() == {"t": lines(shop.thread("t"))}
