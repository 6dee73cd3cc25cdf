"""The stream of a binary COPY, made from cells that are bytes already.

Nothing is turned into Python objects and back: JSON goes out as the bytes that came in.
A row is a list of parts, added by the functions below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import TypeAlias

from msgspec import Raw

from lgx import ThreadError

__all__ = [
    "NULL",
    "Part",
    "Row",
    "add_bytes",
    "add_flag",
    "add_integer",
    "add_json",
    "begin_row",
    "closed",
    "stream",
]

Part: TypeAlias = "bytes | Raw"
Row: TypeAlias = "bytes | list[Part]"
"""A row in one piece, or in several that are too large to be copied together."""

NULL = b"\xff\xff\xff\xff"

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

_CHUNK = 1 << 20

_count = Struct(">h").pack
_length = Struct(">i").pack
_integer = Struct(">iq").pack

_LONGEST = (1 << 30) - 1
"""Bytes of a cell, whatever its type."""

_SHORT = 4096
_LENGTHS = tuple(_length(size) for size in range(_SHORT))
_JSON_LENGTHS = tuple(_length(size + 1) + b"\x01" for size in range(_SHORT))
"""With the version of JSONB's binary form, which is its text."""


def begin_row(columns: int) -> bytes:
    return _count(columns)


def add_bytes(parts: list[Part], cell: bytes | None) -> None:
    """A cell of TEXT, in UTF-8, or of BYTEA."""
    if cell is None:
        parts.append(NULL)
        return
    size = len(cell)
    parts += (_LENGTHS[size] if size < _SHORT else _long(size), cell)


def add_json(parts: list[Part], cell: Part | None) -> None:
    """A cell of JSONB: its text."""
    if cell is None:
        parts.append(NULL)
        return
    size = len(memoryview(cell))
    parts += (_JSON_LENGTHS[size] if size < _SHORT else _long(size + 1) + b"\x01", cell)


def _long(size: int) -> bytes:
    """
    Raises:
        ThreadError: no cell is so long.
    """
    if size > _LONGEST:
        raise ThreadError(
            f"a value has {size} bytes, and a cell of PostgreSQL holds {_LONGEST} at most; an "
            "archive or an ndjson file can hold it"
        )
    return _length(size)


def add_integer(parts: list[Part], cell: int | None) -> None:
    """A cell of BIGINT, or of TIMESTAMPTZ in microseconds since 2000."""
    parts.append(NULL if cell is None else _integer(8, cell))


def add_flag(parts: list[Part], cell: bool | None) -> None:
    """A cell of BOOLEAN."""
    parts.append(NULL if cell is None else b"\0\0\0\1\1" if cell else b"\0\0\0\1\0")


def closed(parts: list[Part], size: int) -> Row:
    """The row of these parts; `size`: about how large the record is that they were cut from."""
    return parts if size > _CHUNK else b"".join(parts)


def stream(rows: Iterable[Row]) -> Iterator[bytes | memoryview]:
    """A whole stream in chunks of about a megabyte; a larger cell is cut, and never copied."""
    held: list[Part] = [_HEADER]
    size = 0
    for row in rows:
        if isinstance(row, bytes):
            held.append(row)
            size += len(row)
        else:
            yield b"".join(held)
            held, size = [], 0
            for part in row:
                view = memoryview(part)
                for start in range(0, len(view), _CHUNK):
                    yield view[start : start + _CHUNK]
        if size >= _CHUNK:
            yield b"".join(held)
            held, size = [], 0
    held.append(_TRAILER)
    yield b"".join(held)
