"""What a value in msgpack means, where the same one may be spelled in several ways.

Python keeps a set in an order of its own, which is another one in the next process: the same
set, stored twice, need not be the same bytes. Nothing else that LangGraph writes is so.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from lgx import ThreadError
from lgx_plugins.checkpointers.serde.scanning import (
    ARRAY,
    BINARY,
    END,
    EXTENSION,
    MAP,
    OPAQUE,
    TEXT,
    tokens,
)

__all__ = ["has_sets", "meaning"]

_NAMES = (b"\xa3set", b"\xa9frozenset")
_SETS = (["builtins", "set"], ["builtins", "frozenset"])
_CALL = 0  # the extension of what is made by a call with one argument
_SIZE = 16


def has_sets(value: bytes | memoryview) -> bool:
    """Whether there may be a set in it."""
    data = bytes(value)
    return any(name in data for name in _NAMES)


def meaning(value: bytes | memoryview) -> bytes:
    """A digest of sixteen bytes that two spellings of one value have in common, and no two
    values. What cannot be read stands for itself."""
    try:
        return _meaning(value)
    except ThreadError:
        return _digest(b"damaged ", bytes(value))


def _meaning(value: bytes | memoryview) -> bytes:
    """From the innermost outwards."""
    stack: list[_Open] = []
    found = b""
    for kind, _, body, end, item in tokens(value):
        if kind in (ARRAY, MAP, EXTENSION):
            stack.append(_Open(kind, item, stack[-1] if stack else None))
            continue
        if kind == END:
            found = stack.pop().digest()
        elif kind == BINARY:
            found = _digest(b"b", value[body:end])
        elif kind == OPAQUE:
            found = _digest(b"x%d " % item, value[body:end])
        elif kind == TEXT:
            found = _digest(b"s", item.encode())
        elif type(item) is float:
            found = _digest(b"f", struct.pack(">d", item))
        else:  # None, a boolean, a whole number
            found = _digest(b"o", repr(item).encode())
        if stack:
            stack[-1].add(found, item if kind == TEXT else None)
    return found


class _Open:
    """An array, a map or an extension of which more is to come."""

    def __init__(self, kind: str, item: Any, outer: _Open | None) -> None:
        self._hash = hashlib.blake2b(kind.encode(), digest_size=_SIZE)
        self.code = item if kind == EXTENSION else None
        if kind == EXTENSION:
            self._hash.update(b"%d" % item)
        self.count = 0
        # The first texts of a call's payload, which say what is called.
        self.names: list[str | None] | None = None
        # The elements of a set: they have no order.
        self.members: list[bytes] | None = None
        if kind == ARRAY and outer is not None:
            if outer.code == _CALL:
                self.names = []
            elif outer.count == 2 and outer.names in _SETS:
                self.members = []

    def add(self, part: bytes, text: str | None) -> None:
        self.count += 1
        if self.members is not None:
            self.members.append(part)
            return
        if self.names is not None and self.count <= 2:
            self.names.append(text)
        self._hash.update(part)

    def digest(self) -> bytes:
        for part in sorted(self.members or ()):
            self._hash.update(part)
        return self._hash.digest()


def _digest(kind: bytes, data: bytes | memoryview) -> bytes:
    found = hashlib.blake2b(kind, digest_size=_SIZE)
    found.update(data)
    return found.digest()
