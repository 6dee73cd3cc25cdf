"""LangGraph's own serializer, and msgpack that nothing honest would write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from lgx_plugins.checkpointers.serde import packing


@pytest.fixture(scope="session")
def serializer() -> JsonPlusSerializer:
    """As it is installed, and as permissive as it is by default."""
    return JsonPlusSerializer()


@pytest.fixture(scope="session")
def dumped(serializer: JsonPlusSerializer) -> Callable[[Any], tuple[str, bytes]]:
    """The type and the bytes that it writes for a value."""

    def dump(value: Any) -> tuple[str, bytes]:
        kind, blob = serializer.dumps_typed(value)
        return kind, bytes(blob)

    return dump


@pytest.fixture(autouse=True, scope="session")
def _quiet() -> Iterator[None]:
    """LangGraph warns of each class that it does not know."""
    logger = logging.getLogger("langgraph.checkpoint.serde.jsonplus")
    before, logger.level = logger.level, logging.CRITICAL
    yield
    logger.level = before


def _texts(alphabet: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    def forms(text: str) -> st.SearchStrategy[bytes]:
        data = text.encode()
        wide = b"\xdb" + len(data).to_bytes(4) + data
        return st.sampled_from([packing.text(text), wide])

    words = ["__lgx__", "type", "content", "additional_kwargs", "human", "ai", "value", "os"]
    return st.one_of(st.sampled_from(words), st.text(alphabet, max_size=5)).flatmap(forms)


def _containers(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    def extension(code: int, payload: bytes) -> bytes:
        return packing.extension_header(code, len(payload)) + payload

    def named(code: int, name: tuple[str, str], arg: bytes, method: list[str]) -> bytes:
        head = packing.array_header(3 + len(method))
        parts = [*map(packing.text, name), arg, *map(packing.text, method)]
        return extension(code, b"".join([head, *parts]))

    def message(content: bytes, kind: str, name: str) -> bytes:
        pairs = {"content": content, "additional_kwargs": b"\x80", "type": packing.text(kind)}
        dump = b"\x83" + b"".join(packing.text(key) + value for key, value in pairs.items())
        where = ("langchain_core.messages.human", name)
        return named(5, where, dump, ["model_validate_json"])

    texts = _texts(st.characters(codec="utf-8"))
    names = [
        ("uuid", "UUID"),
        ("builtins", "set"),
        ("datetime", "datetime"),
        ("datetime", "date"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("decimal", "Decimal"),
        ("langgraph.types", "Send"),
        ("langgraph.types", "Interrupt"),
        ("langchain_core.messages.human", "HumanMessage"),
        ("os", "system"),
    ]
    methods = [[], ["model_validate_json"], ["fromisoformat"], ["evil", "more"]]
    return st.one_of(
        st.lists(inner, max_size=4).map(
            lambda items: packing.array_header(len(items)) + b"".join(items)
        ),
        st.lists(inner, max_size=3).map(
            lambda items: b"\xdd" + len(items).to_bytes(4) + b"".join(items)
        ),
        st.lists(st.tuples(texts, inner), max_size=4).map(
            lambda pairs: packing.map_header(len(pairs)) + b"".join(k + v for k, v in pairs)
        ),
        st.lists(st.tuples(inner, inner), max_size=3).map(
            lambda pairs: packing.map_header(len(pairs)) + b"".join(k + v for k, v in pairs)
        ),
        st.builds(extension, st.integers(-128, 127), st.binary(max_size=5)),
        st.builds(extension, st.integers(0, 7), inner),
        st.builds(
            named, st.integers(0, 6), st.sampled_from(names), inner, st.sampled_from(methods)
        ),
        st.builds(
            message,
            inner,
            st.sampled_from(["human", "ai", "x"]),
            st.sampled_from(["HumanMessage", "AIMessage"]),
        ),
    )


def _scalars() -> st.SearchStrategy[bytes]:
    return st.one_of(
        st.sampled_from([b"\xc0", b"\xc2", b"\xc3"]),
        st.integers(-(2**63), 2**64 - 1).map(packing.integer),
        st.integers(0, 2**64 - 1).map(lambda n: b"\xcf" + n.to_bytes(8)),
        st.floats(allow_nan=False).map(packing.number),
        st.binary(min_size=8, max_size=8).map(lambda b: b"\xcb" + b),
        st.binary(min_size=4, max_size=4).map(lambda b: b"\xca" + b),
        st.binary(max_size=5).map(packing.binary),
        _texts(st.characters(codec="utf-8")),
    )


@pytest.fixture(scope="session")
def msgpack_values() -> st.SearchStrategy[bytes]:
    """Sound msgpack: other widths than the shortest, duplicate and odd keys, extensions of every
    code and shape, and what looks like a tag or a message."""
    return st.recursive(_scalars(), _containers, max_leaves=12)
