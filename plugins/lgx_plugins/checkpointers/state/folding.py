"""Putting writes to a value together, where the way in which the graph does so is not known.

What lists, objects and messages suggest: lists are added to lists, objects laid over objects,
sets joined, and messages replace those of their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lgx_plugins.checkpointers.serde import TAG

__all__ = ["MISSING", "folded", "resets"]

MISSING: Any = object()
"""No value, where null would be one."""

_ALL = "__remove_all__"
_SETS = ("set", "frozenset")


def folded(base: Any, writes: Sequence[Any]) -> Any:
    """A value in neutral form, with what was written to it since; MISSING where nothing
    suggests how."""
    start = 0
    for number, write in enumerate(writes):
        reset, value = resets(write)
        if reset:
            base, start = (MISSING if value is None else value), number + 1
    for write in writes[start:]:
        if base is MISSING:
            base = _empty(write)
        base = _one(base, write)
        if base is MISSING:
            break
    return base


def resets(write: Any) -> tuple[bool, Any]:
    """Whether a write takes the place of all before it, and the value that it sets."""
    if type(write) is not dict:
        return False, None
    if write.get(TAG) == "constructor" and write.get("name") == "Overwrite":
        kwargs = write.get("kwargs")
        if type(kwargs) is dict and "value" in kwargs:
            return True, kwargs["value"]
        given = write.get("args", [write.get("arg")])
        return True, given[0] if type(given) is list and given else None
    if len(write) == 1 and "__overwrite__" in write:
        return True, write["__overwrite__"]
    if write.get("type") == "__overwrite__" and "value" in write:
        return True, write["value"]
    return False, None


def _empty(write: Any) -> Any:
    """What a value of that kind begins with."""
    if type(write) is list or _is_message(write):
        return []
    if type(write) is dict:
        if write.get(TAG) in _SETS:
            return {**write, "value": []}
        return MISSING if TAG in write else {}
    return "" if type(write) is str else MISSING


def _one(base: Any, write: Any) -> Any:
    if type(base) is list:
        new = write if type(write) is list else [write]
        if any(map(_is_message, base)) or any(map(_is_message, new)):
            return _messages(base, new)
        return [*base, *new]
    if type(base) is dict and type(write) is dict:
        if base.get(TAG) in _SETS and write.get(TAG) in _SETS:
            own = base["value"]
            return {**base, "value": [*own, *(one for one in write["value"] if one not in own)]}
        if TAG not in base and TAG not in write:
            return {**base, **write}
    if type(base) is str and type(write) is str:
        return base + write
    return MISSING


def _messages(base: Sequence[Any], new: Sequence[Any]) -> Any:
    found = list(base)
    for message in new:
        key = message.get("id") if type(message) is dict else None
        if type(message) is dict and message.get("type") == "remove":
            found = [] if key == _ALL else [one for one in found if _id(one) != key]
            continue
        at = next((n for n, one in enumerate(found) if key is not None and _id(one) == key), None)
        if at is None:
            found.append(message)
        else:
            found[at] = message
    return found


def _id(message: Any) -> Any:
    return message.get("id") if isinstance(message, Mapping) else None


def _is_message(value: Any) -> bool:
    return type(value) is dict and "content" in value and ("type" in value or "role" in value)
