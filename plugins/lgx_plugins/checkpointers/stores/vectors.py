"""Vectors of an item: the numbers that an embedding model made of its fields, as they are stored.

A record has them in its field `vectors`, by the field of the item that each is of:

    {"text": {"type": "float32", "data": "AACAPwAAAEA=", "created_at": …, "updated_at": …}}

`data` is the numbers one after the other, the lowest byte first, in base64. Nothing names the
model that made them, as nothing in the tables does.
"""

from __future__ import annotations

import math
import struct
from array import array
from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

__all__ = ["WIDTHS", "Type", "Vector", "swapped", "vectors_in"]

Type: TypeAlias = Literal["float32", "float16"]

WIDTHS: dict[Type, int] = {"float32": 4, "float16": 2}
"""Bytes of a number."""

_LETTERS: dict[Type, tuple[str, str]] = {"float32": ("I", "f"), "float16": ("H", "e")}


class Vector(Struct, frozen=True, kw_only=True, omit_defaults=True):
    type: Type
    data: bytes
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def dimensions(self) -> int:
        return len(self.data) // WIDTHS[self.type]

    @property
    def finite(self) -> bool:
        """Whether all of its numbers are."""
        numbers = struct.unpack(f"<{self.dimensions}{_LETTERS[self.type][1]}", self.data)
        return all(map(math.isfinite, numbers))

    def same_numbers(self, other: Vector) -> bool:
        return (self.type, self.data) == (other.type, other.data)


_decoder = msgspec.json.Decoder(dict[str, Vector])


def vectors_in(extra: dict[str, Raw]) -> dict[str, Vector]:
    """Takes the vectors out of a record's further fields; what is something else stays there."""
    if "vectors" not in extra:
        return {}
    try:
        found = _decoder.decode(extra["vectors"])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    if any(not one.data or len(one.data) % WIDTHS[one.type] for one in found.values()):
        return {}
    del extra["vectors"]
    return found


def swapped(data: bytes, type_: Type) -> bytes:
    """The same numbers with their bytes in the other order."""
    numbers = array(_LETTERS[type_][0])
    numbers.frombytes(data)
    numbers.byteswap()
    return numbers.tobytes()
