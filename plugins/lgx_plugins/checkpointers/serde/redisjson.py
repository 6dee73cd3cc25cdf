"""The JSON that RedisSaver's serializer writes, as LangGraph's msgpack.

RedisSaver knows what a value was by marks in it: objects with the keys `lc`, `__send__` and so
on. What it makes of them when it loads them is written here as msgpack that loads as the same;
nothing that they name is imported. Values of a checkpoint's channels are revived by other rules
than those of writes, and so they are here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import messages
from lgx_plugins.checkpointers.serde.imports import SAFE
from lgx_plugins.checkpointers.serde.redistimes import native

__all__ = ["of_channels", "of_write"]

_SET = ["builtins", "set"]
_SINGLE = frozenset({"builtins", "collections", "decimal", "ipaddress", "uuid", "zoneinfo"})
"""Modules of whose classes LangGraph gives the one argument by itself."""

_DOCUMENTS = (["langchain", "schema", "document", "Document"],)
_TYPES = "langgraph.types"


def of_channels(document: dict[str, Any]) -> bytes:
    """The msgpack of a checkpoint's document, of which the values of channels are revived.

    Raises:
        ThreadError: a value of it cannot be told, or is nested too deeply.
    """

    def build() -> Any:
        values = document.get("channel_values")
        if not isinstance(values, dict):
            raise ThreadError(
                "its document has no channel_values, as those of langgraph-checkpoint-redis "
                "before 0.1 have none; let a program with that release go on with the thread, or "
                "export it with it"
            )
        return {**document, "channel_values": {key: _channel(one) for key, one in values.items()}}

    return _packed(build)


def of_write(blob: bytes) -> bytes:
    """The msgpack of a value in JSON.

    Raises:
        ThreadError: as above, or it is no JSON.
    """

    def build() -> Any:
        import orjson

        try:
            value = orjson.loads(blob)
        except orjson.JSONDecodeError as error:
            raise ThreadError(f'a value of the type "json" is no JSON: {error}') from None
        try:
            return _revived(value)
        except _BadSetError:
            return value

    return _packed(build)


def _packed(build: Callable[[], Any]) -> bytes:
    import ormsgpack

    try:
        return ormsgpack.packb(build())
    except RecursionError:
        raise ThreadError("a value is nested too deeply for LangGraph to load it") from None
    except (TypeError, ValueError) as error:
        raise ThreadError(f"a value cannot be written as msgpack: {error}") from None


class _BadSetError(Exception):
    """A set that RedisSaver itself cannot load."""


def _channel(value: Any) -> Any:
    """As `BaseRedisSaver` revives the values of channels."""
    if isinstance(value, list):
        return [_channel(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and "__bytes__" in value:
        return _bytes(value["__bytes__"])
    if value.get("__delta_snapshot__") is True:
        return _snapshot({key: _channel(one) for key, one in value.items()})
    if _is_send(value):
        return _extension(1, _TYPES, "Send", [value["node"], _channel(value["arg"])])
    if _is_constructor(value):
        try:
            return _revived(value)
        except _BadSetError:
            return value
    return {key: _channel(one) for key, one in value.items()}


def _revived(value: Any) -> Any:
    """As `JsonPlusRedisSerializer` revives what it has written."""
    if isinstance(value, list):
        return [_revived(one) for one in value]
    if not isinstance(value, dict):
        return value
    if _is_constructor(value) and value["lc"] == 2 and not value.get("kwargs"):
        own = native(value.get("id"), value.get("args"))
        if own is not None:
            return _extension(own[0], *own[1])
    revived = {key: _revived(one) for key, one in value.items()}
    if _is_constructor(revived):
        return _constructed(revived)
    if revived.get("__interrupt__") is True and "value" in revived:
        fields = {
            key: revived[key]
            for key in ("value", "id", "resumable", "ns", "when")
            if key in revived
        }
        return _extension(2, _TYPES, "Interrupt", fields)
    if revived.get("__delta_snapshot__") is True:
        return _snapshot(revived)
    if _is_send(revived):
        return _extension(1, _TYPES, "Send", [revived["node"], revived["arg"]])
    return revived


def _is_send(value: dict[str, Any]) -> bool:
    return len(value) == 3 and value.get("__send__") is True and "node" in value and "arg" in value


def _is_constructor(value: dict[str, Any]) -> bool:
    return (
        value.get("type") == "constructor"
        and type(value.get("lc")) is int
        and value["lc"] in (1, 2)
    )


def _snapshot(fields: dict[str, Any]) -> Any:
    import ormsgpack

    if len(fields) != 2 or "value" not in fields:
        return fields
    return ormsgpack.Ext(7, ormsgpack.packb(fields["value"]))


def _constructed(fields: dict[str, Any]) -> Any:
    path = fields.get("id")
    args, kwargs = fields.get("args"), fields.get("kwargs")
    if path == _SET:
        return _extension(0, "builtins", "set", _members(fields))
    if not isinstance(path, list) or len(path) < 2 or not all(type(one) is str for one in path):
        return fields
    module, name = ".".join(path[:-1]), path[-1]
    if fields["lc"] == 1:
        return _of_langchain(path, name, kwargs if isinstance(kwargs, dict) else {})
    safe = (module, name) in SAFE
    if args and not kwargs and isinstance(args, list):
        return _called(module, name, args)
    if safe and name == "Send" and args and isinstance(kwargs, dict) and [*kwargs] == ["timeout"]:
        return _extension(1, module, name, [*args, kwargs["timeout"]])
    # Of builtins it is an exception, which nothing loads again.
    if not args and isinstance(kwargs, dict) and (safe or (kwargs and module != "builtins")):
        return _extension(2, module, name, kwargs)
    return fields


def _called(module: str, name: str, args: list[Any]) -> Any:
    if len(args) == 1 and module in _SINGLE:
        return _extension(0, module, name, args[0])
    return _extension(1, module, name, args)


def _members(fields: dict[str, Any]) -> list[Any]:
    args = fields.get("args")
    if "args" not in fields and isinstance(fields.get("kwargs"), dict):
        args = [fields["kwargs"].get("__set_items__")]
    if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], list):
        raise _BadSetError
    return args[0]


def _of_langchain(path: list[str], name: str, kwargs: dict[str, Any]) -> Any:
    if path[0] not in ("langchain", "langchain_core"):
        return _model(".".join(path[:-1]), name, kwargs)
    if "messages" in path and (message := messages.BY_NAME.get(name)) is not None:
        return _model(message.module, message.name, kwargs)
    if path in _DOCUMENTS:
        return _model("langchain_core.documents.base", name, kwargs)
    if path[0] == "langchain_core":
        return _model(".".join(path[:-1]), name, kwargs)
    raise ThreadError(
        f"it holds an object of LangChain's class {'.'.join(path)!r}, of which lgx does not know "
        "where it is today; copy the thread into another Redis, or into an archive"
    )


def _model(module: str, name: str, kwargs: dict[str, Any]) -> Any:
    return _extension(5, module, name, kwargs, "model_validate_json")


def _extension(code: int, *parts: Any) -> Any:
    import ormsgpack

    return ormsgpack.Ext(code, ormsgpack.packb(parts))


def _bytes(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return text.encode()
