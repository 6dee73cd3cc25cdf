"""Memory depends on the largest record, not on the size of a thread."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
