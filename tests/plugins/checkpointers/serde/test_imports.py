"""What loading a value would make LangGraph import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde import _msgpack
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Send

from lgx_plugins.checkpointers.serde import SAFE, UNTOLD, names, packing, unsafe

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
    ],
)
def test_a_name_cannot_hide(blob: bytes, expected: tuple[str, str]) -> None:
    """Odd forms with which LangGraph's reader can be made to import something are told as well."""
    found = names("msgpack", blob)

    assert expected in found
    assert expected in unsafe(found)


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
