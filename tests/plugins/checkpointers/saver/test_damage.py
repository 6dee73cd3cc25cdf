"""Bytes that a checkpointer passes over in silence are told."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver

UNFINISHED = b"\x92\x01\xc7\x03\x00\x93\xa1o"
"""A list with a number, and an object whose bytes end too early: LangGraph reads [1, None]."""


@pytest.fixture
def saver() -> InMemorySaver:
    saver = InMemorySaver()
    checkpoint: Any = {
        **empty_checkpoint(),
        "id": "c",
        "channel_values": {"a": [1]},
        "channel_versions": {"a": "1"},
    }
    for thread_id in ("damaged", "sound"):
        config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
        put = saver.put(config, checkpoint, {}, {"a": "1"})
        saver.put_writes(put, [("a", 1)], "task")
    return saver


async def test_a_value_that_is_damaged_makes_its_thread_partial(
    savers: Any, saver: InMemorySaver
) -> None:
    saver.blobs["damaged", "", "a", "1"] = ("msgpack", UNFINISHED)
    found: Any = saver.get_tuple({"configurable": {"thread_id": "damaged"}})
    assert found.checkpoint["channel_values"] == {"a": [1, None]}

    _, ends, *_ = await savers.read(saver)

    assert {name: end.outcome for name, end in ends.items()} == {
        "damaged": "partial",
        "sound": "complete",
    }
    (loss,) = ends["damaged"].losses
    assert loss.what == "an object in checkpoint 'c' of namespace ''"
    assert "its bytes are damaged" in loss.why


async def test_so_does_a_write(savers: Any, saver: InMemorySaver) -> None:
    (rows,) = (rows for key, rows in saver.writes.items() if key[0] == "damaged")
    rows["task", 0] = ("task", "a", ("msgpack", UNFINISHED), "")

    _, ends, *_ = await savers.read(saver)

    assert ends["damaged"].outcome == "partial"
    assert ends["sound"].outcome == "complete"
