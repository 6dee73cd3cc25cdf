"""Peak memory of exports and of reading them back, each in a process of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from measure import Figure, peak_memory

from lgx.testing import StubProcess

_EXPORT = """
from lgx.cli import main
url, target = sys.argv[1:]
assert main(
    ["run", "--source", "cloud", "--source-url", url, "--sink", "archive", "--sink-path", target]
    + ["--no-extras", "--quiet"]
) == 0
"""
_READ_BACK = """
from lgx.cli import main
source, target = sys.argv[1:]
assert main(
    ["run", "--source", "archive", "--source-path", source, "--sink", "ndjson"]
    + ["--sink-path", target, "--quiet"]
) == 0
"""
_BAR = 200


def figures(*, quick: bool = False) -> list[Figure]:
    size = 200 << 20 if quick else 2 << 30
    many = 5_000 if quick else 100_000
    found = []
    step = 256 << 10
    with StubProcess(threads=1, checkpoints=size // step, size=step, cache_bytes=0) as stub:
        found += _there_and_back(f"one thread of {size >> 20} MB", stub.url)
    with StubProcess(threads=many, checkpoints=4, size=500) as stub:
        found += _there_and_back(f"{many} small threads", stub.url)
    return found


def _there_and_back(name: str, url: str) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        archive, lines = Path(folder) / "archive", Path(folder) / "out.ndjson.zst"
        there = peak_memory(_EXPORT, url, str(archive))
        back = peak_memory(_READ_BACK, str(archive), str(lines))
    return [
        Figure(f"{name}: to an archive", f"{there:.0f} MB", f"<= {_BAR} MB", met=there <= _BAR),
        Figure(f"{name}: read back", f"{back:.0f} MB", f"<= {_BAR} MB", met=back <= _BAR),
    ]
