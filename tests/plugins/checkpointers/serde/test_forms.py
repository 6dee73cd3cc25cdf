"""What looks nearly like something that LangGraph writes, and neutral JSON that is none."""

from __future__ import annotations

import json
from typing import Any

import ormsgpack
import pytest

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import decode, encode, packing, reading

DUMP = {"content": "x", "additional_kwargs": {}, "type": "human"}
HUMAN = ("langchain_core.messages.human", "HumanMessage")
VALIDATE = "model_validate_json"
CLOCK = {"hour": 1, "minute": 2, "second": 3, "microsecond": 4, "tzinfo": None, "fold": 0}


def extension(code: int, *payload: Any) -> bytes:
    data = ormsgpack.packb(payload)
    return packing.extension_header(code, len(data)) + data


NEARLY = {
    "a UUID that is too long": extension(0, "uuid", "UUID", "0" * 33),
    "a UUID in capitals": extension(0, "uuid", "UUID", "A" * 32),
    "a UUID with hyphens": extension(0, "uuid", "UUID", "00000000-0000-0000-0000-000000000000"),
    "a UUID by an integer": extension(0, "uuid", "UUID", 1),
    "a UUID and more": extension(0, "uuid", "UUID", "0" * 32, 1),
    "a decimal by a float": extension(0, "decimal", "Decimal", 1.5),
    "a set of a text": extension(0, "builtins", "set", "abc"),
    "a month too many": extension(1, "datetime", "date", [2024, 13, 1]),
    "a year of five digits": extension(1, "datetime", "date", [10_000, 1, 1]),
    "a date of truths": extension(1, "datetime", "date", [2024, True, True]),
    "half a date": extension(1, "datetime", "date", [2024, 1]),
    "a timedelta of floats": extension(1, "datetime", "timedelta", [1, 2.0, 3]),
    "a timedelta of a truth": extension(1, "datetime", "timedelta", [True, 2, 3]),
    "a time in another order": extension(
        2, "datetime", "time", dict(sorted(CLOCK.items(), reverse=True))
    ),
    "a time of 24 hours": extension(2, "datetime", "time", {**CLOCK, "hour": 24}),
    "a time with a fold": extension(2, "datetime", "time", {**CLOCK, "fold": 1}),
    "a time with a false fold": extension(2, "datetime", "time", {**CLOCK, "fold": False}),
    "a time with a zone": extension(2, "datetime", "time", {**CLOCK, "tzinfo": "UTC"}),
    "a datetime by another method": extension(3, "datetime", "datetime", "x", "now"),
    "a datetime by an integer": extension(3, "datetime", "datetime", 1, "fromisoformat"),
    "a send to nowhere": extension(1, "langgraph.types", "Send", [1, 2]),
    "a send of four": extension(1, "langgraph.types", "Send", ["n", 2, 3, 4]),
    "an interrupt that holds a tag": extension(
        2, "langgraph.types", "Interrupt", {"__lgx__": 1, "value": 2}
    ),
    "an interrupt of a list": extension(2, "langgraph.types", "Interrupt", [1]),
    "a message of another class": extension(5, HUMAN[0], "AIMessage", DUMP, VALIDATE),
    "a message of another type": extension(5, *HUMAN, {**DUMP, "type": "ai"}, VALIDATE),
    "a message of another module": extension(5, "mine", "HumanMessage", DUMP, VALIDATE),
    "a message of another method": extension(5, *HUMAN, DUMP, "model_construct"),
    "a message that holds a tag": extension(5, *HUMAN, {**DUMP, "__lgx__": 1}, VALIDATE),
    "a message without content": extension(5, *HUMAN, {"type": "human"}, VALIDATE),
    "a message of an unknown type": extension(5, *HUMAN, {**DUMP, "type": "x"}, VALIDATE),
    "a message with a number for a type": extension(5, *HUMAN, {**DUMP, "type": 1}, VALIDATE),
    "a model without a method": extension(5, "mine", "Model", {}),
    "a model of another method": extension(5, "mine", "Model", {}, "construct"),
    "a model of pydantic 1 with a method": extension(4, "mine", "Model", {}, VALIDATE),
    "a constructor without arguments": extension(0, "mine", "Model"),
    "a constructor with numbers for names": extension(0, 1, 2, 3),
    "a method without a name": extension(3, "mine", "Model", 1, 2),
    "an array without data": extension(6, "<i8", [1], "C"),
    "an array of text": extension(6, "<i8", [1], "C", "12345678"),
    "an array with a shape of text": extension(6, "<i8", ["1"], "C", b"12345678"),
}
GENERAL = ("constructor", "method", "pydantic", "pydantic_v1", "extension")


@pytest.mark.parametrize("name", NEARLY)
def test_what_only_looks_like_a_form_is_told_apart(name: str) -> None:
    """Its neutral form is a general one, and stands for these bytes and for no others."""
    blob = NEARLY[name]
    text = decode("msgpack", blob)

    assert json.loads(text)["__lgx__"] in GENERAL
    assert encode(text) == ("msgpack", blob)
    assert reading.slow(blob) == text


def test_a_message_in_the_place_of_a_messages_dump_stays_one() -> None:
    """Two extensions, one in the other, do not become one."""
    inner = extension(5, *HUMAN, DUMP, VALIDATE)
    head, tail = ormsgpack.packb([*HUMAN, None, VALIDATE]).split(b"\xc0")
    payload = head + inner + tail
    blob = packing.extension_header(5, len(payload)) + payload

    text = decode("msgpack", blob)

    assert json.loads(text) == {
        "__lgx__": "pydantic",
        "module": HUMAN[0],
        "name": HUMAN[1],
        "value": DUMP,
    }
    assert encode(text) == ("msgpack", blob)


@pytest.mark.parametrize(
    ("neutral", "message"),
    [
        ({"__lgx__": "nonsense"}, "has the tag 'nonsense', which is none of lgx's"),
        ({"__lgx__": 7}, "has the tag 7, which is none of lgx's"),
        ([{"__lgx__": "empty"}], "has the tag 'empty', which is none of lgx's"),
        ([{"__lgx__": "bytearray", "value": ""}], "has the tag 'bytearray'"),
        ({"__lgx__": "uuid"}, "'uuid' is malformed: it must have the fields value, and no other"),
        ({"__lgx__": "uuid", "value": "x", "more": 1}, "'uuid' is malformed: it must have"),
        ({"__lgx__": "uuid", "value": 1}, "'uuid' is malformed: 'value' must be str"),
        ({"__lgx__": "bytes", "value": "%%"}, "'bytes' is malformed: 'value' must be base64"),
        ({"__lgx__": "bytes", "value": None}, "'bytes' is malformed: 'value' must be base64"),
        ({"__lgx__": "float", "value": "big"}, "'float' is malformed: no such number as 'big'"),
        ({"__lgx__": "float", "value": "nan:00"}, "no such number as 'nan:00'"),
        ({"__lgx__": "float", "value": "nan:xx"}, "no such number as 'nan:xx'"),
        ({"__lgx__": "float", "value": "nan:" + "00" * 8}, "no such number as 'nan:00"),
        ({"__lgx__": "map", "value": [[1]]}, "'map' is malformed: 'value' must be pairs"),
        ({"__lgx__": "date", "value": "soon"}, "'date' is malformed: 'soon' is none"),
        ({"__lgx__": "time", "value": "12"}, "'time' is malformed: '12' is none"),
        (
            {"__lgx__": "timedelta", "days": True, "seconds": 0, "microseconds": 0},
            "'timedelta' is malformed: 'days' must be int",
        ),
        ({"__lgx__": "extension", "code": 128, "data": ""}, "no extension has the code 128"),
        ({"__lgx__": "constructor", "module": "a", "name": "b"}, "it must have the fields"),
        (2**64, "an integer of 65 bits is more than the 64 that msgpack can hold"),
        (-(2**63) - 1, "an integer of 64 bits is more than"),
    ],
)
def test_neutral_json_that_is_none_is_refused(neutral: Any, message: str) -> None:
    """With what is wrong with it."""
    with pytest.raises(ThreadError) as raised:
        encode(json.dumps(neutral).encode())

    assert message in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1,]",
        b"1 2",
        b"\xff",
        b"NaN",
        b"1e999",
        b"9" * 5000,
        b'"\\ud800"',
        b"[" * 5000,
        b"[" * 5000 + b"]" * 4999 + b"}",
        b"[" * 5000 + b"1 2" + b"]" * 5000,
        b'{"a":' * 5000 + b"NaN" + b"}" * 5000,
        b'{"a"' * 5000,
        b"[" * 5000 + b"]" * 5001,
        b"[" * 5000 + b",]" + b"]" * 5000,
        b"[" * 5000 + b"9" * 5000 + b"]" * 5000,
        b"[" * 5000 + b"nil" + b"]" * 5000,
    ],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    """However deep."""
    with pytest.raises(ThreadError):
        encode(text)


def test_deep_neutral_json_is_written_without_recursion() -> None:
    """Objects and arrays in turn."""
    text = b'[{"a":' * 400 + b'[1,2.5,"x",null,true]' + b"}]" * 400
    kind, blob = encode(text)

    assert decode(kind, blob) == text
