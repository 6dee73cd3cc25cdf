"""The texts in a msgpack value, where they stand, and the same bytes with some of them replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import packing
from lgx_plugins.checkpointers.serde.scanning import (
    ARRAY,
    END,
    EXTENSION,
    MAP,
    SCALAR,
    TEXT,
    token_at,
    tokens,
)

__all__ = ["Extension", "Path", "Text", "replaced", "strings"]

Path: TypeAlias = tuple["Path", Any] | None
"""Where something stands: the path of what it stands in, and a step; None for the value itself."""


class Extension(NamedTuple):
    """An extension: where it, its payload and its end are, and the one around it."""

    start: int
    body: int
    end: int
    code: int
    inside: Extension | None


class Text:
    """A text in a serialized value; two of them are never equal, though their values may be.

    Attributes:
        value: the text.
        start: where it begins, head or quote included.
        end: where it ends.
        owner: of a key, where its map begins; None for any other text.
        inside: the extension around it, None where there is none.
    """

    __slots__ = ("_path", "end", "inside", "owner", "start", "value")

    def __init__(
        self,
        start: int,
        end: int,
        value: str,
        path: Path,
        owner: int | None,
        inside: Extension | None = None,
    ) -> None:
        self.start = start
        self.end = end
        self.value = value
        self.owner = owner
        self.inside = inside
        self._path = path

    @property
    def is_key(self) -> bool:
        """Whether it is the key of a map, not a value."""
        return self.owner is not None

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
        return f"Text({self.start}, {self.end})"  # not the value: it may be anybody's


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
    stack: list[tuple[int, Path, Any, Any, Extension | None]] = []
    mode = _ROOT  # what is open
    path: Path = None  # of that
    step: Any = None  # in an array, to the next element; in an extension, its code
    about: Any = None  # where a map begins; which elements of a payload are names
    inside: Extension | None = None
    for kind, start, body, end, value in tokens(blob):
        if kind == END:
            mode, path, step, about, inside = stack.pop()
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
                yield Text(start, end, value, here, owner, inside)
        elif kind == MAP:
            stack.append((mode, path, step, about, inside))
            mode, path, step, about = _KEYS, here, None, start
        elif kind == ARRAY:
            stack.append((mode, path, step, about, inside))
            is_call = mode == _EXTENSION and step in _NAMES and value > 2
            about = _NAMES[step] if is_call else None
            mode, path, step = (_PAYLOAD if is_call else _ARRAY), here, 0
        elif kind == EXTENSION:
            stack.append((mode, path, step, about, inside))
            mode, path, step, about = _EXTENSION, here, value, None
            inside = Extension(start, body, end, value, inside)


def replaced(blob: bytes, changes: Mapping[Text, str]) -> bytes:
    """The bytes with other texts in the place of some; all else is as it was, but for the lengths
    of the extensions around them.

    Raises:
        ThreadError: a text that is none of this value's.
    """
    ordered: dict[int, Text | Extension] = {}
    for text, new in changes.items():
        if not _is_there(text, blob):
            raise ThreadError(f"{text!r} is no text of this value, and cannot be replaced in it")
        if new == text.value:
            continue
        ordered[text.start] = text
        around = text.inside
        while around is not None and around.start not in ordered:
            ordered[around.start] = around
            around = around.inside
    splice = _Splice(blob)
    for start in sorted(ordered):
        item = ordered[start]
        if isinstance(item, Text):
            splice.put(item, packing.text(changes[item]))
        else:
            splice.open(item)
    return splice.whole()


def _is_there(text: Text, blob: bytes) -> bool:
    if not 0 <= text.start < len(blob):
        return False
    kind, _, _, end, value = token_at(blob, text.start, len(blob))
    return (kind, end, value) == (TEXT, text.end, text.value)


class _Splice:
    """New bytes, written from the first to the last."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._parts: list[bytes] = []
        self._size = 0  # of the parts, but for the heads of open extensions
        self._copied = 0  # of the old bytes
        self._open: list[tuple[Extension, int, int]] = []  # with where its head is, and the size

    def put(self, text: Text, data: bytes) -> None:
        self._copy(text.start)
        self._parts.append(data)
        self._size += len(data)
        self._copied = text.end

    def open(self, extension: Extension) -> None:
        self._copy(extension.start)
        self._open.append((extension, len(self._parts), self._size))
        self._parts.append(self._blob[extension.start : extension.body])
        self._copied = extension.body

    def whole(self) -> bytes:
        self._copy(len(self._blob))
        return b"".join(self._parts)

    def _copy(self, until: int) -> None:
        self._close(until)
        self._append(until)

    def _close(self, until: int) -> None:
        """Ends the extensions that end there, or before."""
        while self._open and self._open[-1][0].end <= until:
            extension, part, before = self._open.pop()
            self._append(extension.end)
            size = self._size - before
            if size != extension.end - extension.body:
                self._parts[part] = packing.extension_header(extension.code, size)
            self._size += len(self._parts[part])

    def _append(self, until: int) -> None:
        if until > self._copied:
            self._parts.append(self._blob[self._copied : until])
            self._size += until - self._copied
            self._copied = until
