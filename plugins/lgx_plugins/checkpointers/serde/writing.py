"""From neutral JSON to what LangGraph's serializer would write."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Mapping
from math import isfinite, isnan
from struct import unpack
from typing import Any

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import messages, packing
from lgx_plugins.checkpointers.serde.tags import TAG
from lgx_plugins.checkpointers.serde.text import parse

__all__ = ["encode"]


def encode(neutral: bytes) -> tuple[str, bytes | None]:
    """The type and the bytes of a value in neutral JSON; the bytes are None for "empty".

    Raises:
        ThreadError: not one JSON value, a tag that is none of lgx's, or a value that LangGraph's
            serializer has no form for.
    """
    value = parse(neutral)
    if value is None:
        return "null", b""
    if isinstance(value, dict):
        tag = value.get(TAG)
        if tag == "empty":
            return "empty", None
        if tag in ("bytes", "bytearray"):
            return tag, _base64(value, "value")
    return "msgpack", _pack(value)


class _Literal:
    """An object whose keys mean nothing to lgx."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields


class _Pairs:
    """A map with any keys."""

    def __init__(self, pairs: list[Any]) -> None:
        self.pairs = pairs


class _Extension:
    """An extension with a payload still to be written."""

    def __init__(self, code: int, payload: object) -> None:
        self.code = code
        self.payload = payload


class _Packed:
    """What is msgpack already."""

    def __init__(self, data: bytes) -> None:
        self.data = data


class _Close:
    """Where the payload of an extension ends."""

    def __init__(self, code: int, part: int, size: int) -> None:
        self.code = code
        self.part = part  # where its head goes
        self.size = size  # of all that stands before it


def _pack(value: object) -> bytes:
    parts: list[bytes] = []
    size = 0
    pending: list[object] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            item = _meaning(item)
        if isinstance(item, _Close):
            head = packing.extension_header(item.code, size - item.size)
            parts[item.part] = head
            size += len(head)
            continue
        if isinstance(item, _Extension):
            pending += (_Close(item.code, len(parts), size), item.payload)
            parts.append(b"")
            continue
        if isinstance(item, _Literal):
            part = packing.map_header(len(item.fields))
            for key in reversed(item.fields):
                pending += (item.fields[key], key)
        elif isinstance(item, _Pairs):
            part = packing.map_header(len(item.pairs))
            for pair in reversed(item.pairs):
                pending += (pair[1], pair[0])
        elif isinstance(item, list):
            part = packing.array_header(len(item))
            pending += reversed(item)
        else:
            part = _scalar(item)
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _scalar(item: object) -> bytes:
    if item is None:
        return b"\xc0"
    if isinstance(item, bool):
        return b"\xc3" if item else b"\xc2"
    if isinstance(item, str):
        return packing.text(item)
    if isinstance(item, int):
        return packing.integer(item)
    if isinstance(item, float):
        if not isfinite(item):
            raise ThreadError("a number is too large for the 64 bits that msgpack has for it")
        return packing.number(item)
    if isinstance(item, bytes):
        return packing.binary(item)
    assert isinstance(item, _Packed)
    return item.data


# -- tags ----------------------------------------------------------------------------


def _meaning(fields: dict[str, Any]) -> object:
    """What an object stands for."""
    if TAG not in fields:
        if not messages.is_message(fields):
            return _Literal(fields)
        message = messages.BY_TYPE[fields["type"]]
        return _named(5, message.module, message.name, _Literal(fields), "model_validate_json")
    tag = fields[TAG]
    if tag == "interrupt":
        return _named(
            2, "langgraph.types", "Interrupt", {k: v for k, v in fields.items() if k != TAG}
        )
    if not isinstance(tag, str) or tag not in _SHAPES:
        raise ThreadError(f"a neutral value has the tag {tag!r}, which is none of lgx's")
    if tag == "constructor" and ("method" in fields or {"args", "kwargs"} <= fields.keys()):
        raise ThreadError(
            f"{fields.get('module')}.{fields.get('name')} is called by a method, or with arguments "
            "both by position and by name, which msgpack has no form for; copy the thread raw"
        )
    shape = next((s for s in _SHAPES[tag] if fields.keys() - {TAG} == s.keys()), None)
    if shape is None:
        choices = " or ".join(", ".join(s) for s in _SHAPES[tag])
        raise _malformed(fields, f"it must have the fields {choices}, and no other")
    for key, kind in shape.items():
        if not isinstance(fields[key], kind) or (kind is int and isinstance(fields[key], bool)):
            raise _malformed(fields, f"{key!r} must be {kind.__name__}")
    return _TAGS[tag](fields)


def _malformed(fields: Mapping[str, Any], what: str) -> ThreadError:
    return ThreadError(f"a neutral value with the tag {fields[TAG]!r} is malformed: {what}")


def _named(code: int, module: str, name: str, arg: object, *more: object) -> _Extension:
    return _Extension(code, [module, name, arg, *more])


def _base64(fields: Mapping[str, Any], key: str) -> bytes:
    try:
        return b64decode(fields[key], validate=True)
    except (KeyError, TypeError, Error, ValueError):
        raise _malformed(fields, f"{key!r} must be base64") from None


def _binary(fields: Mapping[str, Any]) -> object:
    return _base64(fields, "value")


def _float(fields: Mapping[str, Any]) -> object:
    word = fields["value"]
    if word in ("inf", "-inf", "nan"):
        return _Packed(packing.number(float(word)))
    begin, _, bits = word.partition(":")
    try:
        data = bytes.fromhex(bits)
    except ValueError:
        data = b""
    if begin != "nan" or len(data) != 8 or not isnan(unpack(">d", data)[0]):
        raise _malformed(fields, f"no such number as {word!r}")
    return _Packed(b"\xcb" + data)


def _object(fields: Mapping[str, Any]) -> object:
    return _Literal(fields["value"])


def _map(fields: Mapping[str, Any]) -> object:
    pairs = fields["value"]
    if any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        raise _malformed(fields, "'value' must be pairs of a key and a value")
    return _Pairs(pairs)


def _constructor(fields: Mapping[str, Any]) -> object:
    module, name = fields["module"], fields["name"]
    for code, key in enumerate(("arg", "args", "kwargs")):
        if key in fields:
            return _named(code, module, name, fields[key])
    raise AssertionError


def _uuid(fields: Mapping[str, Any]) -> object:
    return _named(0, "uuid", "UUID", fields["value"].replace("-", ""))


def _integers(fields: Mapping[str, Any], separator: str) -> list[int]:
    try:
        return [int(part) for part in fields["value"].split(separator)]
    except ValueError:
        raise _malformed(fields, f"{fields['value']!r} is none") from None


def _date(fields: Mapping[str, Any]) -> object:
    return _named(1, "datetime", "date", _integers(fields, "-"))


def _time(fields: Mapping[str, Any]) -> object:
    whole, _, fraction = fields["value"].partition(".")
    numbers = _integers({**fields, "value": whole}, ":")
    micro = _integers({**fields, "value": fraction or "0"}, ".")
    if len(numbers) != 3:
        raise _malformed(fields, f"{fields['value']!r} is none")
    values = (*numbers, *micro, None, 0)
    names = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
    return _named(2, "datetime", "time", dict(zip(names, values, strict=True)))


def _timedelta(fields: Mapping[str, Any]) -> object:
    values = [fields["days"], fields["seconds"], fields["microseconds"]]
    return _named(1, "datetime", "timedelta", values)


def _send(fields: Mapping[str, Any]) -> object:
    args = [fields[key] for key in ("node", "arg", "timeout") if key in fields]
    return _named(1, "langgraph.types", "Send", args)


def _numpy(fields: Mapping[str, Any]) -> object:
    data = _base64(fields, "data")
    return _Extension(6, [fields["dtype"], fields["shape"], fields["order"], data])


def _extension(fields: Mapping[str, Any]) -> object:
    code = fields["code"]
    if not -128 <= code < 128:
        raise _malformed(fields, f"no extension has the code {code}")
    if "value" in fields:
        return _Extension(code, fields["value"])
    return _Extension(code, _Packed(_base64(fields, "data")))


_NAME: Mapping[str, type] = {"module": str, "name": str}
_SHAPES: Mapping[str, tuple[Mapping[str, type], ...]] = {
    "bytes": ({"value": str},),
    "float": ({"value": str},),
    "object": ({"value": dict},),
    "map": ({"value": list},),
    "uuid": ({"value": str},),
    "decimal": ({"value": str},),
    "set": ({"value": list},),
    "frozenset": ({"value": list},),
    "deque": ({"value": list},),
    "datetime": ({"value": str},),
    "date": ({"value": str},),
    "time": ({"value": str},),
    "timedelta": ({"days": int, "seconds": int, "microseconds": int},),
    "send": ({"node": str, "arg": object}, {"node": str, "arg": object, "timeout": object}),
    "numpy": ({"dtype": str, "shape": list, "order": str, "data": str},),
    "delta_snapshot": ({"value": object},),
    "constructor": tuple({**_NAME, key: object} for key in ("arg", "args", "kwargs")),
    "method": ({**_NAME, "method": str, "arg": object},),
    "pydantic": ({**_NAME, "value": object},),
    "pydantic_v1": ({**_NAME, "value": object},),
    "extension": ({"code": int, "value": object}, {"code": int, "data": str}),
}
_TAGS: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "bytes": _binary,
    "float": _float,
    "object": _object,
    "map": _map,
    "uuid": _uuid,
    "decimal": lambda fields: _named(0, "decimal", "Decimal", fields["value"]),
    "set": lambda fields: _named(0, "builtins", "set", fields["value"]),
    "frozenset": lambda fields: _named(0, "builtins", "frozenset", fields["value"]),
    "deque": lambda fields: _named(0, "collections", "deque", fields["value"]),
    "datetime": lambda fields: _named(3, "datetime", "datetime", fields["value"], "fromisoformat"),
    "date": _date,
    "time": _time,
    "timedelta": _timedelta,
    "send": _send,
    "numpy": _numpy,
    "delta_snapshot": lambda fields: _Extension(7, fields["value"]),
    "constructor": _constructor,
    "method": lambda fields: _named(
        3, fields["module"], fields["name"], fields["arg"], fields["method"]
    ),
    "pydantic": lambda fields: _named(
        5, fields["module"], fields["name"], fields["value"], "model_validate_json"
    ),
    "pydantic_v1": lambda fields: _named(4, fields["module"], fields["name"], fields["value"]),
    "extension": _extension,
}
