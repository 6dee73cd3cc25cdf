"""Values look as a server's history has them."""

from __future__ import annotations

import json
import re
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import ormsgpack
import pytest
from langchain_core.messages import AIMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Interrupt, Send
from pydantic import BaseModel

from lgx import ThreadError
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.state.rendering import Opener

LEVELS = 900


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    one: int
    other: str


@dataclass
class Point:
    x: float
    tags: set[str]


class Model(BaseModel):
    name: str
    raw: bytes = b"\x00"
    when: datetime = datetime(2026, 1, 1, tzinfo=UTC)


VALUES: dict[str, Any] = {
    "numbers": [0, -1, 2**63 - 1, 2**64 - 1, 1.5, 1e300, -0.0],
    "not finite": [float("nan"), float("inf"), -float("inf")],
    "texts": ["", "a\0b", "\ud800 half", "é🎈\u2028"],
    "keys": {1: "a", 2.5: "b", None: "c", 1.5: "d", "a\0": "e"},
    "bytes": [b"", b"\x00\xff" * 9, bytearray(b"x")],
    "collections": [(1, (2,)), {3}, frozenset({4}), deque([5, {6}])],
    "times": [
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        *(date(2026, 1, 2), time(1, 2, 3), time(1, 2, 3, 45), timedelta(days=-1, seconds=3)),
    ],
    "ids and paths": [uuid.UUID(int=9), Path("a/b"), ip_address("::1"), ZoneInfo("Europe/Berlin")],
    "patterns": [re.compile("a+", re.IGNORECASE)],
    "decimals": [Decimal("1.50"), Decimal("NaN"), Decimal("1E+9")],
    "classes": [Colour.RED, Pair(1, "x"), Point(1.5, {"a"}), Model(name="n")],
    "messages": [
        AIMessage("hi", id="1", tool_calls=[{"name": "f", "args": {"n": 1}, "id": "c"}]),
        ToolMessage([{"type": "text", "text": "x"}], tool_call_id="c", artifact={"raw": b"x"}),
        RemoveMessage(id="1"),
    ],
    "of LangGraph": [Send("node", {"raw": b"x"}), Interrupt(value={"q": (1,)}, id="i")],
    "arrays": [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)),
        *(np.array([True, False]), np.array(7), np.zeros((2, 0, 3)), np.zeros((0, 2))),
        *(np.array([1.5, np.nan], dtype=">f8"), np.array([2**64 - 1], dtype=np.uint64)),
        np.float16(0.5) * np.ones(3, dtype=np.float16),
    ],
    "lookalikes": [
        {"__lgx__": "bytes", "value": "AA=="},
        {"type": "ai", "content": "x", "additional_kwargs": {}},
        {"__lgx__": 1, "deep": [{"__lgx__": {}}, b"x"]},
    ],
}


def shown(blob: bytes, kind: str = "msgpack") -> Any:
    return json.loads(Opener(Cipher(None)).shown((kind, blob), "the value"))


@pytest.mark.parametrize("name", VALUES)
def test_values_look_as_in_a_history(name: str, oracle: ModuleType) -> None:
    """Each sort equals what a server reads and sends of the same bytes."""
    kind, blob = JsonPlusSerializer().dumps_typed(VALUES[name])
    assert shown(blob, kind) == oracle.as_json(VALUES[name])


def test_what_the_api_has_no_form_for_keeps_its_tag() -> None:
    """A server shows null there: here nothing is lost."""
    assert shown(ormsgpack.packb([ormsgpack.Ext(99, b"ab")])) == [
        {"__lgx__": "extension", "code": 99, "data": "YWI="}
    ]
    kind, blob = JsonPlusSerializer().dumps_typed(np.array(["a", "bc"]))
    assert shown(blob, kind)["__lgx__"] == "numpy"


def test_values_may_be_deep_as_long_as_nothing_is_to_be_changed() -> None:
    """Where something is, a value that no recursion could walk is refused in words."""
    deep: Any = b"\x91" * LEVELS + b"\x01"
    assert shown(deep) is not None
    with pytest.raises(ThreadError, match="nested too deeply to be shown as a state"):
        shown(b"\x91" * 1000 + b"\xc4\x01x")


def test_the_shape_of_an_array_makes_no_lists_that_no_bytes_stand_for() -> None:
    """A few bytes could ask for milliards of empty ones."""
    payload = ormsgpack.packb(["<f4", [2**31, 2**31, 0], "C", b""])
    assert shown(ormsgpack.packb(ormsgpack.Ext(6, payload)))["__lgx__"] == "numpy"


def test_a_text_that_looks_like_an_escape_stays() -> None:
    """Servers take it for a NUL."""
    assert shown(ormsgpack.packb("\\u0000")) == "\\u0000"
