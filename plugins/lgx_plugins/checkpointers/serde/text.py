"""JSON as text, without recursion: written from a tree, and taken apart into tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import tags

__all__ = ["encode_tree", "json_tokens", "parse", "quoted"]

_SPACE = re.compile(r"[ \t\n\r]*+")
_TOKEN = re.compile(
    r'(?P<string>"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)"
    r"|(?P<word>true|false|null|NaN|-?Infinity)|(?P<mark>[{}\[\],:])"
)
_LONGEST = 400  # digits of an integer that msgpack could not hold by far

Token: TypeAlias = tuple[str, int, int]  # kind, start, end


def quoted(value: str) -> bytes:
    """A text as JSON; lone surrogates as the escapes that JSON has for them."""
    import orjson

    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def encode_tree(tree: object) -> bytes:
    """A neutral value as text, however deep."""
    import orjson

    try:
        return orjson.dumps(tree, default=_default)
    except TypeError:
        return _encode(tree)


def _default(value: object) -> object:
    if type(value) is bytes:
        return tags.binary(value)
    raise TypeError


def _encode(tree: object) -> bytes:
    """Without recursion."""
    import orjson

    out = bytearray()
    stack: list[tuple[Iterator[Any], bytes]] = []  # what is open: what it still holds, its end
    items: Iterator[Any] = iter((tree,))
    end = b""
    first = True
    while True:
        for item in items:
            if not first:
                out += b","
            first = False
            if end == b"}":
                key, item = item  # an item of an object is a pair
                out += quoted(key)
                out += b":"
            if isinstance(item, (dict, list)):
                stack.append((items, end))
                if isinstance(item, dict):
                    items, end = iter(item.items()), b"}"
                    out += b"{"
                else:
                    items, end = iter(item), b"]"
                    out += b"["
                first = True
                break
            out += quoted(item) if isinstance(item, str) else orjson.dumps(item, default=_default)
        else:
            out += end
            if not stack:
                return bytes(out)
            items, end = stack.pop()
            first = False


# -- reading -------------------------------------------------------------------------


def json_tokens(text: str) -> Iterator[Token]:
    """The tokens, in order; which may follow which is not looked at.

    Raises:
        ThreadError: something else stands there.
    """
    at = _after_space(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ThreadError(f"a value is no JSON at character {at}; look at what wrote it")
        assert match.lastgroup is not None
        yield match.lastgroup, at, match.end()
        at = _after_space(text, match.end())


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def parse(data: bytes) -> object:
    """One JSON value; numbers as int or float, the last of duplicate keys.

    Raises:
        ThreadError: not one JSON value, or an integer of hundreds of digits.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ThreadError(
            f"a neutral value is not UTF-8 at byte {error.start}; it must be JSON"
        ) from None
    try:
        return json.loads(text, parse_int=_integer, parse_constant=_refused)
    except RecursionError:
        return _parse(text)
    except ValueError as error:
        raise ThreadError(f"a neutral value is no JSON: {error}") from None


def _refused(word: str) -> object:
    raise ThreadError(f'a neutral value holds {word}; write {{"{tags.TAG}": "float", …}} for it')


def _integer(text: str) -> int:
    if len(text) > _LONGEST:
        raise ThreadError(
            f"an integer of {len(text)} digits is more than msgpack can hold; write it as a text"
        )
    return int(text)


def _parse(text: str) -> object:
    """Without recursion."""
    stack: list[tuple[Any, str | None, str]] = []  # what is open, its key, what may follow
    container: Any = None
    key: str | None = None
    root: list[object] = []
    # What may come: a value; a value or the end; a key; a key or the end; a colon; a comma or
    # the end; nothing.
    expected = "value"
    for kind, start, end in json_tokens(text):
        word = text[start:end]
        if kind == "mark":
            if word in "]}" and container is not None:
                fits = isinstance(container, list) == (word == "]")
                if not fits or expected not in ("comma", "value or end", "key or end"):
                    raise _unexpected(word, start)
                container, key, expected = stack.pop()
                continue
            if word in "[{" and expected.startswith("value"):
                inner: Any = [] if word == "[" else {}
                _place(root, container, key, inner)
                stack.append((container, key, "end" if container is None else "comma"))
                container, key = inner, None
                expected = "value or end" if word == "[" else "key or end"
                continue
            if word == ":" and expected == "colon":
                expected = "value"
                continue
            if word == "," and expected == "comma":
                expected = "value" if isinstance(container, list) else "key"
                continue
            raise _unexpected(word, start)
        if kind == "string" and expected.startswith("key"):
            key, expected = json.loads(word), "colon"
            continue
        if not expected.startswith("value"):
            raise _unexpected(word, start)
        value = json.loads(word, parse_int=_integer, parse_constant=_refused)
        _place(root, container, key, value)
        expected = "end" if container is None else "comma"
    if expected != "end":
        raise ThreadError("a neutral value ends too early; it must be one JSON value")
    return root[0]


def _place(root: list[object], container: Any, key: str | None, value: object) -> None:
    if container is None:
        root.append(value)
    elif isinstance(container, list):
        container.append(value)
    else:
        container[key] = value


def _unexpected(token: str, at: int) -> ThreadError:
    return ThreadError(f"a neutral value is no JSON: {token[:20]!r} stands at character {at}")
