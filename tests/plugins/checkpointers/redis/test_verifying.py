"""`lgx verify` of exact copies out of Redis, in the layouts that can hold all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lgx


@pytest.mark.parametrize("layout", ["sqlite", "postgres"])
async def test_a_copy_in_another_layout_is_equal(
    layout: str, filled: Any, new_store: Any, tmp_path: Path
) -> None:
    """The whole zoo, snapshots of deltas among it."""
    if layout == "sqlite":
        target = lgx.use("sqlite-saver", path=tmp_path / "copy.db")
    else:
        target = lgx.use("postgres-saver", dsn=new_store().dsn)
    await lgx.run_async(filled.use(), target)

    found = await lgx.verify_async(filled.use(), target)

    assert found.differences == []
    assert (found.exit_code, found.level, found.threads.equal) == (0, "contents", 28)
