"""Size of an archive of a real server's data, against zstd over the same records in one file."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from measure import Figure

import lgx
from lgx_plugins.demo.server import RealServer

_TESTS = Path(__file__).parent.parent


def figures(*, quick: bool = False) -> list[Figure]:
    """`quick` changes nothing: the server's data are the same."""
    sys.path.insert(0, str(_TESTS))
    from server.fill import fill  # type: ignore[import-not-found]  # the tests' own data

    with RealServer(_TESTS / "server" / "app") as server, tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(server.url))
        archive, lines = Path(folder) / "archive", Path(folder) / "all.ndjson"
        # Both say 3: there are checkpoints that the server cannot render.
        first = lgx.run(lgx.use("cloud", url=server.url), lgx.use("archive", path=str(archive)))
        again = lgx.run(lgx.use("archive", path=str(archive)), lgx.use("ndjson", path=str(lines)))
        assert (first.exit_code, again.exit_code) == (3, 3), (first.failures, again.failures)
        records = lines.read_bytes().partition(b"\n")[2]
        stored = sum(file.stat().st_size for file in archive.rglob("*") if file.is_file())
    whole = len(_zstd(records))
    return [
        Figure("real server's records", f"{len(records) / 1e6:.1f} MB"),
        Figure("  zstd -9 --long=24, one file", f"{whole / 1e3:.1f} kB"),
        Figure("  archive, all its files", f"{stored / 1e3:.1f} kB"),
        Figure("  archive / zstd", f"{stored / whole:.2f}", "<= 1.30", met=stored <= 1.3 * whole),
    ]


def _zstd(data: bytes) -> bytes:
    import zstandard

    parameters = zstandard.ZstdCompressionParameters.from_level(
        9, window_log=24, enable_ldm=True, write_checksum=True
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)
