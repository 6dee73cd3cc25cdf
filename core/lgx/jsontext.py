"""JSON as text: split at the top level, compacted, walked, without being decoded.

msgspec does it where it can. It gives up on legal text that is nested past about a
thousand levels or holds lone surrogates (`"\\ud800"`); for those there is a slower reader
that needs no recursion and is otherwise just as strict.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import TypeAlias

import msgspec
from msgspec import Raw

from lgx.errors import ThreadError

__all__ = ["check_utf8", "compact", "split_array", "split_object", "tokens"]

_Text: TypeAlias = bytes | bytearray | memoryview | Raw

# One emoji makes every character of what is decoded with it four bytes; at four times this
# size a block is still one that the allocator has at hand.
_WINDOW = 1 << 14

_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_array_decoder = msgspec.json.Decoder(list[Raw])

_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_TOKEN = re.compile(
    rb"[ \t\n\r]*+(?:(?P<string>" + _STRING + rb")|(?P<number>" + _NUMBER + rb")"
    rb"|(?P<word>true|false|null)|(?P<mark>[{}\[\],:]))"
)
_SPACE = re.compile(rb"[ \t\n\r]*+")
_NOT_JSON = re.compile(rb"[ \t\n\r]*(NaN|-?Infinity)")


def check_utf8(text: _Text, what: str = "text") -> None:
    """Looks at the bytes alone, a window of them at a time.

    Raises:
        ThreadError: not UTF-8; `what` is named in the message.
    """
    view = memoryview(text)
    begin, size = 0, len(view)
    while begin < size:
        end = begin + _WINDOW
        try:
            # A character that the window cuts is left to the next one.
            begin += codecs.utf_8_decode(view[begin:end], "strict", end >= size)[1]
        except UnicodeDecodeError as error:
            raise ThreadError(f"{what} is not UTF-8 at byte {begin + error.start}") from None


def compact(text: bytes) -> bytes:
    """The same JSON without white space between its tokens, so without newlines.

    Raises:
        ThreadError: not UTF-8, or not one JSON value.
    """
    check_utf8(text)
    try:
        return msgspec.json.format(text, indent=-1)
    except (msgspec.MsgspecError, RecursionError):
        return b"".join(text[start:end] for _, _, start, end in tokens(text))


def split_object(text: _Text, what: str = "text") -> dict[str, Raw]:
    """The members of an object, each value as text; the last of duplicate keys.

    Raises:
        ThreadError: not UTF-8 (`what` is named in the message), or not a JSON object.
    """
    check_utf8(text, what)
    try:
        fields = _object_decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {_key(key): Raw(value) for key, value in _split(bytes(text), b"{")}
    return fields


def split_array(text: _Text, what: str = "text") -> list[Raw]:
    """The elements of an array, each as text.

    Raises:
        ThreadError: not UTF-8 (`what` is named in the message), or not a JSON array.
    """
    check_utf8(text, what)
    try:
        return _array_decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return [Raw(value) for _, value in _split(bytes(text), b"[")]


def _key(text: bytes) -> str:
    key: str = json.loads(text)
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ThreadError(
            f"the key {key!r} holds a lone surrogate, which no target can keep"
        ) from None
    return key


def _split(text: bytes, opening: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key (empty in an array) and value of each member of the outermost container."""
    key, start = b"", -1
    expect_key = opening == b"{"
    for depth, kind, begin, end in tokens(text):
        token = text[begin:end] if depth <= 1 else b""
        if start < 0:
            if token != opening:
                wanted = "object" if opening == b"{" else "array"
                raise ThreadError(f"a JSON {wanted} was expected, not {text[:40]!r}")
            start = 0
            continue
        if depth == 0:  # the closing mark
            if start > 0:
                yield key, text[start:begin].strip()
            continue  # what follows is for `tokens` to refuse
        if depth != 1:
            continue
        if token == b"," and kind == "mark":
            yield key, text[start:begin].strip()
            start, expect_key = 0, opening == b"{"
        elif expect_key and kind == "string":
            key, expect_key = token, False
        elif token == b":" and kind == "mark":
            continue
        elif start == 0:
            start = begin


def tokens(text: bytes) -> Iterator[tuple[int, str, int, int]]:
    """Depth, kind (string, number, word, mark), start and end of each token, in order.

    A bracket has the depth of what it stands in: the outermost ones have 0.

    Raises:
        ThreadError: not UTF-8, or not one JSON value.
    """
    check_utf8(text)
    stack: list[int] = []
    expect = "value"
    position, size = 0, len(text)
    while True:
        match = _TOKEN.match(text, position)
        if match is None or expect == "end":
            position = _skip_space(text, position)
            if expect == "end" and position == size:
                return
            raise _malformed(text, position)
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        mark = text[start] if kind == "mark" else 0
        depth = len(stack)
        if mark in b"{[" and mark:
            if expect not in ("value", "value or ]"):
                raise _malformed(text, start)
            stack.append(mark)
            expect = "key or }" if mark == 0x7B else "value or ]"
        elif mark in b"}]" and mark:
            opened = stack.pop() if stack else 0
            depth -= 1
            empty = "key or }" if mark == 0x7D else "value or ]"
            if mark - opened != 2 or expect not in (", or close", empty):
                raise _malformed(text, start)
            expect = ", or close" if stack else "end"
        elif mark == 0x2C:
            if expect != ", or close":
                raise _malformed(text, start)
            expect = "key" if stack[-1] == 0x7B else "value"
        elif mark == 0x3A:
            if expect != "colon":
                raise _malformed(text, start)
            expect = "value"
        elif kind == "string" and expect in ("key", "key or }"):
            expect = "colon"
        elif expect in ("value", "value or ]"):
            expect = ", or close" if stack else "end"
        else:
            raise _malformed(text, start)
        yield depth, kind, start, end
        position = end


def _skip_space(text: bytes, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _malformed(text: bytes, position: int) -> ThreadError:
    word = _NOT_JSON.match(text, position)
    if word:
        return ThreadError(
            f"text holds {word[1].decode()} at byte {position}, which JSON has no form for"
        )
    if position >= len(text):
        return ThreadError("text ends in the middle of a JSON value; it was cut short")
    return ThreadError(f"text is not JSON at byte {position}: {text[position : position + 20]!r}")
