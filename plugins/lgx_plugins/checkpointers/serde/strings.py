"""The texts in a msgpack value, where they stand, and the same bytes with some of them replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from lgx_plugins.checkpointers.serde import packing
from lgx_plugins.checkpointers.serde.scanning import Kind, tokens

__all__ = ["Found", "Path", "replaced", "strings"]

Path: TypeAlias = tuple["Path", Any] | None
"""Where something stands: the path of what it stands in, and a step; None for the value itself."""


class Found(NamedTuple):
    """A text.

    Attributes:
        start: where it begins, head or quote included.
        end: where it ends.
        value: the text itself.
        path: its place; of a key, that of the value behind it.
        owner: of a key, where its map begins; None for any other text.
    """

    start: int
    end: int
    value: str
    path: Path
    owner: int | None


_ROOT, _ARRAY, _KEYS, _VALUES, _EXTENSION, _PAYLOAD = range(6)
# Positions in the payload of an extension at which the program is named, not the user's data.
_NAMES: Mapping[int, frozenset[int]] = {
    **dict.fromkeys((0, 1, 2, 4), frozenset({0, 1})),
    **dict.fromkeys((3, 5), frozenset({0, 1, 3})),
    6: frozenset({0, 2}),
}


def strings(blob: bytes) -> Iterator[Found]:
    """All texts, the keys of maps and those that a duplicate key hides included.

    An extension is no step of a path: what it was made from stands in its place, as the API
    shows it. Names of modules, classes and methods are no data and are passed over.

    Raises:
        ThreadError: the bytes are not one msgpack value.
    """
    stack: list[tuple[int, Path, Any, Any]] = []
    mode = _ROOT  # what is open
    path: Path = None  # of that
    step: Any = None  # in an array, to the next element; in an extension, its code
    about: Any = None  # where a map begins; which elements of a payload are names
    for kind, start, _, end, value in tokens(blob):
        if kind == Kind.END:
            mode, path, step, about = stack.pop()
            continue
        here = path
        owner = None
        named = False
        if mode == _ARRAY:
            here = (path, step)
            step += 1
        elif mode == _KEYS:
            step = value if kind in (Kind.TEXT, Kind.SCALAR) else None
            here = (path, step)
            owner, mode = about, _VALUES
        elif mode == _VALUES:
            here = (path, step)
            mode = _KEYS
        elif mode == _PAYLOAD:
            named = step in about
            if step != 2:
                here = (path, step)
            step += 1
        if kind == Kind.TEXT:
            if not named:
                yield Found(start, end, value, here, owner)
        elif kind == Kind.ARRAY:
            stack.append((mode, path, step, about))
            inside = mode == _EXTENSION and step in _NAMES and value > 2
            about = _NAMES[step] if inside else None
            mode, path, step = (_PAYLOAD if inside else _ARRAY), here, 0
        elif kind == Kind.MAP:
            stack.append((mode, path, step, about))
            mode, path, step, about = _KEYS, here, None, start
        elif kind == Kind.EXTENSION:
            stack.append((mode, path, step, about))
            mode, path, step, about = _EXTENSION, here, value, None


def replaced(blob: bytes, changes: Mapping[int, str]) -> bytes:
    """The bytes with other texts at some places; all else is as it was, but for the lengths of
    extensions that hold one."""
    parts: list[bytes] = []
    size = copied = 0
    stack: list[tuple[int, int, int, int] | None] = []

    def copy(until: int) -> None:
        nonlocal size, copied
        parts.append(blob[copied:until])
        size += until - copied
        copied = until

    for kind, start, body, end, value in tokens(blob):
        if kind == Kind.TEXT:
            if start in changes:
                copy(start)
                text = packing.text(changes[start])
                parts.append(text)
                size += len(text)
                copied = end
        elif kind == Kind.EXTENSION:
            copy(start)
            parts.append(blob[start:body])
            stack.append((len(parts) - 1, size, value, end - body))
            copied = body
        elif kind == Kind.ARRAY or kind == Kind.MAP:
            stack.append(None)
        elif kind == Kind.END:
            opened = stack.pop()
            if opened is None:
                continue
            copy(end)
            part, before, code, was = opened
            if size - before != was:
                parts[part] = packing.extension_header(code, size - before)
            size += len(parts[part])
    copy(len(blob))
    return b"".join(parts)
