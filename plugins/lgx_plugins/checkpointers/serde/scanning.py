"""What stands where in a msgpack value: a walk without recursion that builds nothing.

It follows the extensions that LangGraph's serializer writes into their payloads, which are
msgpack themselves, and stops at the first byte that does not fit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

from lgx import ThreadError

__all__ = [
    "ARRAY",
    "BINARY",
    "CODES",
    "DEEPEST",
    "END",
    "EXTENSION",
    "MAP",
    "OPAQUE",
    "SCALAR",
    "TEXT",
    "Token",
    "token_at",
    "tokens",
]

DEEPEST = 1024
"""Levels of nesting that are followed; LangGraph's own reader gives up there as well."""

CODES = range(8)
"""Of the extensions that LangGraph writes: what they hold is msgpack."""

_WORDS: dict[int, object] = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: struct.Struct(">f"),
    0xCB: struct.Struct(">d"),
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


# The kinds of tokens.
SCALAR = "scalar"
TEXT = "text"
BINARY = "binary"
ARRAY = "array"
MAP = "map"
EXTENSION = "extension"
OPAQUE = "opaque"  # an extension that LangGraph does not know
END = "end"  # of an array, a map or an extension

_SIZED = {
    0xC4: (BINARY, 1),
    0xC5: (BINARY, 2),
    0xC6: (BINARY, 4),
    0xC7: (EXTENSION, 1),
    0xC8: (EXTENSION, 2),
    0xC9: (EXTENSION, 4),
    0xD9: (TEXT, 1),
    0xDA: (TEXT, 2),
    0xDB: (TEXT, 4),
    0xDC: (ARRAY, 2),
    0xDD: (ARRAY, 4),
    0xDE: (MAP, 2),
    0xDF: (MAP, 4),
}


Token: TypeAlias = tuple[str, int, int, int, Any]
"""A value, the head of one, or the end of one: kind, start, body, end and value.

`start` is where it begins, `body` where what follows its head begins, `end` where it ends; of an
array or a map, where its head ends. The value of a scalar or a text is itself; of an array or
a map, how many elements or pairs follow; of an extension, its code.
"""

_SHORT = (ARRAY, MAP)
_NESTED = frozenset({ARRAY, MAP, EXTENSION})

_Level: TypeAlias = tuple[str, int, int]  # what is open, values still to come, the end of room


def tokens(blob: bytes | memoryview, *, follow: bool = True) -> Iterator[Token]:
    """The tokens of the one value that the bytes are.

    Args:
        follow: whether into the payloads of extensions, too; otherwise each is `OPAQUE`, and
            what stands in an array or a map comes even if it announces more than that.

    Raises:
        ThreadError: the bytes are not one msgpack value, or it is nested too deeply.
    """
    stack: list[_Level] = []
    inside, left, room = END, 1, len(blob)
    at = 0
    while True:
        while not left:
            if not stack:
                if at != room:
                    raise _damaged(f"{room - at} bytes follow its end", at)
                return
            if inside == EXTENSION and at != room:
                raise _damaged(f"{room - at} bytes follow the value of an extension", at)
            yield END, at, at, at, None
            inside, left, room = stack.pop()
        left -= 1
        if at >= room:
            raise _damaged("it ends too early", at)
        first = blob[at]
        if 0xA0 <= first < 0xC0:  # a short text: most of all, so without a call
            body = at + 1
            end = body + first - 0xA0
            try:
                if end <= room:
                    yield TEXT, at, body, end, str(blob[body:end], "utf-8")
                    at = end
                    continue
            except UnicodeDecodeError:
                pass  # told below
        kind, _, body, end, value = token = token_at(blob, at, room)
        if kind == EXTENSION and not follow:
            yield OPAQUE, at, body, end, value
            at = end
            continue
        if kind in _NESTED:
            stack.append((inside, left, room))
            if len(stack) > DEEPEST:
                raise ThreadError(
                    f"a msgpack value is nested deeper than {DEEPEST} levels at byte {at}, which "
                    "LangGraph cannot load either; copy the thread raw"
                )
            inside = kind
            if kind == EXTENSION:
                left, room, end = 1, end, body
            else:
                left = value * 2 if kind == MAP else value
                if follow and left > room - end:
                    raise _damaged(
                        f"it announces {value} elements where {room - end} bytes follow", at
                    )
        yield token
        at = end


def token_at(blob: bytes | memoryview, at: int, room: int) -> Token:
    """The token that begins there, if its room ends where it is said to."""
    first = blob[at]
    body = at + 1
    if first < 0x80:
        return SCALAR, at, body, body, first
    if first < 0xC0:
        if first >= 0xA0:
            return _text(blob, at, body, body + (first & 0x1F), room)
        return _SHORT[first < 0x90], at, body, body, first & 0x0F
    if first >= 0xE0:
        return SCALAR, at, body, body, first - 0x100
    if first in _WORDS:
        return SCALAR, at, body, body, _WORDS[first]
    number = _NUMBERS.get(first)
    if number is not None:
        end = body + number.size
        if end > room:
            raise _damaged("a number ends too early", at)
        return SCALAR, at, body, end, number.unpack_from(blob, body)[0]
    if first in _FIXED_EXTENSIONS:
        return _extension(blob, at, body, _FIXED_EXTENSIONS[first], room)
    if first not in _SIZED:
        raise _damaged(f"no value begins with the byte {first:#04x}", at)
    kind, width = _SIZED[first]
    body += width
    if body > room:
        raise _damaged("a length ends too early", at)
    size = int.from_bytes(blob[at + 1 : body])
    if kind == TEXT:
        return _text(blob, at, body, body + size, room)
    if kind == BINARY:
        if body + size > room:
            raise _damaged(f"{size} bytes are announced and {room - body} follow", at)
        return kind, at, body, body + size, None
    if kind == EXTENSION:
        return _extension(blob, at, body, size, room)
    return kind, at, body, body, size


def _text(blob: bytes | memoryview, at: int, body: int, end: int, room: int) -> Token:
    if end > room:
        raise _damaged(f"a text of {end - body} bytes is announced and {room - body} follow", at)
    try:
        return TEXT, at, body, end, str(blob[body:end], "utf-8")
    except UnicodeDecodeError as error:
        raise _damaged("a text is not UTF-8", body + error.start) from None


def _extension(blob: bytes | memoryview, at: int, body: int, size: int, room: int) -> Token:
    end = body + 1 + size
    if end > room:
        raise _damaged(f"an extension of {size} bytes is announced and {room - body} follow", at)
    code = blob[body] if blob[body] < 0x80 else blob[body] - 0x100
    kind = EXTENSION if code in CODES else OPAQUE
    return kind, at, body + 1, end, code


def _damaged(what: str, at: int) -> ThreadError:
    return ThreadError(f"a msgpack value is damaged at byte {at}: {what}; copy the thread raw")
