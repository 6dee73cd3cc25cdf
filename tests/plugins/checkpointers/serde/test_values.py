"""What LangGraph's serializer writes: what it says in neutral JSON, and back."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import json
import pathlib
import re
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import ormsgpack
import pydantic
import pydantic.v1
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document as Page
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer, _msgpack_ext_hook_to_json
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Command, Interrupt, Send
from langgraph_api.serde import json_dumpb  # type: ignore[import-untyped]

from lgx_plugins.checkpointers.serde import decode, encode, reading

Dump = Callable[[Any], tuple[str, bytes]]


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: object


class Pair(NamedTuple):
    left: int
    right: object


class Model(pydantic.BaseModel):
    name: str
    price: decimal.Decimal
    when: datetime.datetime
    secret: pydantic.SecretStr


class OldModel(pydantic.v1.BaseModel):
    name: str


class SpecialMessage(AIMessage):
    mood: str = "good"


UTC = datetime.UTC
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
ID = uuid.UUID("12345678-1234-5678-9abc-def012345678")
HERE = __name__
NOON = datetime.datetime.fromisoformat("2024-01-02T12:00:00")  # in no zone

CALL = {"name": "search", "args": {"q": "é", "n": [1, None]}, "id": "call-1", "type": "tool_call"}
MESSAGES = {
    "human": HumanMessage("hi", id="1", name="bob"),
    "human with blocks": HumanMessage([{"type": "text", "text": "x"}, "y"]),
    "ai": AIMessage(
        "yes",
        tool_calls=[CALL],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        response_metadata={"model_name": "m", "logprobs": None, "temperature": 0.1},
    ),
    "system": SystemMessage("be good", additional_kwargs={"a": {"b": []}}),
    "tool": ToolMessage("42", tool_call_id="call-1", status="error", artifact={"rows": [1]}),
    "chat": ChatMessage(content="hm", role="critic"),
    "function": FunctionMessage(content="f", name="g"),
    "remove": RemoveMessage(id="1"),
    "ai chunk": AIMessageChunk(content="c", tool_call_chunks=[]),
    "human chunk": HumanMessageChunk(content="c"),
}

# Each value with its neutral form.
NEUTRAL: dict[str, tuple[Any, Any]] = {
    "none": (None, None),
    "truth": ([True, False], [True, False]),
    "small and large integers": (
        [0, -1, 127, 128, -32, -33, 2**32, 2**64 - 1, -(2**63)],
        [0, -1, 127, 128, -32, -33, 2**32, 2**64 - 1, -(2**63)],
    ),
    "floats": ([1.5, 0.1, 1e16, 1e-7, 5e-324], [1.5, 0.1, 1e16, 1e-7, 5e-324]),
    "what is no number": (
        [float("nan"), float("inf"), float("-inf")],
        [{"__lgx__": "float", "value": value} for value in ("nan", "inf", "-inf")],
    ),
    "texts": (["", "é\0\n😀", "x" * 70_000], ["", "é\0\n😀", "x" * 70_000]),
    "bytes": (b"\x00\xff", {"__lgx__": "bytes", "value": "AP8="}),
    "bytes inside": ({"b": b"\x00\xff"}, {"b": {"__lgx__": "bytes", "value": "AP8="}}),
    "a bytearray": (bytearray(b"ab"), {"__lgx__": "bytearray", "value": "YWI="}),
    "tuples": ((1, (2, 3)), [1, [2, 3]]),
    "keys that are no texts": (
        {1: "a", None: "b", (1, 2): "c"},
        {"__lgx__": "map", "value": [[1, "a"], [None, "b"], [[1, 2], "c"]]},
    ),
    "a key that is a tag": (
        {"__lgx__": "uuid", "value": "x"},
        {"__lgx__": "object", "value": {"__lgx__": "uuid", "value": "x"}},
    ),
    "a dict that looks like a message": (
        {"content": "x", "additional_kwargs": {}, "type": "human"},
        {
            "__lgx__": "object",
            "value": {"content": "x", "additional_kwargs": {}, "type": "human"},
        },
    ),
    "sets": (
        [{7}, frozenset({"a"}), collections.deque([1, {2}])],
        [
            {"__lgx__": "set", "value": [7]},
            {"__lgx__": "frozenset", "value": ["a"]},
            {"__lgx__": "deque", "value": [1, {"__lgx__": "set", "value": [2]}]},
        ],
    ),
    "a UUID": (ID, {"__lgx__": "uuid", "value": str(ID)}),
    "decimals": (
        [decimal.Decimal("1.50"), decimal.Decimal("NaN")],
        [{"__lgx__": "decimal", "value": "1.50"}, {"__lgx__": "decimal", "value": "NaN"}],
    ),
    "datetimes": (
        [
            NOON + datetime.timedelta(microseconds=6),
            datetime.datetime(2024, 1, 2, tzinfo=UTC),
            datetime.datetime(2024, 7, 2, tzinfo=BERLIN),
        ],
        [
            {"__lgx__": "datetime", "value": "2024-01-02T12:00:00.000006"},
            {"__lgx__": "datetime", "value": "2024-01-02T00:00:00+00:00"},
            {"__lgx__": "datetime", "value": "2024-07-02T00:00:00+02:00"},
        ],
    ),
    "a date": (datetime.date(2024, 1, 2), {"__lgx__": "date", "value": "2024-01-02"}),
    "times": (
        [datetime.time(1, 2, 3, 40), datetime.time(1, 2), datetime.time(1, tzinfo=UTC, fold=1)],
        [
            {"__lgx__": "time", "value": "01:02:03.000040"},
            {"__lgx__": "time", "value": "01:02:00"},
            {
                "__lgx__": "constructor",
                "module": "datetime",
                "name": "time",
                "kwargs": {
                    "hour": 1,
                    "minute": 0,
                    "second": 0,
                    "microsecond": 0,
                    "tzinfo": {
                        "__lgx__": "constructor",
                        "module": "datetime",
                        "name": "timezone",
                        "args": [
                            {"__lgx__": "timedelta", "days": 0, "seconds": 0, "microseconds": 0}
                        ],
                    },
                    "fold": 1,
                },
            },
        ],
    ),
    "a timedelta": (
        datetime.timedelta(-1, 2, 3),
        {"__lgx__": "timedelta", "days": -1, "seconds": 2, "microseconds": 3},
    ),
    "a zone": (
        BERLIN,
        {
            "__lgx__": "constructor",
            "module": "zoneinfo",
            "name": "ZoneInfo",
            "arg": "Europe/Berlin",
        },
    ),
    "a pattern": (
        re.compile("a+", re.IGNORECASE),
        {"__lgx__": "constructor", "module": "re", "name": "compile", "args": ["a+", 34]},
    ),
    "an address": (
        ipaddress.ip_network("10.0.0.0/8"),
        {
            "__lgx__": "constructor",
            "module": "ipaddress",
            "name": "IPv4Network",
            "arg": "10.0.0.0/8",
        },
    ),
    "an exception": (ValueError("no"), "ValueError('no')"),
    "an enum": (
        Colour.RED,
        {"__lgx__": "constructor", "module": HERE, "name": "Colour", "arg": "red"},
    ),
    "a dataclass": (
        Point(1, Pair(1, None)),
        {
            "__lgx__": "constructor",
            "module": HERE,
            "name": "Point",
            "kwargs": {
                "x": 1,
                "y": {
                    "__lgx__": "constructor",
                    "module": HERE,
                    "name": "Pair",
                    "kwargs": {"left": 1, "right": None},
                },
            },
        },
    ),
    "a model": (
        Model(
            name="n",
            price=decimal.Decimal("1.0"),
            when=NOON,
            secret=pydantic.SecretStr("s"),
        ),
        {
            "__lgx__": "pydantic",
            "module": HERE,
            "name": "Model",
            "value": {
                "name": "n",
                "price": {"__lgx__": "decimal", "value": "1.0"},
                "when": {"__lgx__": "datetime", "value": "2024-01-02T12:00:00"},
                "secret": {
                    "__lgx__": "constructor",
                    "module": "pydantic.types",
                    "name": "SecretStr",
                    "arg": "s",
                },
            },
        },
    ),
    "a model of pydantic 1": (
        OldModel(name="n"),
        {"__lgx__": "pydantic_v1", "module": HERE, "name": "OldModel", "value": {"name": "n"}},
    ),
    "a document": (
        Page(page_content="p", metadata={"n": 1}),
        {
            "__lgx__": "pydantic",
            "module": "langchain_core.documents.base",
            "name": "Document",
            "value": {"id": None, "metadata": {"n": 1}, "page_content": "p", "type": "Document"},
        },
    ),
    "a send": (
        Send("node", {"x": (1,)}),
        {"__lgx__": "send", "node": "node", "arg": {"x": [1]}},
    ),
    "an interrupt": (
        Interrupt("why?", id="i"),
        {"__lgx__": "interrupt", "value": "why?", "id": "i", "response_schema": None},
    ),
    "arrays": (
        [np.arange(3, dtype="<i2"), np.asfortranarray(np.zeros((1, 2), dtype="<f4"))],
        [
            {
                "__lgx__": "numpy",
                "dtype": "<i2",
                "shape": [3],
                "order": "C",
                "data": "AAABAAIA",
            },
            {
                "__lgx__": "numpy",
                "dtype": "<f4",
                "shape": [1, 2],
                "order": "C",
                "data": "AAAAAAAAAAA=",
            },
        ],
    ),
    "the snapshot of a delta channel": (
        _DeltaSnapshot([1, (2,)]),
        {"__lgx__": "delta_snapshot", "value": [1, [2]]},
    ),
}

# Values whose neutral form is not spelled out.
FURTHER: dict[str, Any] = {
    "a path": pathlib.Path("/a/b"),
    "a command": Command(update={"x": HumanMessage("y")}, goto=[Send("n", 1)]),
    "a message of one's own class": [SpecialMessage(content="x"), HumanMessage("y")],
    "a message whose text names what messages have": HumanMessage("additional_kwargs __lgx__"),
    "messages everywhere": Point(1, {"m": [HumanMessage("x"), Send("n", AIMessage("y"))]}),
    "a message with bytes and a set": ToolMessage("x", tool_call_id="1", artifact={b"y", ID}),
    "nested deeply": json.loads("[" * 200 + "]" * 200),
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_value_has_its_neutral_form(name: str, dumped: Dump) -> None:
    """As the table in the package's documentation says."""
    value, expected = NEUTRAL[name]

    text = decode(*dumped(value))

    assert json.loads(text) == expected


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_comes_out_as_the_api_shows_it(name: str, dumped: Dump) -> None:
    """Byte for byte what a server answers, which reads the same bytes."""
    kind, blob = dumped({"messages": [MESSAGES[name]]})
    shown = ormsgpack.unpackb(blob, ext_hook=_msgpack_ext_hook_to_json)

    assert decode(kind, blob) == json_dumpb(shown)
    assert json_dumpb({"messages": [MESSAGES[name]]}) == json_dumpb(shown)


@pytest.mark.parametrize(
    "value",
    [
        *(value for value, _ in NEUTRAL.values()),
        *MESSAGES.values(),
        *FURTHER.values(),
        {"all": [*MESSAGES.values(), *FURTHER.values()]},
    ],
    ids=[*NEUTRAL, *MESSAGES, *FURTHER, "all"],
)
def test_what_was_decoded_encodes_to_the_same_bytes(value: Any, dumped: Dump) -> None:
    """So nothing is lost on the way, whatever the value is."""
    kind, blob = dumped(value)

    assert encode(decode(kind, blob)) == (kind, blob)


@pytest.mark.parametrize(
    "value",
    [*(value for value, _ in NEUTRAL.values()), *MESSAGES.values(), *FURTHER.values()],
    ids=[*NEUTRAL, *MESSAGES, *FURTHER],
)
def test_both_roads_give_one_text(value: Any, dumped: Dump) -> None:
    """The fast one may step aside; where it does not, it says what the slow one says."""
    kind, blob = dumped([value])

    assert kind == "msgpack"
    assert reading.fast(blob) in (None, reading.slow(blob))


def test_common_state_takes_the_fast_road(dumped: Dump) -> None:
    """Bytes, sets and models among the messages are no reason to leave it, nor is talk of them."""
    state = {
        "messages": [*MESSAGES.values(), HumanMessage("what is additional_kwargs?")],
        "b": b"x",
        "s": {1},
        "m": NEUTRAL["a model"][0],
    }

    assert reading.fast(dumped(state)[1]) is not None


def _shown(value: Any) -> Any:
    """What the server makes of the same value: the tags go, what they hold stays."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = value.get("__lgx__")
    if tag in ("constructor", "method"):
        return next(_shown(value[key]) for key in ("arg", "args", "kwargs") if key in value)
    if tag in ("uuid", "decimal", "set", "frozenset", "deque", "datetime", "pydantic", "bytes"):
        return _shown(value["value"])
    if tag == "object":
        return {key: _shown(item) for key, item in value["value"].items()}
    if tag == "date":
        return [int(part) for part in value["value"].split("-")]
    if tag == "timedelta":
        return [value["days"], value["seconds"], value["microseconds"]]
    if tag == "send":
        return {"node": value["node"], "args": _shown(value["arg"])}
    return {key: _shown(item) for key, item in value.items() if key != "__lgx__"}


@pytest.mark.parametrize(
    "value",
    [
        FURTHER["a command"],
        FURTHER["a path"],
        FURTHER["messages everywhere"],
        FURTHER["a message of one's own class"],
        *(
            NEUTRAL[name][0]
            for name in (
                "sets",
                "decimals",
                "datetimes",
                "a date",
                "a timedelta",
                "a zone",
                "a pattern",
                "a UUID",
                "an enum",
                "a model",
                "an interrupt",
                "a send",
                "bytes inside",
            )
        ),
    ],
)
def test_what_the_api_shows_stays_visible(value: Any, dumped: Dump) -> None:
    """A reader who takes the tags away finds what a server's history shows."""
    kind, blob = dumped({"value": value})
    shown = json_dumpb(ormsgpack.unpackb(blob, ext_hook=_msgpack_ext_hook_to_json))

    assert _shown(json.loads(decode(kind, blob))) == json.loads(shown)


def test_what_was_written_loads_as_the_same_value(
    dumped: Dump, serializer: JsonPlusSerializer
) -> None:
    """Neutral JSON is enough for LangGraph to get its objects back."""
    state = {
        "messages": list(MESSAGES.values()),
        "model": NEUTRAL["a model"][0],
        "send": NEUTRAL["a send"][0],
        "sets": NEUTRAL["sets"][0],
    }

    kind, blob = encode(decode(*dumped(state)))

    assert blob is not None
    assert serializer.loads_typed((kind, blob)) == serializer.loads_typed(dumped(state))


def _plain() -> st.SearchStrategy[Any]:
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(),
        st.binary(),
        st.uuids(),
        st.decimals(),
        st.datetimes(timezones=st.sampled_from([None, UTC, BERLIN])),
        st.dates(),
        st.times(),
        st.timedeltas(),
        st.builds(HumanMessage, st.text()),
        st.sampled_from(["__lgx__", "additional_kwargs"]),
    )
    keys = st.one_of(st.text(), st.integers(-5, 5), st.sampled_from(["__lgx__", "type", "content"]))
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(keys, inner, max_size=4),
            st.builds(Send, st.text(), inner),
            st.builds(Point, st.integers(), inner),
            st.builds(_DeltaSnapshot, inner),
        ),
        max_leaves=10,
    )


@settings(max_examples=300)
@given(value=_plain())
def test_any_value_comes_back_byte_for_byte(value: Any) -> None:
    """Of whatever LangGraph's serializer can write."""
    try:
        kind, blob = JsonPlusSerializer().dumps_typed(value)
    except (TypeError, ValueError):  # such as an integer of more than 64 bits in a dataclass
        return
    text = decode(kind, bytes(blob))

    assert encode(text) == (kind, bytes(blob))
    json.loads(text, parse_constant=pytest.fail)
