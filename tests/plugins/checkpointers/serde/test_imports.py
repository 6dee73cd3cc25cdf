"""What loading a value would make LangGraph import."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde import _msgpack
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Send

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import SAFE, UNTOLD, Document, names, packing, unsafe

Dump = Callable[[Any], tuple[str, bytes]]


class Own:
    """A namedtuple to LangGraph's serializer."""

    def __init__(self, value: object) -> None:
        self.value = value

    def _asdict(self) -> dict[str, object]:
        return {"value": self.value}


def call(code: int, payload: object) -> bytes:
    data = payload if isinstance(payload, bytes) else pack(payload)
    return packing.extension_header(code, len(data)) + data


def pack(value: object) -> bytes:
    return ormsgpack.packb(value, option=ormsgpack.OPT_NON_STR_KEYS)


def test_the_safe_list_is_langgraphs() -> None:
    """Neither more nor less than what its strict mode loads."""
    assert SAFE == _msgpack.SAFE_MSGPACK_TYPES


def test_names_are_found_at_every_depth(dumped: Dump) -> None:
    """In what is nested in one another, and once each."""
    value = {"a": [Own(Send("n", {1: Own({HumanMessage("x").content})})), HumanMessage("y")]}

    found = names(*dumped(value))

    assert found == {
        (Own.__module__, "Own"),
        ("langgraph.types", "Send"),
        ("builtins", "set"),
        ("langchain_core.messages.human", "HumanMessage"),
    }
    assert unsafe(found) == [(Own.__module__, "Own")]


def test_they_are_those_that_langgraph_itself_reports(
    dumped: Dump, serializer: JsonPlusSerializer
) -> None:
    """What it would load with a warning is what is unsafe here."""
    events: list[tuple[str, str]] = []
    remove = register_serde_event_listener(lambda e: events.append((e["module"], e["name"])))
    kind, blob = dumped({"x": [Own(1), Own([Own(2), {3}])], "m": HumanMessage("y")})
    try:
        serializer.loads_typed((kind, blob))
    finally:
        remove()

    assert set(events) == set(unsafe(names(kind, blob)))


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (call(0, ["os", "system", "id"]), ("os", "system")),
        (call(1, ["os", "system", ["id"]]), ("os", "system")),
        (call(2, ["os", "system", {}]), ("os", "system")),
        (call(4, ["os", "system", {}]), ("os", "system")),
        (call(5, ["os", "system", {}, "x"]), ("os", "system")),
        (call(5, ["os", "system"]), ("os", "system")),
        (call(3, ["os", "path", "/x", "join"]), ("os", "path.join")),
        (call(3, ["datetime", "datetime", "x", "now"]), ("datetime", "datetime.now")),
        (call(0, {0: "os", 1: "system", 2: "id"}), UNTOLD),
        (call(0, call(0, ["collections", "deque", ["os", "system", "id"]])), UNTOLD),
        (call(0, ["os", call(0, ["builtins", "str", "system"]), "id"]), UNTOLD),
        (call(0, "os"), UNTOLD),
        (b"\x91" * 900 + call(0, ["os", "system", "id"]), ("os", "system")),
        (b"\x81" + call(0, ["os", "system", "id"]) + b"\xc0", ("os", "system")),
        (call(7, call(0, ["os", "system", "id"])), ("os", "system")),
        (call(6, b"\x94\xa1a" + call(0, ["os", "system", "id"]) + b"\xc0\xc0"), ("os", "system")),
        (b"\x91" + call(0, pack(["os", "system", "id"]) + b"\xc1"), ("os", "system")),
    ],
)
def test_a_name_cannot_hide(blob: bytes, expected: tuple[str, str]) -> None:
    """Odd forms with which LangGraph's reader can be made to import something are told as well."""
    found = names("msgpack", blob)

    assert expected in found
    assert expected in unsafe(found)


EVIL = call(0, ["os", "system", "id"])


@pytest.mark.parametrize(
    ("kind", "blob"),
    [
        ("msgpack", b"\x92" + EVIL + b"\xc1"),
        ("msgpack", b"\x93" + call(0, b"\x93\xa2os") + EVIL + b"\xc0\xc1"),
        ("msgpack", b"\x92" + EVIL),
        ("msgpack", b"\x92" + call(0, b"\x92" + EVIL) + b"\xc1"),
        ("msgpack", b"\x92" + call(0, b"\x94\xa2os\xa6system\xa2id") + b"\xc1"),
        ("msgpack", b"\x92" + EVIL + b"\x91" * 2000 + b"\xc0"),
        ("msgpack", b"\xdd\xff\xff\xff\xff" + EVIL),
        ("msgpack", b"\xdf\xff\xff\xff\xff\x01" + EVIL),
        ("json", b'[{"lc": 2, "type": "constructor", "id": ["os", "system"]}, '),
        ("json", b'[{"lc": 2, "type": "constructor", "id": ["os", "system"]},' + b"[" * 99_999),
    ],
)
def test_names_before_and_beside_damage_are_told(kind: str, blob: bytes) -> None:
    """LangGraph imports while it reads: when it comes to the damage, it has done so."""
    found: set[tuple[str, str]] = set()

    with pytest.raises(ThreadError):
        Document.parse(kind, blob).gather_names(found)

    assert found == {("os", "system")}


def test_odd_forms_before_damage_are_told_as_such() -> None:
    """Also those that bytes follow, which LangGraph does not look at."""
    found: set[tuple[str, str]] = set()
    odd = call(0, pack({0: "os", 1: "system", 2: "id"}) + b"\xc1")

    with pytest.raises(ThreadError):
        Document.parse("msgpack", b"\x92" + odd + b"\xc1").gather_names(found)

    assert found == {UNTOLD}


def test_langgraph_does_so(serializer: JsonPlusSerializer) -> None:
    """What the test above rests on: the event is there, and then the error."""
    events: list[tuple[str, str]] = []
    remove = register_serde_event_listener(lambda e: events.append((e["module"], e["name"])))
    value = call(0, ["builtins", "abs", -1])
    try:
        with pytest.raises(ValueError, match="invalid type"):
            serializer.loads_typed(("msgpack", b"\x92" + value + b"\xc1"))
        serializer.loads_typed(("msgpack", b"\x92" + call(0, b"\x93\xa2os") + value))
        serializer.loads_typed(("msgpack", call(6, b"\x91" + value)))
    finally:
        remove()

    assert events == [("builtins", "abs")] * 3


@pytest.mark.parametrize(
    "examples", [500, pytest.param(20_000, marks=pytest.mark.nightly)], ids=["short", "long"]
)
def test_no_bytes_make_langgraph_import_what_was_not_told(
    examples: int, msgpack_values: st.SearchStrategy[bytes]
) -> None:
    """Sound and damaged ones: what its strict mode refuses is what its usual one would import."""
    serializer = JsonPlusSerializer(allowed_msgpack_modules=None)
    refused: set[tuple[str, str]] = set()

    def listen(event: Any) -> None:
        name = event["name"]
        if "method" in event:
            name = f"{name}.{event['method']}"
        refused.add((event["module"], name))

    @settings(max_examples=examples, deadline=None)
    @given(
        blob=msgpack_values,
        at=st.floats(0, 1),
        cut=st.integers(0, 3),
        put=st.one_of(st.just(EVIL), st.binary(max_size=3)),
    )
    def check(blob: bytes, at: float, cut: int, put: bytes) -> None:
        place = int(at * len(blob))
        damaged = blob[:place] + put + blob[place + cut :]
        refused.clear()
        with suppress(Exception):
            serializer.loads_typed(("msgpack", damaged))
        found: set[tuple[str, str]] = set()
        with suppress(ThreadError):
            Document.parse("msgpack", damaged).gather_names(found)
        assert refused <= found or UNTOLD in found

    remove = register_serde_event_listener(listen)
    try:
        check()
    finally:
        remove()


def test_many_extensions_in_one_another_are_looked_into_at_once() -> None:
    """In time that grows with the bytes alone."""
    heads: list[bytes] = []
    size = len(EVIL)
    for _ in range(200_000):
        heads.append(packing.extension_header(0, size))
        size += len(heads[-1])

    found = names("msgpack", b"".join(reversed(heads)) + EVIL)

    assert found == {UNTOLD, ("os", "system")}


@pytest.mark.parametrize("number", ["2", "2.0", "1", "1e0", "true"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
def test_json_is_looked_into_as_python_reads_it(number: str, encoding: str) -> None:
    """Numbers by their value, in every encoding."""
    text = f'{{"lc": {number}, "type": "constructor", "id": ["os", "system"], "n": {"9" * 5000}}}'

    assert names("json", text.encode(encoding)) == {("os", "system")}


def test_the_method_that_langgraph_writes_is_safe() -> None:
    """`datetime.fromisoformat`, and no other."""
    found = names("msgpack", call(3, ["datetime", "datetime", "2024-01-01", "fromisoformat"]))

    assert found == {("datetime", "datetime")}
    assert unsafe(found) == []


def test_extensions_that_langgraph_does_not_follow_name_nothing() -> None:
    """Arrays of numpy, and codes that it does not know."""
    hidden = call(0, ["os", "system", "id"])

    assert names("msgpack", packing.extension_header(9, len(hidden)) + hidden) == set()
    assert names("msgpack", call(6, ["<i8", [1], "C", b"12345678"])) == set()


def test_the_json_form_names_its_constructors() -> None:
    """A message counts as the class that LangChain makes of it today."""
    blob = b"""{"a": {"lc": 1, "type": "constructor", "kwargs": {"content": "x"},
                      "id": ["langchain", "schema", "messages", "HumanMessage"]},
               "b": {"lc": 2, "type": "constructor", "id": ["os", "system"],
                     "args": [{"lc": 2, "type": "constructor", "id": ["uuid", "UUID"]}]},
               "c": {"lc": 2, "type": "constructor", "id": "os"}}"""

    found = names("json", blob)

    assert found == {
        ("langchain_core.messages.human", "HumanMessage"),
        ("os", "system"),
        ("uuid", "UUID"),
    }
    assert unsafe(found) == [("os", "system")]
