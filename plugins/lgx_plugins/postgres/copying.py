"""The stream of a binary COPY, made from cells that are bytes already.

Nothing is turned into Python objects and back: JSON goes out as the bytes that came in.
A row is built from the parts below and closed by nothing; a stream is HEADER, rows, TRAILER.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import TypeAlias

from msgspec import Raw

__all__ = [
    "HEADER",
    "NULL",
    "TRAILER",
    "Part",
    "add_bytes",
    "add_flag",
    "add_integer",
    "add_json",
    "begin_row",
    "stream",
]

Part: TypeAlias = "bytes | Raw"

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"

_CHUNK = 1 << 20

_count = Struct(">h").pack
_length = Struct(">i").pack
_integer = Struct(">iq").pack
_JSON = b"\x01"  # the version of JSONB's binary form, which is text


def begin_row(columns: int) -> bytes:
    return _count(columns)


def add_bytes(parts: list[Part], cell: bytes | None) -> None:
    """A cell of TEXT, in UTF-8, or of BYTEA."""
    if cell is None:
        parts.append(NULL)
    else:
        parts += (_length(len(cell)), cell)


def add_json(parts: list[Part], cell: Part | None) -> None:
    """A cell of JSONB: its text."""
    if cell is None:
        parts.append(NULL)
    else:
        parts += (_length(len(memoryview(cell)) + 1) + _JSON, cell)


def add_integer(parts: list[Part], cell: int | None) -> None:
    """A cell of BIGINT, or of TIMESTAMPTZ in microseconds since 2000."""
    parts.append(NULL if cell is None else _integer(8, cell))


def add_flag(parts: list[Part], cell: bool | None) -> None:
    """A cell of BOOLEAN."""
    parts.append(NULL if cell is None else b"\0\0\0\1\1" if cell else b"\0\0\0\1\0")


def stream(rows: Iterable[list[Part]]) -> Iterator[bytes | memoryview]:
    """A whole stream in chunks of about a megabyte; a larger cell is cut, and never copied."""
    held: list[Part] = [HEADER]
    size = 0
    for row in rows:
        for part in row:
            length = len(memoryview(part))
            if length >= _CHUNK:
                yield b"".join(held)
                held, size = [], 0
                view = memoryview(part)
                for start in range(0, length, _CHUNK):
                    yield view[start : start + _CHUNK]
                continue
            held.append(part)
            size += length
        if size >= _CHUNK:
            yield b"".join(held)
            held, size = [], 0
    held.append(TRAILER)
    yield b"".join(held)
