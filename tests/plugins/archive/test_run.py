"""Whole runs from a server into an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lgx
from lgx.testing import Deployment, StubServer


async def test_a_thread_that_never_comes_whole_is_told_by_each_run_and_written_by_the_first(
    archives: Any, tmp_path: Path
) -> None:
    """Night after night: exit 3 with its losses, and not a byte more; until it changes."""
    deployment = Deployment.sample(threads=3)
    path = tmp_path / "archive"
    thread = next(iter(deployment.threads.values()))
    thread.poison(0)
    async with StubServer(deployment) as stub:
        source, sink = lgx.use("cloud", url=stub.url), lgx.use("archive", path=str(path))
        first = await lgx.run_async(source, sink)
        before = archives.files(path)
        second = await lgx.run_async(source, sink)
        assert archives.files(path) == before
        assert (first.threads.written, first.threads.partial, first.exit_code) == (2, 1, 3)
        assert (second.threads.unchanged, second.threads.partial, second.exit_code) == (2, 1, 3)
        assert first.losses == second.losses
        assert first.failures == second.failures != []
        thread.poisoned = None
        third = await lgx.run_async(source, sink)
        assert (third.threads.unchanged, third.threads.written, third.exit_code) == (2, 1, 0)
    assert archives.files(path) != before
