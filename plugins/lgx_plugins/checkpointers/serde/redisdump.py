"""Values as the JSON that RedisSaver loads as the same, as far as it can load it at all.

RedisSaver's own serializer forgets what many values are, but its reader makes again all that
LangGraph knows to be harmless, from their arguments: a Decimal, a UUID, a date. What its reader
makes of nothing (a model, an array, an enum, a key that is no text) loses its type here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from lgx import ThreadError
from lgx_plugins.checkpointers.serde.document import Document
from lgx_plugins.checkpointers.serde.imports import SAFE
from lgx_plugins.checkpointers.serde.messages import BY_TYPE, is_message
from lgx_plugins.checkpointers.serde.tags import TAG

__all__ = ["LOOKALIKE", "Dump", "may_look_marked"]

_Tree: TypeAlias = Any

_neutral = msgspec.json.Decoder()
_INTEGERS = range(-(1 << 63), 1 << 64)
_BUILTINS = "builtins"
_IN_WRITES = (b'"__send__"', b'"__interrupt__"', b'"__delta_snapshot__"')

LOOKALIKE = "a dict that looks like a mark of RedisSaver's"
"""What is said to be lost of it."""


class Dump:
    """One value on its way.

    Attributes:
        lost: the types that RedisSaver will not load again.
        doubtful: classes whose objects it makes again if they are dataclasses, and of others
            (namedtuples) a dict: which they are, only importing them would tell.
    """

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        self.doubtful: dict[str, None] = {}

    def tree(self, kind: str, value: bytes) -> _Tree:
        """What stands in the document.

        Raises:
            ThreadError: it cannot be read, or no JSON of Redis can hold it.
        """
        text = Document.parse(kind, value).to_json()
        try:
            return self._of(_neutral.decode(text), enveloped=False)
        except RecursionError:
            raise ThreadError(
                "a value is nested too deeply for Redis; an archive or an ndjson file can hold it"
            ) from None
        except (msgspec.MsgspecError, OverflowError):
            raise ThreadError(
                "a value holds a lone surrogate, or a number that is too large, which no JSON in "
                "Redis can hold; an archive or an ndjson file can"
            ) from None

    def _of(self, value: _Tree, *, enveloped: bool) -> _Tree:
        """`enveloped`: inside of something that is made by a call, where RedisSaver's reader goes
        by other rules."""
        if isinstance(value, list):
            return [self._of(one, enveloped=enveloped) for one in value]
        if isinstance(value, int) and not isinstance(value, bool) and value not in _INTEGERS:
            return self._less("an integer of more than 64 bits", float(value))
        if not isinstance(value, dict):
            return value
        tag = value.get(TAG)
        if tag is None:
            if is_message(value):
                return self._message(value)
            return self._object(value, enveloped=enveloped)
        if tag == "object":
            return self._object(value["value"], enveloped=enveloped)
        if tag == "bytes":
            if enveloped:
                self._less("bytes inside of another value")
            return {"__bytes__": value["value"]}
        if tag == "send":
            return self._send(value, enveloped=enveloped)
        if tag == "delta_snapshot":
            return {
                "__delta_snapshot__": True,
                "value": self._of(value["value"], enveloped=enveloped),
            }
        form = _FORMS.get(tag)
        return self._other(value) if form is None else form(self, value)

    def _object(self, fields: Mapping[str, Any], *, enveloped: bool) -> _Tree:
        made = {key: self._of(one, enveloped=enveloped) for key, one in fields.items()}
        if _looks_marked(made, enveloped=enveloped):
            self._less(LOOKALIKE)
        return made

    def _send(self, value: dict[str, Any], *, enveloped: bool) -> _Tree:
        arg = self._of(value["arg"], enveloped=enveloped)
        if value.get("timeout") is None:
            return {"__send__": True, "node": value["node"], "arg": arg}
        arg = self._of(value["arg"], enveloped=True)
        timeout = self._of(value["timeout"], enveloped=True)
        return _envelope("langgraph.types", "Send", args=[value["node"], arg, timeout])

    def _message(self, fields: dict[str, Any]) -> _Tree:
        message = BY_TYPE[fields["type"]]
        kwargs = {key: self._of(one, enveloped=True) for key, one in fields.items()}
        return {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "schema", "messages", message.name],
            "kwargs": kwargs,
        }

    def _collection(self, value: dict[str, Any]) -> _Tree:
        module = "collections" if value[TAG] == "deque" else _BUILTINS
        members = [self._of(one, enveloped=True) for one in value["value"]]
        return _envelope(module, value[TAG], args=[members])

    def _interrupt(self, value: dict[str, Any]) -> _Tree:
        fields = {key: self._of(one, enveloped=True) for key, one in value.items() if key != TAG}
        return _envelope("langgraph.types", "Interrupt", kwargs=fields)

    def _datetime(self, value: dict[str, Any]) -> _Tree:
        try:
            when = datetime.fromisoformat(value["value"])
        except ValueError:
            return self._less("datetime", value["value"])
        args: list[_Tree] = [
            when.year, when.month, when.day, when.hour, when.minute, when.second, when.microsecond
        ]  # fmt: skip
        offset = when.utcoffset()
        if offset is not None:
            args.append(_envelope("datetime", "timezone", args=[_span(offset)]))
        return _envelope("datetime", "datetime", args=args)

    def _date(self, value: dict[str, Any]) -> _Tree:
        return _envelope("datetime", "date", args=[int(part) for part in value["value"].split("-")])

    def _time(self, value: dict[str, Any]) -> _Tree:
        clock, _, fraction = value["value"].partition(".")
        args = [int(part) for part in clock.split(":")]
        return _envelope("datetime", "time", args=[*args, int(fraction or "0")])

    def _timedelta(self, value: dict[str, Any]) -> _Tree:
        args = [value["days"], value["seconds"], value["microseconds"]]
        return _envelope("datetime", "timedelta", args=args)

    def _called(self, value: dict[str, Any]) -> _Tree:
        """What is made by a call of something that LangGraph does not know by itself, or in a
        form of its own."""
        module, name = value["module"], value["name"]
        given = {
            "args": [value["arg"]] if "arg" in value else value.get("args"),
            "kwargs": value.get("kwargs"),
        }
        parts = {
            key: self._of(one, enveloped=True) for key, one in given.items() if one is not None
        }
        sound = isinstance(parts.get("args", []), list) and isinstance(
            parts.get("kwargs", {}), dict
        )
        if sound and (module, name) in SAFE and "method" not in value:
            return _envelope(module, name, **parts)
        # A dataclass RedisSaver imports, and calls by its fields.
        if sound and "args" not in parts and parts.get("kwargs") and module != _BUILTINS:
            self.doubtful[f"{module}.{name}"] = None
            return _envelope(module, name, **parts)
        only = value.get("arg", value.get("args", value.get("kwargs")))
        return self._less(f"{module}.{name}", self._of(only, enveloped=False))

    def _other(self, value: dict[str, Any]) -> _Tree:
        """What RedisSaver's reader cannot make: it stays what it says, in plain JSON."""
        tag = value[TAG]
        if tag == "float":
            return self._less(f"the float {value['value'].partition(':')[0]}", None)
        if tag == "map":
            pairs = ((_key(key), self._of(one, enveloped=False)) for key, one in value["value"])
            return self._less("a dict with keys that are no texts", dict(pairs))
        if tag in ("pydantic", "pydantic_v1", "method"):
            inner = value["arg"] if tag == "method" else value["value"]
            name = f"{value['module']}.{value['name']}"
            return self._less(name, self._of(inner, enveloped=False))
        fields = {key: self._of(one, enveloped=False) for key, one in value.items()}
        return self._less("numpy.ndarray" if tag == "numpy" else f"a value of sort {tag}", fields)

    def _less(self, what: str, value: _Tree = None) -> _Tree:
        self.lost[what] = None
        return value


def _uuid(_: Dump, value: dict[str, Any]) -> _Tree:
    return _envelope("uuid", "UUID", args=[value["value"]])


def _decimal(_: Dump, value: dict[str, Any]) -> _Tree:
    return _envelope("decimal", "Decimal", args=[value["value"]])


def _envelope(module: str, name: str, **given: Any) -> _Tree:
    return {"lc": 2, "type": "constructor", "id": [*module.split("."), name], **given}


def _span(span: timedelta) -> _Tree:
    args = [span.days, span.seconds, span.microseconds]
    return _envelope("datetime", "timedelta", args=args)


def _key(key: _Tree) -> str:
    if isinstance(key, str):
        return key
    return msgspec.json.encode(key).decode()


def may_look_marked(text: bytes) -> bool:
    """Whether RedisSaver might take an object in a write's JSON, which other savers load by the
    same rules but for these, for something else."""
    return any(name in text for name in _IN_WRITES)


def _looks_marked(fields: Mapping[str, Any], *, enveloped: bool) -> bool:
    """Whether RedisSaver would take an object of the user's own for something else."""
    if fields.get("lc") in (1, 2) and fields.get("type") == "constructor":
        return True
    if not enveloped and len(fields) == 1 and "__bytes__" in fields:
        return True
    if fields.get("__delta_snapshot__") is True or (
        enveloped and fields.get("__interrupt__") is True and "value" in fields
    ):
        return True
    return len(fields) == 3 and fields.get("__send__") is True and {"node", "arg"} <= fields.keys()


_FORMS: Mapping[str, Callable[[Dump, dict[str, Any]], _Tree]] = {
    "constructor": Dump._called,  # noqa: SLF001
    "date": Dump._date,  # noqa: SLF001
    "datetime": Dump._datetime,  # noqa: SLF001
    "decimal": _decimal,
    "deque": Dump._collection,  # noqa: SLF001
    "frozenset": Dump._collection,  # noqa: SLF001
    "interrupt": Dump._interrupt,  # noqa: SLF001
    "set": Dump._collection,  # noqa: SLF001
    "time": Dump._time,  # noqa: SLF001
    "timedelta": Dump._timedelta,  # noqa: SLF001
    "uuid": _uuid,
}
