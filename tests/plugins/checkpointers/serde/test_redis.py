"""The JSON of RedisSaver's serializer: whatever it holds, and from msgpack and back."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.redis import RedisSaver
from langgraph.checkpoint.redis.jsonplus_redis import JsonPlusRedisSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Send

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import redisjson
from lgx_plugins.checkpointers.serde.redisdump import Dump

_MARKS = ("__send__", "__bytes__", "__interrupt__", "__delta_snapshot__", "__set_items__")
_KEYS = st.sampled_from(
    (*_MARKS, "lc", "type", "id", "args", "kwargs", "node", "arg", "value", "method", "x")
)
_WORDS = st.sampled_from(
    ["constructor", "builtins", "set", "os", "system", "langchain", "messages"]
)
_HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=12,
)
_PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.just(UTC) | st.none())
    | st.timedeltas()
    | st.frozensets(st.integers(0, 9), max_size=3)
    | st.sets(st.text("ab", max_size=2), max_size=3)
)
_VALUES = st.recursive(
    _PLAIN | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
        | st.builds(Send, st.text("n", min_size=1, max_size=3), inner)
    ),
    max_leaves=8,
)


@given(_HOSTILE)
@settings(max_examples=300, deadline=None)
def test_nothing_but_its_own_error(value: Any) -> None:
    """Whatever looks like a mark or a constructor: it is translated, or the thread fails."""
    with suppress(ThreadError):
        redisjson.of_write(orjson.dumps(value))
    with suppress(ThreadError):
        redisjson.of_channels({"channel_values": {"x": value}})


def test_depth_is_an_error_of_the_thread() -> None:
    """No level of nesting brings the program down, nor what is no JSON."""
    for text in (b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900, b"[1", b"\xff", b""):
        with suppress(ThreadError):
            redisjson.of_write(text)


@given(_VALUES)
@settings(max_examples=300, deadline=None)
def test_what_is_written_for_redis_saver_is_read_by_it_and_by_lgx(value: Any) -> None:
    """RedisSaver's reader makes the value of it again, and so does LangGraph of lgx's msgpack."""
    kind, blob = JsonPlusSerializer().dumps_typed([value])
    dump = Dump()
    (tree,) = dump.tree(kind, blob)
    assert not dump.lost
    stored = json.loads(orjson.dumps(tree))
    read = _reader()._recursive_deserialize(stored)
    packed = redisjson.of_channels({"channel_values": {"x": stored}})
    found = JsonPlusSerializer().loads_typed(("msgpack", packed))["channel_values"]["x"]
    wanted = JsonPlusSerializer().loads_typed((kind, blob))[0]
    for one in (read, found):
        assert repr(one) == repr(wanted) or one == wanted
        assert type(one) is type(wanted)


def _reader() -> RedisSaver:
    """RedisSaver, as far as it reads the values of channels."""
    saver = RedisSaver.__new__(RedisSaver)
    saver.serde = JsonPlusRedisSerializer()
    return saver


def test_what_redis_saver_writes_loads_as_it_loads_it() -> None:
    """Values of writes, of all types that its serializer keeps, and of some that it loses."""
    serializer = JsonPlusRedisSerializer()
    for value in (
        {"set": {1, 2}, "send": Send("a", {"b": [1]}), "text": "Zoë 🎈"},
        [Decimal("1.5"), UUID(int=1), date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)],
        timedelta(1),
        {
            "old": {
                "lc": 2,
                "type": "constructor",
                "id": ["builtins", "set"],
                "kwargs": {"__set_items__": [1]},
            }
        },
    ):
        kind, blob = serializer.dumps_typed(value)
        assert kind == "json"
        found = JsonPlusSerializer().loads_typed(("msgpack", redisjson.of_write(blob)))
        assert found == serializer.loads_typed((kind, blob))


def test_bytes_are_base64() -> None:
    """As RedisSaver marks them in the values of channels."""
    stored = {"__bytes__": base64.b64encode(b"\x00\xff").decode()}
    packed = redisjson.of_channels({"channel_values": {"x": stored}})
    assert JsonPlusSerializer().loads_typed(("msgpack", packed))["channel_values"] == {
        "x": b"\x00\xff"
    }
