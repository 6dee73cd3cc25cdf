"""The neutral forms of what a serialized value holds beside plain JSON; see the package."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from math import isnan
from struct import pack
from typing import Any, TypeAlias

from lgx_plugins.checkpointers.serde import messages

__all__ = [
    "TAG",
    "Escaped",
    "Tagged",
    "binary",
    "constructed",
    "extension",
    "not_finite",
    "opaque",
    "shielded",
    "with_keys",
]

TAG = "__lgx__"

_HEX = re.compile(r"[0-9a-f]{32}")
_NAMED = range(6)  # codes whose payload begins with a module and a name
_TIME_FIELDS = ["hour", "minute", "second", "microsecond", "tzinfo", "fold"]


class Tagged(dict[str, Any]):
    """A neutral form, or a message: no longer an object of the user's own."""


class Escaped(Tagged):
    """An object of the user's own that looks like a neutral form or a message."""


def _tagged(tag: str, /, **fields: object) -> Tagged:
    return Tagged({TAG: tag, **fields})


def binary(data: bytes, tag: str = "bytes") -> Tagged:
    return _tagged(tag, value=b64encode(data).decode())


def not_finite(value: float) -> Tagged:
    """An infinity, or what is not a number."""
    if not isnan(value):
        return _tagged("float", value="inf" if value > 0 else "-inf")
    bits = pack(">d", value).hex()
    return _tagged("float", value="nan" if bits == "7ff8000000000000" else f"nan:{bits}")


def opaque(code: int, data: bytes) -> Tagged:
    """An extension that LangGraph does not know: it loads None in its place."""
    return _tagged("extension", code=code, data=b64encode(data).decode())


def with_keys(pairs: list[list[object]]) -> Tagged:
    """A map of which not every key is a text."""
    return _tagged("map", value=pairs)


def shielded(fields: dict[str, Any]) -> dict[str, Any]:
    """An object of the user's own, escaped where it could be taken for something else."""
    if TAG in fields or messages.is_message(fields):
        return Escaped({TAG: "object", "value": fields})
    return fields


# -- constructors --------------------------------------------------------------------


def extension(code: int, payload: object) -> Tagged:
    """One of LangGraph's extensions, its payload in neutral form already.

    A message is the only result without a tag.
    """
    if code == 7:
        return _tagged("delta_snapshot", value=payload)
    if type(payload) is list:
        size = len(payload)
        if code in _NAMED:
            if size >= 3 and type(payload[0]) is str and type(payload[1]) is str:
                form = _FORMS.get((code, payload[0], payload[1]))
                found = None if form is None else form(payload)
                if found is None:
                    found = _GENERAL[code](payload)
                if found is not None:
                    return found
        elif size == 4:
            found = _array(payload)
            if found is not None:
                return found
    return _tagged("extension", code=code, value=payload)


def constructed(
    module: str, name: str, args: object, kwargs: object, method: object = None
) -> Tagged:
    """What the older JSON form of LangGraph and LangChain says by module, name and arguments."""
    if method is None and args is None and kwargs is None:
        args = []
    if method is None and type(args) is list and kwargs is None:
        if len(args) == 1 and (0, module, name) in _FORMS:
            return extension(0, [module, name, args[0]])
        return extension(1, [module, name, args])
    if method is None and args is None and kwargs is not None:
        message = messages.BY_CLASS.get((module, name))
        fields = _own(kwargs)
        if message is not None and fields is not None:
            whole = shielded(messages.with_defaults(message, fields))
            return extension(5, [module, name, whole, _VALIDATE])
        return extension(2, [module, name, kwargs])
    if method == "fromisoformat" and type(args) is list and len(args) == 1 and kwargs is None:
        return extension(3, [module, name, args[0], method])
    parts = {"args": args, "kwargs": kwargs, "method": method}
    given = {key: value for key, value in parts.items() if value is not None}
    return _tagged("constructor", module=module, name=name, **given)


_Payload: TypeAlias = Sequence[Any]
_Form: TypeAlias = Callable[[_Payload], Tagged | None]

_VALIDATE = "model_validate_json"


def _own(value: object) -> dict[str, Any] | None:
    """The fields of an object of the user's own, escaped or not."""
    if type(value) is Escaped:
        inner = value["value"]
        assert type(inner) is dict
        return None if TAG in inner else inner
    return value if type(value) is dict else None


def _constructor(key: str) -> _Form:
    def form(payload: _Payload) -> Tagged | None:
        if len(payload) != 3:
            return None
        return Tagged(
            {TAG: "constructor", "module": payload[0], "name": payload[1], key: payload[2]}
        )

    return form


def _method(payload: _Payload) -> Tagged | None:
    if len(payload) != 4 or type(payload[3]) is not str:
        return None
    module, name, arg, method = payload
    return _tagged("method", module=module, name=name, method=method, arg=arg)


def _pydantic_v1(payload: _Payload) -> Tagged | None:
    if len(payload) != 3:
        return None
    return _tagged("pydantic_v1", module=payload[0], name=payload[1], value=payload[2])


def _pydantic(payload: _Payload) -> Tagged | None:
    if len(payload) != 4 or payload[3] != _VALIDATE:
        return None
    return _tagged("pydantic", module=payload[0], name=payload[1], value=payload[2])


_GENERAL: Mapping[int, _Form] = {
    0: _constructor("arg"),
    1: _constructor("args"),
    2: _constructor("kwargs"),
    3: _method,
    4: _pydantic_v1,
    5: _pydantic,
}


def _message(payload: _Payload) -> Tagged | None:
    if len(payload) != 4 or payload[3] != _VALIDATE:
        return None
    fields = _own(payload[2])
    if fields is None or not messages.is_message(fields):
        return None
    message = messages.BY_TYPE[fields["type"]]
    if message.name != payload[1] or message.module != payload[0]:
        return None
    return Tagged(fields)


def _uuid(payload: _Payload) -> Tagged | None:
    text = payload[2]
    if len(payload) != 3 or type(text) is not str or not _HEX.fullmatch(text):
        return None
    value = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return _tagged("uuid", value=value)


def _decimal(payload: _Payload) -> Tagged | None:
    if len(payload) != 3 or type(payload[2]) is not str:
        return None
    return _tagged("decimal", value=payload[2])


def _collection(tag: str) -> _Form:
    def form(payload: _Payload) -> Tagged | None:
        if len(payload) != 3 or type(payload[2]) is not list:
            return None
        return _tagged(tag, value=payload[2])

    return form


def _datetime(payload: _Payload) -> Tagged | None:
    if len(payload) != 4 or payload[3] != "fromisoformat" or type(payload[2]) is not str:
        return None
    return _tagged("datetime", value=payload[2])


def _integers(value: object, *ranges: range) -> bool:
    return (
        type(value) is list
        and len(value) == len(ranges)
        and all(type(n) is int and n in some for n, some in zip(value, ranges, strict=True))
    )


def _date(payload: _Payload) -> Tagged | None:
    if len(payload) != 3:
        return None
    if not _integers(payload[2], range(1, 10_000), range(1, 13), range(1, 32)):
        return None
    year, month, day = payload[2]
    return _tagged("date", value=f"{year:04}-{month:02}-{day:02}")


def _timedelta(payload: _Payload) -> Tagged | None:
    value = payload[2]
    if len(payload) != 3 or type(value) is not list or [type(n) for n in value] != [int] * 3:
        return None
    return _tagged("timedelta", days=value[0], seconds=value[1], microseconds=value[2])


def _time(payload: _Payload) -> Tagged | None:
    fields = payload[2]
    if len(payload) != 3 or type(fields) is not dict or list(fields) != _TIME_FIELDS:
        return None
    *numbers, zone, fold = fields.values()
    if zone is not None or type(fold) is not int or fold != 0:
        return None
    if not _integers(numbers, range(24), range(60), range(60), range(1_000_000)):
        return None
    hour, minute, second, micro = numbers
    fraction = f".{micro:06}" if micro else ""
    return _tagged("time", value=f"{hour:02}:{minute:02}:{second:02}{fraction}")


def _send(payload: _Payload) -> Tagged | None:
    args = payload[2]
    if len(payload) != 3 or type(args) is not list or len(args) not in (2, 3):
        return None
    if type(args[0]) is not str:
        return None
    keys = ("node", "arg", "timeout")
    return _tagged("send", **dict(zip(keys, args, strict=False)))


def _interrupt(payload: _Payload) -> Tagged | None:
    if len(payload) != 3 or type(payload[2]) is not dict:
        return None
    return Tagged({TAG: "interrupt", **payload[2]})


def _array(payload: _Payload) -> Tagged | None:
    dtype, shape, order, data = payload
    if type(dtype) is not str or type(order) is not str or type(data) is not bytes:
        return None
    if type(shape) is not list or any(type(n) is not int for n in shape):
        return None
    text = b64encode(data).decode()
    return _tagged("numpy", dtype=dtype, shape=shape, order=order, data=text)


_FORMS: Mapping[tuple[int, str, str], _Form] = {
    (0, "uuid", "UUID"): _uuid,
    (0, "decimal", "Decimal"): _decimal,
    (0, "builtins", "set"): _collection("set"),
    (0, "builtins", "frozenset"): _collection("frozenset"),
    (0, "collections", "deque"): _collection("deque"),
    (1, "datetime", "date"): _date,
    (1, "datetime", "timedelta"): _timedelta,
    (1, "langgraph.types", "Send"): _send,
    (2, "datetime", "time"): _time,
    (2, "langgraph.types", "Interrupt"): _interrupt,
    (3, "datetime", "datetime"): _datetime,
    **{(5, module, name): _message for module, name in messages.BY_CLASS},
}
