"""From msgpack to neutral JSON, by one of two roads that give the same text.

The fast one lets ormsgpack build the value and orjson write it. It takes what LangGraph's
serializer writes nearly always, and steps aside where it cannot be sure: the slow one
walks the tokens, needs no recursion and says what is wrong.
"""

from __future__ import annotations

import os
import re
from math import isfinite
from typing import Any

from lgx_plugins.checkpointers.serde import tags
from lgx_plugins.checkpointers.serde.messages import is_message
from lgx_plugins.checkpointers.serde.scanning import (
    ARRAY,
    BINARY,
    DEEPEST,
    END,
    EXTENSION,
    MAP,
    OPAQUE,
    tokens,
)
from lgx_plugins.checkpointers.serde.text import encode_tree

__all__ = ["LEVELS", "fast", "slow", "to_json"]

LEVELS = 3 * DEEPEST
"""How deep the payloads that ormsgpack reads at one time may be together, beside the value they
lie in: each of its levels takes half a kilobyte of the stack. So few large ones are read at one
time, each a copy of a part of the one around it."""

# A number that JSON has no word for. In a text the second byte could not follow the first.
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]|\xca[\x7f\xff][\x80-\xff]", re.DOTALL)
_TAG = tags.TAG.encode()
_OF_MESSAGES = b"additional_kwargs"


def to_json(blob: bytes) -> bytes:
    """
    Raises:
        ThreadError: the bytes are not one msgpack value that LangGraph could load.
    """
    text = fast(blob)
    return slow(blob) if text is None else text


def fast(blob: bytes) -> bytes | None:
    """None where only the slow road can tell."""
    if _TAG in blob or ((b"\xcb" in blob or b"\xca" in blob) and _NOT_FINITE.search(blob)):
        return None
    return _Reader().to_json(blob)


def slow(blob: bytes) -> bytes:
    return encode_tree(_tree(blob))


class _Reader:
    """Reads one value, and the payloads of the extensions in it."""

    def __init__(self) -> None:
        import orjson
        import ormsgpack

        self._dumps = orjson.dumps
        self._unpack = ormsgpack.unpackb
        # ormsgpack does not mind what follows a value: bytes that nobody can foresee do,
        # as the second element of an array.
        self._last = os.urandom(16)
        self._mark = b"\xc4\x10" + self._last
        self._levels = LEVELS
        self._messages = 0

    def to_json(self, blob: bytes) -> bytes | None:
        try:
            value = self._read(blob)
            # As often as there are messages: so no other object can look like one.
            if blob.count(_OF_MESSAGES) != self._messages and _any_lookalike(value):
                return None
            return self._dumps(value, default=_binary)
        except (ValueError, TypeError, RecursionError):
            return None

    def _read(self, data: bytes) -> Any:
        value, last = self._unpack(b"\x92" + data + self._mark, ext_hook=self._extension)
        if last != self._last:
            raise ValueError("something follows the value")
        return value

    def _extension(self, code: int, data: bytes) -> object:
        if not 0 <= code <= 7:
            return tags.opaque(code, data)
        levels = min(len(data), DEEPEST)  # at most: each takes a byte
        self._levels -= levels
        if self._levels < 0:
            raise ValueError("too deep for this road")
        found = tags.extension(code, self._read(data))
        self._levels += levels
        if tags.TAG not in found:
            self._messages += 1
        return found


def _any_lookalike(value: object) -> bool:
    """Whether an object of the user's own has the shape of a message."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if type(item) is dict and is_message(item):
                return True
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return False


def _binary(value: object) -> object:
    if type(value) is bytes:
        return tags.binary(value)
    raise TypeError


# -- the slow road -------------------------------------------------------------------


def _tree(blob: bytes) -> object:
    """The value in neutral form; bytes are left as they are."""
    stack: list[tuple[str, object, list[Any]]] = []
    items: list[Any] = []
    for kind, _, body, end, value in tokens(blob):
        if kind in (ARRAY, MAP, EXTENSION):
            stack.append((kind, value, items))
            items = []
            continue
        item: object = value
        if kind == BINARY:
            item = blob[body:end]
        elif kind == OPAQUE:
            item = tags.opaque(value, blob[body:end])
        elif kind == END:
            opened, code, outer = stack.pop()
            if opened == MAP:
                item = _map(items)
            elif opened == EXTENSION:
                assert isinstance(code, int)
                item = tags.extension(code, items[0])
            else:
                item = items
            items = outer
        elif type(value) is float and not isfinite(value):
            item = tags.not_finite(value)
        items.append(item)
    return items[0]


def _map(items: list[Any]) -> dict[str, Any]:
    keys, values = items[::2], items[1::2]
    if all(type(key) is str for key in keys):
        return tags.shielded(dict(zip(keys, values, strict=True)))
    return tags.with_keys([list(pair) for pair in zip(keys, values, strict=True)])
