"""What a value in msgpack means, where the same one may be spelled in several ways.

Python keeps a set in an order of its own, which is another one in the next process: the same
set, stored twice, need not be the same bytes. Nothing else that LangGraph writes is so.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from lgx import ThreadError

__all__ = ["has_sets", "meaning"]

_NAMES = (b"\xa3set", b"\xa9frozenset")
_SETS = ("set", "frozenset")
_CALL = 0  # the extension of what is made by a call with one argument
_NESTED = frozenset(range(6)) | {7}  # extensions whose content is msgpack again


def has_sets(value: bytes | memoryview) -> bool:
    """Whether there may be a set in it."""
    data = bytes(value)
    return any(name in data for name in _NAMES)


def meaning(value: bytes | memoryview) -> bytes:
    """A digest that two spellings of one value have in common, and no two values.

    Raises:
        ThreadError: it is nested too deep to be looked at.
    """
    try:
        return hashlib.blake2b(_spelled(bytes(value)), digest_size=16).digest()
    except RecursionError:
        raise ThreadError("a value with sets in it is nested too deep to be compared") from None


def _spelled(data: bytes) -> bytes:
    """The value with each set in the order of its elements' spelling."""
    import msgpack

    try:
        decoded = msgpack.unpackb(
            data, strict_map_key=False, object_pairs_hook=_Pairs, unicode_errors="surrogateescape"
        )
    except (ValueError, msgpack.UnpackException):
        return data  # it stands for itself
    return _spell(decoded)


class _Pairs(list[tuple[Any, Any]]):
    """A map in its order."""


def _spell(value: Any) -> bytes:
    import msgpack

    if isinstance(value, _Pairs):
        return _framed(b"m", [_spell(part) for pair in value for part in pair])
    if isinstance(value, list):
        return _framed(b"l", [_spell(part) for part in value])
    if isinstance(value, msgpack.ExtType):
        return _framed(b"e%d" % value.code, [_spell_extension(value.code, value.data)])
    if isinstance(value, str):
        return _framed(b"s", [value.encode("utf-8", "surrogateescape")])
    if isinstance(value, bytes):
        return _framed(b"b", [value])
    if isinstance(value, float):
        return _framed(b"f", [struct.pack(">d", value)])
    return _framed(b"o", [repr(value).encode()])  # None, a boolean, a whole number, a time


def _spell_extension(code: int, data: bytes) -> bytes:
    import msgpack

    if code not in _NESTED:
        return data
    try:
        inner = msgpack.unpackb(
            data, strict_map_key=False, object_pairs_hook=_Pairs, unicode_errors="surrogateescape"
        )
    except (ValueError, msgpack.UnpackException):
        return data
    if (
        code == _CALL
        and isinstance(inner, list)
        and len(inner) >= 3
        and inner[0] == "builtins"
        and inner[1] in _SETS
        and isinstance(inner[2], list)
    ):
        return _framed(inner[1].encode(), sorted(map(_spell, inner[2])))
    return _spell(inner)


def _framed(kind: bytes, parts: list[bytes]) -> bytes:
    """So that no two lists of parts run into the same bytes."""
    return b"".join([kind, *(b"%d:%b" % (len(part), part) for part in parts), b";"])
