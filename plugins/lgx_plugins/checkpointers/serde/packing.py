"""msgpack as LangGraph's serializer writes it: each value in the shortest form that it has."""

from __future__ import annotations

import struct

from lgx import ThreadError

__all__ = ["array_header", "binary", "extension_header", "integer", "map_header", "number", "text"]

_FIXED_EXTENSIONS = {1: b"\xd4", 2: b"\xd5", 4: b"\xd6", 8: b"\xd7", 16: b"\xd8"}


def text(value: str) -> bytes:
    """
    Raises:
        ThreadError: a lone surrogate, which UTF-8 has no bytes for.
    """
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise ThreadError(
            f"a text holds the lone surrogate {value[error.start]!r}, which no msgpack can hold; "
            "replace it"
        ) from None
    size = len(data)
    if size < 32:
        return bytes((0xA0 | size,)) + data
    return _header(size, "text", b"\xd9", b"\xda", b"\xdb") + data


def binary(data: bytes) -> bytes:
    return _header(len(data), "value of bytes", b"\xc4", b"\xc5", b"\xc6") + data


def array_header(count: int) -> bytes:
    if count < 16:
        return bytes((0x90 | count,))
    return _header(count, "array", None, b"\xdc", b"\xdd")


def map_header(count: int) -> bytes:
    if count < 16:
        return bytes((0x80 | count,))
    return _header(count, "map", None, b"\xde", b"\xdf")


def extension_header(code: int, size: int) -> bytes:
    fixed = _FIXED_EXTENSIONS.get(size)
    if fixed is None:
        fixed = _header(size, "constructed value", b"\xc7", b"\xc8", b"\xc9")
    return fixed + struct.pack(">b", code)


def integer(value: int) -> bytes:
    """
    Raises:
        ThreadError: it takes more than 64 bits.
    """
    if value >= 0:
        if value < 0x80:
            return bytes((value,))
        for code, form, end in (
            (b"\xcc", ">B", 1 << 8),
            (b"\xcd", ">H", 1 << 16),
            (b"\xce", ">I", 1 << 32),
            (b"\xcf", ">Q", 1 << 64),
        ):
            if value < end:
                return code + struct.pack(form, value)
    elif value >= -32:
        return struct.pack(">b", value)
    else:
        for code, form, end in (
            (b"\xd0", ">b", 1 << 7),
            (b"\xd1", ">h", 1 << 15),
            (b"\xd2", ">i", 1 << 31),
            (b"\xd3", ">q", 1 << 63),
        ):
            if value >= -end:
                return code + struct.pack(form, value)
    raise ThreadError(
        f"an integer of {value.bit_length()} bits is more than the 64 that msgpack can hold; "
        "write it as a text"
    )


def number(value: float) -> bytes:
    return b"\xcb" + struct.pack(">d", value)


def _header(size: int, what: str, one: bytes | None, two: bytes, four: bytes) -> bytes:
    if one is not None and size < 1 << 8:
        return one + struct.pack(">B", size)
    if size < 1 << 16:
        return two + struct.pack(">H", size)
    if size < 1 << 32:
        return four + struct.pack(">I", size)
    raise ThreadError(f"a {what} of {size} is larger than msgpack can hold")
