"""What loading a value would make LangGraph import: modules and names that the data chooses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from lgx_plugins.checkpointers.serde import messages
from lgx_plugins.checkpointers.serde.reading import LEVELS
from lgx_plugins.checkpointers.serde.scanning import (
    ARRAY,
    DEEPEST,
    END,
    EXTENSION,
    MAP,
    TEXT,
    tokens,
)

__all__ = ["SAFE", "UNTOLD", "Name", "named", "unsafe"]

Name: TypeAlias = tuple[str, str]

UNTOLD: Name = ("?", "?")
"""Stands for a constructor in a form that LangGraph does not write: what loading it would
import cannot be told without running it."""

_METHOD = ("datetime", "datetime", "fromisoformat")
_CALLS = range(6)


def _of(module: str, names: str) -> Iterator[Name]:
    return ((module, name) for name in names.split())


SAFE: frozenset[Name] = frozenset(
    {
        *_of("builtins", "set frozenset"),
        *_of("collections", "deque"),
        *_of("datetime", "datetime date time timedelta timezone"),
        *_of("decimal", "Decimal"),
        *_of("ipaddress", "IPv4Address IPv4Interface IPv4Network"),
        *_of("ipaddress", "IPv6Address IPv6Interface IPv6Network"),
        *_of("langchain_core.documents.base", "Document"),
        *_of("langchain_core.messages.base", "BaseMessage BaseMessageChunk"),
        *messages.BY_CLASS,
        *_of("langgraph.store.base", "Item GetOp"),
        *_of("langgraph.types", "Command Interrupt Overwrite PregelTask Send StateSnapshot"),
        *_of("langgraph.types", "TimeoutPolicy"),
        *_of("pathlib", "Path PosixPath WindowsPath"),
        *_of("pathlib._local", "Path PosixPath WindowsPath"),
        *_of("re", "compile"),
        *_of("uuid", "UUID"),
        *_of("zoneinfo", "ZoneInfo"),
    }
)
"""What LangGraph loads in its strict mode (`LANGGRAPH_STRICT_MSGPACK=true`)."""


def unsafe(names: set[Name]) -> list[Name]:
    """Those that LangGraph does not know to be harmless."""
    return sorted(names - SAFE)


def named(blob: bytes) -> set[Name]:
    """The names in a msgpack value; of a method other than the one that LangGraph writes, the
    name is `Class.method`.

    Raises:
        ThreadError: the bytes are not one msgpack value.
    """
    found = _Collector().collect(blob)
    return _walk(blob) if found is None else found


class _Collector:
    """By means of ormsgpack, which takes nearly all that LangGraph writes."""

    def __init__(self) -> None:
        import ormsgpack

        self._unpack = ormsgpack.unpackb
        self._option = ormsgpack.OPT_NON_STR_KEYS
        self._found: set[Name] = set()
        self._levels = LEVELS

    def collect(self, blob: bytes) -> set[Name] | None:
        """None for what ormsgpack does not read, or not without much of the stack."""
        try:
            self._unpack(blob, ext_hook=self._extension, option=self._option)
        except (ValueError, TypeError, RecursionError):
            return None
        return self._found

    def _extension(self, code: int, data: bytes) -> None:
        if code not in _CALLS and code != 7:
            return
        levels = min(len(data), DEEPEST)
        self._levels -= levels
        if self._levels < 0:
            raise ValueError("too deep for this road")
        payload = self._unpack(data, ext_hook=self._extension, option=self._option)
        self._levels += levels
        if code != 7:
            self._found.add(_name(code, payload))


def _name(code: int, payload: Any) -> Name:
    if type(payload) is not list or len(payload) < 2:
        return UNTOLD
    module, name = payload[:2]
    if type(module) is not str or type(name) is not str:
        return UNTOLD
    if code != 3:
        return module, name
    if len(payload) < 4 or type(payload[3]) is not str:
        return UNTOLD
    return (
        (module, name)
        if (*payload[:2], payload[3]) == _METHOD
        else (
            module,
            f"{name}.{payload[3]}",
        )
    )


def _walk(blob: bytes) -> set[Name]:
    """Without recursion, and without keeping more of a payload than its first elements."""
    found: set[Name] = set()
    # What is open: for an extension its code, for its array what the elements are, else None.
    stack: list[int | list[Any] | None] = []
    for kind, _, _, _, value in tokens(blob):
        if kind == END:
            closed = stack.pop()
            if type(closed) is list:
                code = stack[-1]
                assert type(code) is int
                found.add(_name(code, closed))
            continue
        outer = stack[-1] if stack else None
        if type(outer) is list:
            if len(outer) < 4:
                outer.append(value if kind == TEXT else None)
        elif type(outer) is int and outer in _CALLS and kind != ARRAY:
            found.add(UNTOLD)
        if kind == EXTENSION:
            stack.append(value)
        elif kind == ARRAY and type(outer) is int and outer in _CALLS:
            stack.append([])
        elif kind in (ARRAY, MAP):
            stack.append(None)
    return found
