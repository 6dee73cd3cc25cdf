"""The texts in a msgpack value, where they stand, and the same bytes with some of them replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import packing
from lgx_plugins.checkpointers.serde.scanning import (
    ARRAY,
    END,
    EXTENSION,
    MAP,
    SCALAR,
    TEXT,
    tokens,
)

__all__ = ["Path", "Text", "replaced", "strings"]

Path: TypeAlias = tuple["Path", Any] | None
"""Where something stands: the path of what it stands in, and a step; None for the value itself."""


class Text:
    """A text in a serialized value.

    Attributes:
        value: the text.
        start: where it begins, head or quote included.
        end: where it ends.
        owner: of a key, where its map begins; None for any other text.
    """

    __slots__ = ("_path", "end", "owner", "start", "value")

    def __init__(self, start: int, end: int, value: str, path: Path, owner: int | None) -> None:
        self.start = start
        self.end = end
        self.value = value
        self.owner = owner
        self._path = path

    @property
    def is_key(self) -> bool:
        """Whether it is the key of a map, not a value."""
        return self.owner is not None

    @property
    def place(self) -> int:
        """Stands for the text in `Document.replaced`: below zero for a key."""
        return self.start if self.owner is None else ~self.start

    @property
    def path(self) -> tuple[Any, ...]:
        """Keys and indices from the root; of a key, those of the value behind it.

        As in what the API shows: a message or any other constructed value is no step.
        """
        steps: list[Any] = []
        path = self._path
        while path is not None:
            path, step = path
            steps.append(step)
        return tuple(reversed(steps))

    def __repr__(self) -> str:
        return f"Text({self.place})"  # not the value: it may be anybody's


_ROOT, _ARRAY, _KEYS, _VALUES, _EXTENSION, _PAYLOAD = range(6)
# Positions in the payload of an extension at which the program is named, not the user's data.
_NAMES: Mapping[int, frozenset[int]] = {
    **dict.fromkeys((0, 1, 2, 4), frozenset({0, 1})),
    **dict.fromkeys((3, 5), frozenset({0, 1, 3})),
    6: frozenset({0, 2}),
}


def strings(blob: bytes) -> Iterator[Text]:
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
        if kind == END:
            mode, path, step, about = stack.pop()
            continue
        owner = None
        named = False
        if mode == _KEYS:
            step = value if kind in (TEXT, SCALAR) else None
            here: Path = (path, step)
            owner, mode = about, _VALUES
        elif mode == _VALUES:
            here = (path, step)
            mode = _KEYS
        elif mode == _ARRAY:
            here = (path, step)
            step += 1
        elif mode == _PAYLOAD:
            named = step in about
            here = path if step == 2 else (path, step)
            step += 1
        else:
            here = path
        if kind == TEXT:
            if not named:
                yield Text(start, end, value, here, owner)
        elif kind == MAP:
            stack.append((mode, path, step, about))
            mode, path, step, about = _KEYS, here, None, start
        elif kind == ARRAY:
            stack.append((mode, path, step, about))
            inside = mode == _EXTENSION and step in _NAMES and value > 2
            about = _NAMES[step] if inside else None
            mode, path, step = (_PAYLOAD if inside else _ARRAY), here, 0
        elif kind == EXTENSION:
            stack.append((mode, path, step, about))
            mode, path, step, about = _EXTENSION, here, value, None


def replaced(blob: bytes, changes: Mapping[int, str]) -> bytes:
    """The bytes with other texts at some places; all else is as it was, but for the lengths of
    extensions that hold one.

    Raises:
        ThreadError: no text begins at one of the places.
    """
    parts: list[bytes] = []
    size = copied = 0
    stack: list[tuple[int, int, int, int] | None] = []

    def copy(until: int) -> None:
        nonlocal size, copied
        parts.append(blob[copied:until])
        size += until - copied
        copied = until

    left = len(changes)
    for kind, start, body, end, value in tokens(blob):
        if kind == TEXT:
            if start in changes:
                left -= 1
                copy(start)
                text = packing.text(changes[start])
                parts.append(text)
                size += len(text)
                copied = end
        elif kind == EXTENSION:
            copy(start)
            parts.append(blob[start:body])
            stack.append((len(parts) - 1, size, value, end - body))
            copied = body
        elif kind in (ARRAY, MAP):
            stack.append(None)
        elif kind == END:
            opened = stack.pop()
            if opened is None:
                continue
            copy(end)
            part, before, code, was = opened
            if size - before != was:
                parts[part] = packing.extension_header(code, size - before)
            size += len(parts[part])
    copy(len(blob))
    if left:
        raise ThreadError(f"{left} of {len(changes)} places are not those of a text in this value")
    return b"".join(parts)
