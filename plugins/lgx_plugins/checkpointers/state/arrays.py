"""Arrays of numpy as lists, without numpy."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

__all__ = ["numbers"]

_CODES = {
    "?": "?",
    "b1": "?",
    "i1": "b",
    "u1": "B",
    "i2": "h",
    "u2": "H",
    "i4": "i",
    "u4": "I",
    "i8": "q",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}
_MOST = 64  # dimensions that numpy has
_MOST_EMPTY = 10_000  # lists that no bytes stand for


def numbers(node: Mapping[str, Any]) -> Any:
    """The array as lists of lists; None where it does not hold numbers."""
    dtype, shape, order = node["dtype"], node["shape"], node["order"]
    code = _CODES.get(dtype.lstrip("<>|="))
    if code is None or order not in ("C", "F") or len(shape) > _MOST or min(shape, default=0) < 0:
        return None
    if 0 in shape and prod(filter(None, shape)) > _MOST_EMPTY:
        return None
    data = b64decode(node["data"])
    mark = ">" if dtype.startswith(">") else "<"
    count, rest = divmod(len(data), struct.calcsize(mark + code))
    if rest or count != prod(shape):
        return None
    flat = struct.unpack(f"{mark}{count}{code}", data)
    if order == "F":
        return _of_columns(flat, shape)
    return _of_rows(flat, shape)


def _of_rows(flat: Sequence[Any], shape: Sequence[int]) -> Any:
    if len(shape) < 2:
        return list(flat) if shape else flat[0]
    first, *rest = shape
    size = prod(rest)
    return [_of_rows(flat[at * size : (at + 1) * size], rest) for at in range(first)]


def _of_columns(flat: Sequence[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return flat[0]
    first, *rest = shape
    return [_of_columns(flat[at::first], rest) for at in range(first)]
