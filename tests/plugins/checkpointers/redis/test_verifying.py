"""`lgx verify` of exact copies out of Redis, and into it as far as it can hold them."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite import SqliteSaver

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


async def test_a_copy_into_redis_and_back_is_equal(store: Any, tmp_path: Path) -> None:
    """Of every type that Redis has a form for, which is not that of the other layouts; states
    show it as these do."""
    values = {
        "moment": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        "elsewhere": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        "naive": datetime.fromisoformat("2026-01-02T03:04:00"),
        "days": [date(2026, 1, 2), {"time": time(3, 4, 5, 6)}, time(3, 4)],
        "span": timedelta(days=-1, microseconds=7),
        "id": UUID("0123456789abcdef0123456789abcdef"),
        "price": Decimal("1.10"),
        "sets": [{1}, frozenset({"a"}), deque([1, 2])],
        "raw": b"\x00\xff",
        "said": HumanMessage(content="hi", id="1"),
    }
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = values
    checkpoint["channel_versions"] = dict.fromkeys(values, "1")
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    first, back = tmp_path / "first.db", tmp_path / "back.db"
    with SqliteSaver.from_conn_string(str(first)) as saver:
        saved = saver.put(config, checkpoint, {"source": "input", "step": -1}, {})
        saver.put_writes(saved, [*values.items()], "task")
    uses = [
        lgx.use("sqlite-saver", path=first),
        store.use(),
        lgx.use("sqlite-saver", path=back),
    ]

    for source, target in pairwise(uses):
        report = await lgx.run_async(source, target)
        assert (report.exit_code, report.losses) == (0, [])
        found = await lgx.verify_async(source, target)
        assert (found.exit_code, found.differences) == (0, [])

    with SqliteSaver.from_conn_string(str(back)) as saver:
        assert next(saver.list(None)).checkpoint["channel_values"] == values
    shown = []
    for number, use in enumerate(uses):
        path = tmp_path / f"{number}.ndjson"
        await lgx.run_async(use, lgx.use("ndjson", path=path), fidelity="state")
        shown.append([json.loads(line)["values"] for line in path.read_text().splitlines()[2:]])
    assert shown[0] == shown[1] == shown[2]
    assert shown[0][0]["elsewhere"] == "2026-01-02T00:00:00-03:30"
