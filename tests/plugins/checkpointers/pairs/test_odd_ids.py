"""Ids that no database holds, which only a checkpointer in memory can have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver

import lgx
from lgx import Use

ODD = ("\ud800", "half \udfff of one")


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Use:
    saver = InMemorySaver()
    for thread_id in ("a", *ODD, "z"):
        config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
        put = saver.put(config, empty_checkpoint(), {}, {})
        saver.put_writes(put, [("a", 1)], "task")
    module = ModuleType("lgx_test_odd_ids")
    module.saver = saver  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return lgx.use("saver", factory=f"{module.__name__}:saver")


@pytest.fixture(params=["sqlite-saver", "postgres-saver"])
def sink(request: pytest.FixtureRequest, new_store: Callable[[], Any], tmp_path: Path) -> Use:
    if request.param == "sqlite-saver":
        return lgx.use("sqlite-saver", path=str(tmp_path / "copy.db"))
    return lgx.use("postgres-saver", dsn=new_store().dsn)


async def test_a_thread_with_such_an_id_fails_alone(source: Use, sink: Use) -> None:
    """All others arrive, also in a run after the first; a dry run foretells it."""
    first = await lgx.run_async(source, sink)
    foretold = await lgx.run_async(source, sink, dry_run=True)
    again = await lgx.run_async(source, sink, full=True)

    assert (first.exit_code, first.threads.written) == (3, 2)
    for found in (first, foretold, again):
        assert {failure.thread_id for failure in found.failures} == {*ODD}
        assert all("lone surrogate" in failure.why for failure in found.failures)
