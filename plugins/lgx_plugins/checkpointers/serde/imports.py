"""What loading a value would make LangGraph import: modules and names that the data chooses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import messages
from lgx_plugins.checkpointers.serde.reading import LEVELS
from lgx_plugins.checkpointers.serde.scanning import (
    ARRAY,
    CODES,
    DEEPEST,
    END,
    MAP,
    OPAQUE,
    TEXT,
    tokens,
)

__all__ = ["SAFE", "UNTOLD", "Name", "gather", "unsafe"]

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


def gather(blob: bytes, found: set[Name]) -> None:
    """Adds the names in a msgpack value to those found; of a method other than the one that
    LangGraph writes, the name is `Class.method`.

    LangGraph builds a value while it reads: what stands before damage is imported, and what
    stands beside it in another extension, too. So these are found before anything is raised.

    Raises:
        ThreadError: the bytes are not one msgpack value.
    """
    quick = _Collector().collect(blob)
    if quick is None:
        _walk(blob, found)
    else:
        found |= quick


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
        if code not in CODES:
            return
        levels = min(len(data), DEEPEST)
        self._levels -= levels
        if self._levels < 0:
            raise ValueError("too deep for this road")
        payload = self._unpack(data, ext_hook=self._extension, option=self._option)
        self._levels += levels
        if code in _CALLS:
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
    if (module, name, payload[3]) == _METHOD:
        return module, name
    return module, f"{name}.{payload[3]}"


def _walk(blob: bytes, found: set[Name]) -> None:
    """Without recursion, each payload by itself: LangGraph passes over those that are damaged."""
    damage: ThreadError | None = None
    waiting: list[tuple[int | None, memoryview]] = [(None, memoryview(blob))]
    while waiting:
        code, data = waiting.pop()
        parts: list[object] | None = None  # the first of a payload's array
        depth = 0
        whole = False  # bytes that follow a value are nothing to LangGraph
        try:
            for kind, _, body, end, value in tokens(data, follow=False):
                if kind == OPAQUE and value in CODES:
                    waiting.append((value, data[body:end]))
                if kind == END:
                    depth -= 1
                elif depth == 1 and parts is not None and len(parts) < 4:
                    parts.append(value if kind == TEXT else None)
                elif depth == 0 and kind == ARRAY:
                    parts = []
                if kind in (ARRAY, MAP):
                    depth += 1
                whole = depth == 0
        except ThreadError as error:
            damage = damage or error
            if not whole and (parts is None or len(parts) < 2):
                continue  # LangGraph does not get as far as to a name
        if code is not None and code in _CALLS:
            found.add(_name(code, parts))
    if damage is not None:
        raise damage
