"""The "json" type that LangGraph wrote before msgpack."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import Document, decode, encode

ID = uuid.UUID("12345678-1234-5678-9abc-def012345678")


def lc2(path: str, **fields: Any) -> dict[str, Any]:
    """LangGraph's own form."""
    return {"lc": 2, "type": "constructor", "id": path.split("."), **fields}


def blob_of(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("hi", id="1"),
        AIMessage(
            "x", tool_calls=[{"name": "t", "args": {"a": 1}, "id": "c", "type": "tool_call"}]
        ),
        ToolMessage("y", tool_call_id="c", status="error"),
    ],
)
def test_a_message_comes_out_as_the_api_shows_it(
    message: Any, serializer: JsonPlusSerializer
) -> None:
    """With the fields that LangChain's form leaves out, because they have their defaults."""
    blob = blob_of([dumpd(message)])

    assert json.loads(decode("json", blob)) == [message.model_dump()]
    assert serializer.loads_typed(("json", blob)) == [message]


def test_langgraphs_own_form_of_a_message_is_read_too() -> None:
    """As it wrote those of pydantic 1."""
    fields = {"content": "hi", "additional_kwargs": {}, "type": "human", "example": False}
    blob = blob_of(
        lc2(
            "langchain_core.messages.human.HumanMessage",
            method=[None, "construct"],
            kwargs=fields,
        )
    )

    assert json.loads(decode("json", blob)) == {
        **fields,
        "response_metadata": {},
        "name": None,
        "id": None,
    }


@pytest.mark.parametrize(
    ("written", "neutral"),
    [
        (lc2("uuid.UUID", args=[ID.hex]), {"__lgx__": "uuid", "value": str(ID)}),
        (lc2("builtins.set", args=[[1]]), {"__lgx__": "set", "value": [1]}),
        (lc2("decimal.Decimal", args=["1.0"]), {"__lgx__": "decimal", "value": "1.0"}),
        (lc2("datetime.date", args=[2024, 1, 2]), {"__lgx__": "date", "value": "2024-01-02"}),
        (
            lc2("datetime.datetime", method="fromisoformat", args=["2024-01-02T00:00:00"]),
            {"__lgx__": "datetime", "value": "2024-01-02T00:00:00"},
        ),
        (
            lc2("langgraph.types.Send", kwargs={"node": "n", "arg": 1}),
            {
                "__lgx__": "constructor",
                "module": "langgraph.types",
                "name": "Send",
                "kwargs": {"node": "n", "arg": 1},
            },
        ),
        (
            lc2("a.C", args=[1], kwargs={"x": 2}),
            {"__lgx__": "constructor", "module": "a", "name": "C", "args": [1], "kwargs": {"x": 2}},
        ),
        (
            lc2("a.C", args=[1], method="make"),
            {"__lgx__": "constructor", "module": "a", "name": "C", "args": [1], "method": "make"},
        ),
        (lc2("a.C"), {"__lgx__": "constructor", "module": "a", "name": "C", "args": []}),
        ({"lc": 1, "type": "secret", "id": ["K"]}, {"lc": 1, "type": "secret", "id": ["K"]}),
        ({"__lgx__": 1}, {"__lgx__": "object", "value": {"__lgx__": 1}}),
    ],
)
def test_a_constructor_has_the_form_that_msgpack_has(written: Any, neutral: Any) -> None:
    """Whatever it was written in."""
    assert json.loads(decode("json", blob_of([written]))) == [neutral]


def test_numbers_keep_their_digits() -> None:
    """Those that no float and no integer of 64 bits could hold as well."""
    blob = b"[1.10, 1E+2, 1e400, 18446744073709551617, -0.0, 0.1000000000000000055]"

    assert decode("json", blob) == blob.replace(b" ", b"")


def test_what_json_has_no_word_for_gets_its_tag() -> None:
    """Python's own writer puts bare words there."""
    assert json.loads(decode("json", b"[NaN, -Infinity]")) == [
        {"__lgx__": "float", "value": "nan"},
        {"__lgx__": "float", "value": "-inf"},
    ]


def test_a_lone_surrogate_stays_an_escape() -> None:
    """No UTF-8 could hold it."""
    assert decode("json", b'{"\\ud800": "\\udfffx"}') == b'{"\\ud800":"\\udfffx"}'


def test_texts_are_found_and_replaced_and_nothing_else_changes() -> None:
    """White space, digits and escapes stay as they were."""
    blob = '{ "a" : [1.50, "jané", {"jané": "x\\u0041"}],\n"a": "jané" }'.encode()
    document = Document.parse("json", blob)

    found = [(text.path, text.value, text.is_key) for text in document.strings()]
    assert found == [
        (("a",), "a", True),
        (("a", 1), "jané", False),
        (("a", 2, "jané"), "jané", True),
        (("a", 2, "jané"), "xA", False),
        (("a",), "a", True),
        (("a",), "jané", False),
    ]
    changes = {text: '"\n' for text in document.strings() if text.value == "jané"}
    expected = '{ "a" : [1.50, "\\"\\n", {"\\"\\n": "x\\u0041"}],\n"a": "\\"\\n" }'
    assert document.replaced(changes) == expected.encode()


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"{",
        b"[1,]",
        b'{"a" 1}',
        b"[1] 2",
        b'"\xff"',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 100_000,
        b'"' + b"a" * 100_000,
    ],
)
def test_what_is_no_json_is_a_thread_error(blob: bytes) -> None:
    """However it is read."""
    with pytest.raises(ThreadError, match=r'^a value of the type "json" is '):
        decode("json", blob)
    with pytest.raises(ThreadError):
        list(Document.parse("json", blob).strings())
    with pytest.raises(ThreadError):
        Document.parse("json", blob).names()


def test_json_that_is_not_utf8_is_no_value_though_its_names_are_told() -> None:
    """LangGraph writes none; Python would read it."""
    blob = b"\xff\xfe[\x001\x00]\x00"

    with pytest.raises(ThreadError, match="is not UTF-8 at byte 0"):
        decode("json", blob)

    assert Document.parse("json", blob).names() == set()


def test_it_can_be_written_as_msgpack(serializer: JsonPlusSerializer) -> None:
    """LangGraph then loads what it would have loaded before."""
    blob = blob_of(
        {
            "messages": [dumpd(HumanMessage("hi", id="1"))],
            "seen": lc2("builtins.set", args=[[1, 2]]),
            "plain": [1, 2.5, None],
        }
    )

    kind, packed = encode(decode("json", blob))

    assert kind == "msgpack"
    assert packed is not None
    assert serializer.loads_typed((kind, packed)) == serializer.loads_typed(("json", blob))


@pytest.mark.parametrize(
    "fields", [{"args": [1], "kwargs": {"x": 2}}, {"args": [1], "method": "m"}]
)
def test_a_call_that_msgpack_has_no_form_for_is_refused(fields: dict[str, Any]) -> None:
    """Rather than written as another call."""
    text = decode("json", blob_of(lc2("a.b.C", **fields)))

    with pytest.raises(ThreadError, match=r"^a\.b\.C is called by a method, or with"):
        encode(text)
