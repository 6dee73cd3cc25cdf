"""Documents: the texts in a value, where they stand, and the same bytes with others in them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Interrupt, Send

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import Document, decode, packing

Dump = Callable[[Any], tuple[str, bytes]]


@dataclasses.dataclass
class Note:
    text: str
    tags: set[str]


def texts(document: Document) -> list[tuple[tuple[Any, ...], str]]:
    """The values among the texts, with their paths."""
    return [(text.path, text.value) for text in document.strings() if not text.is_key]


def redacted(document: Document, word: str, by: str) -> bytes:
    """The bytes with one word replaced in all values."""
    return document.replaced(
        {
            text: text.value.replace(word, by)
            for text in document.strings()
            if not text.is_key and word in text.value
        }
    )


def test_texts_have_the_paths_that_the_api_shows(dumped: Dump) -> None:
    """Messages, models and collections are no steps; names of classes are no texts."""
    value = {
        "messages": [HumanMessage("hi", id="1")],
        "note": Note("t", {"a"}),
        "send": [Send("n", {"x": "y"})],
        "ask": Interrupt("why?", id="i"),
        "delta": _DeltaSnapshot(["d"]),
        "plain": ["p", {"q": ["r"]}],
        7: "seven",
        (1, "two"): "pair",
    }

    assert texts(Document.parse(*dumped(value))) == [
        (("messages", 0, "content"), "hi"),
        (("messages", 0, "type"), "human"),
        (("messages", 0, "id"), "1"),
        (("note", "text"), "t"),
        (("note", "tags", 0), "a"),
        (("send", 0, 0), "n"),
        (("send", 0, 1, "x"), "y"),
        (("ask", "value"), "why?"),
        (("ask", "id"), "i"),
        (("delta", 0), "d"),
        (("plain", 0), "p"),
        (("plain", 1, "q", 0), "r"),
        ((7,), "seven"),
        ((None, 1), "two"),
        ((None,), "pair"),
    ]


def test_keys_are_texts_with_the_path_of_their_value(dumped: Dump) -> None:
    """A key may hold what must not be seen as well."""
    document = Document.parse(*dumped({"jane@x.org": {"b": 1}}))

    found = [(text.path, text.value, text.is_key) for text in document.strings()]

    assert found == [
        (("jane@x.org",), "jane@x.org", True),
        (("jane@x.org", "b"), "b", True),
    ]


@pytest.mark.parametrize("by", ["", "x", "<REDACTED>", "é" * 40, "z" * 70_000])
def test_only_what_is_replaced_changes(by: str, dumped: Dump, serializer: Any) -> None:
    """Lengths of the extensions around it follow, however often its own length changes class."""
    value = {
        "messages": [HumanMessage("call jane", id="1"), AIMessage("jane, jane?")],
        "note": Note("jane", {"jane"}),
        "deep": [Send("n", [Send("m", Note("jane", set()))])],
        "number": 1.5,
        "jane": b"jane",
    }
    expected = {
        "messages": [HumanMessage(f"call {by}", id="1"), AIMessage(f"{by}, {by}?")],
        "note": Note(by, {by}),
        "deep": [Send("n", [Send("m", Note(by, set()))])],
        "number": 1.5,
        "jane": b"jane",
    }
    document = Document.parse(*dumped(value))

    assert redacted(document, "jane", by) == dumped(expected)[1]


def test_replacing_texts_by_themselves_changes_no_byte(dumped: Dump) -> None:
    """Nor does replacing none."""
    kind, blob = dumped({"a": [HumanMessage("x" * 300)], "b": Note("é", {"y"})})
    document = Document.parse(kind, blob)

    assert document.replaced({}) is blob
    assert document.replaced({t: t.value for t in document.strings()}) == blob
    wide = Document.parse("msgpack", b"\xdb\0\0\0\1a")
    assert wide.replaced({t: t.value for t in wide.strings()}) == wide.blob


def test_what_no_serializer_writes_stays_beside_what_is_replaced() -> None:
    """Widths that are not the shortest, numbers of 32 bits, duplicate keys."""
    head = b"\xdf\0\0\0\4"
    odd = b"\xa1f\xca\x3f\xc0\0\0" + b"\xa1n\xcf\0\0\0\0\0\0\0\1" + b"\xa1t\xd9\1u"
    document = Document.parse("msgpack", head + odd + b"\xa1n\xa4jane")

    assert redacted(document, "jane", "?") == head + odd + b"\xa1n\xa1?"


def test_an_extension_keeps_its_head_where_its_length_stays() -> None:
    """Even if a shorter one would do."""
    payload = b"\x93" + packing.text("a") + packing.text("b") + packing.text("jane")
    wide = b"\xc9" + len(payload).to_bytes(4) + b"\0"
    document = Document.parse("msgpack", wide + payload)

    assert redacted(document, "jane", "mary") == wide + payload.replace(b"jane", b"mary")
    assert redacted(document, "jane", "jo") == (
        packing.extension_header(0, len(payload) - 2) + payload.replace(b"\xa4jane", b"\xa2jo")
    )


def test_keys_can_be_replaced_but_not_by_one_another(dumped: Dump) -> None:
    """Of two equal keys LangGraph would load the last, and the other's value be gone."""
    document = Document.parse(*dumped({"jane": 1, "mary": 2, "in": {"jane": 3}}))
    found = {text.path: text for text in document.strings()}

    renamed = document.replaced({found["jane",]: "A", found["in", "jane"]: "mary"})
    assert json.loads(decode("msgpack", renamed)) == {"A": 1, "mary": 2, "in": {"mary": 3}}
    for changes in ({("jane",): "mary"}, {("jane",): "X", ("mary",): "X"}, {("in",): "jane"}):
        with pytest.raises(ThreadError, match="two keys of one map would become"):
            document.replaced({found[path]: value for path, value in changes.items()})


@pytest.mark.parametrize(
    ("kind", "blob"),
    [
        ("msgpack", b"\xa1a"),
        ("msgpack", b"\x01"),
        ("msgpack", b"\x91\xa4abcd"),
        ("json", b'["a"]'),
        ("json", b"1"),
        ("bytes", packing.text("abcd")),
    ],
)
def test_a_text_of_another_document_is_refused(kind: str, blob: bytes) -> None:
    """Rather than that a secret stays where somebody thinks it is gone."""
    for other in (b"\xa4abcd", b"\x92\xc0\xa1b"):
        *_, text = Document.parse("msgpack", other).strings()
        with pytest.raises(ThreadError):
            Document.parse(kind, blob).replaced({text: "x"})


def test_a_lone_surrogate_is_refused(dumped: Dump) -> None:
    """LangGraph could not load it."""
    document = Document.parse(*dumped("a"))
    (text,) = document.strings()

    with pytest.raises(ThreadError, match="lone surrogate"):
        document.replaced({text: "\ud800"})


@pytest.mark.parametrize(
    ("kind", "blob"), [("null", b""), ("null", None), ("empty", None), ("bytes", b"abc")]
)
def test_a_value_without_texts_has_none(kind: str, blob: bytes | None) -> None:
    """And is given back as it is."""
    document = Document.parse(kind, blob)

    assert list(document.strings()) == []
    assert document.replaced({}) == (blob or b"")
    assert document.names() == set()


@pytest.mark.parametrize(
    ("kind", "blob", "neutral"),
    [
        ("null", b"", b"null"),
        ("null", None, b"null"),
        ("empty", None, b'{"__lgx__":"empty"}'),
        ("bytes", b"", b'{"__lgx__":"bytes","value":""}'),
        ("bytearray", b"\1", b'{"__lgx__":"bytearray","value":"AQ=="}'),
    ],
)
def test_primitive_types_are_read(kind: str, blob: bytes | None, neutral: bytes) -> None:
    """Those that hold no msgpack."""
    assert decode(kind, blob) == neutral


@pytest.mark.parametrize(
    ("kind", "blob", "message"),
    [
        ("pickle", b"\x80\x04N.", "a value is a pickle, which runs what the data names"),
        ("pickle+aes", b"x" * 40, "a value is a pickle, which runs what the data names"),
        (None, b"", "a value has no type"),
        ("yaml", b"", "a value has the type 'yaml', which is none of null, empty"),
        ("null", b"x", "a value of the type 'null' has 1 bytes, not none"),
        ("msgpack", None, "a msgpack value is damaged at byte 0: it ends too early"),
    ],
)
def test_what_cannot_be_read_says_why(kind: str | None, blob: bytes | None, message: str) -> None:
    """With what the type was."""
    with pytest.raises(ThreadError, match=message):
        decode(kind, blob)


def test_neutral_json_that_nobody_changed_gives_the_bytes_it_came_from() -> None:
    """Also those that `encode` would write in another way."""
    for kind, blob in (
        ("msgpack", b"\xdd\0\0\0\1\xca\x3f\xc0\0\0"),
        ("msgpack", b"\x82\xa1a\1\xa1a\2"),
        ("json", b'{ "a": 1.50, "a": 2E0 }'),
        ("empty", None),
    ):
        document = Document.parse(kind, blob)
        assert document.encoded(document.to_json()) == (kind, blob)


def test_neutral_json_that_was_changed_is_written_as_langgraph_would(
    dumped: Dump, serializer: JsonPlusSerializer
) -> None:
    """A message that is put in beside others becomes a message."""
    document = Document.parse(*dumped({"messages": [HumanMessage("a", id="1")]}))
    value = json.loads(document.to_json())
    value["messages"].append({**value["messages"][0], "content": "b", "id": "2"})

    kind, blob = document.encoded(json.dumps(value).encode())

    assert (kind, blob) == dumped(
        {"messages": [HumanMessage("a", id="1"), HumanMessage("b", id="2")]}
    )


def test_a_text_does_not_show_its_value() -> None:
    """It may end up in a log."""
    (text,) = Document.parse("msgpack", b"\xa6secret").strings()

    assert "secret" not in repr(text)
