"""What the sources of one file have in common."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from lgx_plugins.file_source import FileSource
from lgx_plugins.json.source import JsonSource, JsonSourceConfig
from lgx_plugins.ndjson.source import NdjsonSource, NdjsonSourceConfig


@pytest.mark.parametrize("name", ["json", "ndjson"])
async def test_opening_may_be_cancelled(name: str, tmp_path: Path) -> None:
    """At any moment: the file does not stay open."""
    path = tmp_path / "file"
    path.write_bytes(b"{}\n")
    await asyncio.to_thread(int)  # so that what an event loop opens is open
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 -- in a coroutine
    for steps in range(8):
        source: FileSource[Any]
        if name == "json":
            source = JsonSource(JsonSourceConfig(path=path))
        else:
            source = NdjsonSource(NdjsonSourceConfig(path=path))
        opening = asyncio.create_task(source.__aenter__())
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait({opening})
        if not opening.cancelled():
            await source.__aexit__(None, None, None)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
