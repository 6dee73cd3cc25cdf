"""The "json" form that LangGraph wrote before msgpack: objects with the key `lc`.

`lc` 1 is LangChain's own form of its classes, `lc` 2 LangGraph's for everything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import messages, tags
from lgx_plugins.checkpointers.serde.strings import Path, Text
from lgx_plugins.checkpointers.serde.text import encode_tree, json_tokens, quoted

__all__ = ["gather", "replaced", "strings", "to_json"]

_SHORT = 18  # digits that surely make no more than 64 bits
_KEYS = frozenset({"lc", "type", "id", "args", "kwargs", "method"})
_LANGCHAIN = frozenset({"langchain", "langchain_core"})


def to_json(blob: bytes) -> bytes:
    """
    Raises:
        ThreadError: the bytes are not JSON that LangGraph could load.
    """
    return encode_tree(_load(blob, _neutral))


def gather(blob: bytes, found: set[tuple[str, str]]) -> None:
    """Adds the module and name in each constructor to those found, those before damage included.

    Raises:
        ThreadError: the bytes are not JSON that LangGraph could load.
    """

    def look(fields: dict[str, Any]) -> dict[str, Any]:
        place = _place(fields)
        if place is not None:
            found.add(place)
        return fields

    with _told():
        # As LangGraph reads it, with all encodings that Python knows of: 2.0 is 2 to it.
        json.loads(blob, object_hook=look, parse_int=_small, parse_constant=str)


def _small(text: str) -> int | None:
    return int(text) if len(text) <= _SHORT else None


def _load(blob: bytes, hook: Any) -> object:
    import orjson

    def integer(text: str) -> object:
        return int(text) if len(text) <= _SHORT else orjson.Fragment(text.encode())

    with _told():
        return json.loads(
            _text(blob),
            object_hook=hook,
            parse_int=integer,
            parse_float=lambda text: orjson.Fragment(text.encode()),  # its digits stay
            parse_constant=lambda word: tags.not_finite(float(word)),
        )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise ThreadError(
            'a value of the type "json" is nested too deeply for LangGraph to load it; '
            "copy the thread raw"
        ) from None
    except ValueError as error:
        raise ThreadError(
            f'a value of the type "json" is no JSON: {error}; copy the thread raw'
        ) from None


def _text(blob: bytes) -> str:
    try:
        return blob.decode()
    except UnicodeDecodeError as error:
        raise ThreadError(
            f'a value of the type "json" is not UTF-8 at byte {error.start}; copy the thread raw'
        ) from None


def _place(fields: dict[str, Any]) -> tuple[str, str] | None:
    """The module and name of a constructor."""
    if fields.get("lc") not in (1, 2) or fields.get("type") != "constructor":
        return None
    path = fields.get("id")
    if not isinstance(path, list) or len(path) < 2 or not all(isinstance(p, str) for p in path):
        return None
    *module, name = path
    if fields["lc"] == 1 and module[0] in _LANGCHAIN and "messages" in module:
        message = messages.BY_NAME.get(name)
        if message is not None:
            return message.module, message.name
    return ".".join(module), name


def _neutral(fields: dict[str, Any]) -> dict[str, Any]:
    place = _place(fields)
    if place is None or not fields.keys() <= _KEYS:
        return tags.shielded(fields)
    method = fields.get("method")
    if method == [None, "construct"]:
        method = None  # of a pydantic class: LangGraph calls the class itself
    # Empty arguments are none, for LangGraph as well.
    args, kwargs = fields.get("args") or None, fields.get("kwargs") or None
    return tags.constructed(*place, args, kwargs, method)


def strings(blob: bytes) -> Iterator[Text]:
    """All texts; places are counted in characters.

    Raises:
        ThreadError: the bytes are not JSON that LangGraph could load.
    """
    _load(blob, None)
    text = _text(blob)
    stack: list[tuple[Path, Any, int | None]] = []
    path: Path = None  # of what is open
    step: Any = None  # to the value that comes next
    owner: int | None = None  # where the object in hand begins, if it is one
    is_key = False
    for kind, start, end in json_tokens(text):
        if kind == "string":
            value = json.loads(text[start:end])
            if is_key:
                step = value
            here = (path, step) if stack else None
            yield Text(start, end, value, here, owner if is_key else None)
        elif kind == "mark":
            mark = text[start]
            if mark in "{[":
                inner = (path, step) if stack else None
                stack.append((path, step, owner))
                path, step = inner, 0
                is_key = mark == "{"
                owner = start if is_key else None
            elif mark in "}]":
                path, step, owner = stack.pop()
                is_key = False
            elif mark == ":":
                is_key = False
            elif owner is not None:
                is_key = True
            else:
                step += 1


def replaced(blob: bytes, changes: Mapping[Text, str]) -> bytes:
    """The bytes with other texts in the place of some; all else is as it was.

    Raises:
        ThreadError: a text that is none of this value's.
    """
    whole = _text(blob)
    parts: list[bytes] = []
    copied = 0
    for text in sorted(changes, key=lambda text: text.start):
        token = whole[text.start : text.end]
        if not token.startswith('"') or json.loads(token) != text.value:
            raise ThreadError(f"{text!r} is no text of this value, and cannot be replaced in it")
        if changes[text] != text.value:
            parts += (whole[copied : text.start].encode(), quoted(changes[text]))
            copied = text.end
    parts.append(whole[copied:].encode())
    return b"".join(parts)
