"""What a graph's state is declared to hold, made of the JSON that a history gives."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from lgx_plugins.checkpointers.rebuilding.rendering import reading_serde, shown
from lgx_plugins.checkpointers.rebuilding.unordered import Sets

__all__ = ["Declared"]

_PLAIN = frozenset({Any, str, int, float, bool, dict, list, tuple, NoneType, object})
_HOLDING = frozenset({Union, UnionType, Annotated, dict, list, tuple})


class Declared:
    """Of one graph.

    An object is taken where it shows as the very JSON that it was made of; anything else stays
    JSON. What a class does to its own fields (validators, conversions) is the user's own code.

    Attributes:
        made: channels of which values were made, and all of them.
    """

    def __init__(self, channels: Mapping[str, Any]) -> None:
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

        self._types = {
            name: channel.typ
            for name, channel in channels.items()
            if hasattr(channel, "typ") and not _is_plain(channel.typ)
        }
        self._adapters: dict[str, Any] = {}
        self._serde = JsonPlusSerializer()
        self._sets = Sets()
        self._reading = reading_serde(self._sets)
        self._done: set[str] = set()
        self._failed: set[str] = set()

    @property
    def made(self) -> frozenset[str]:
        return frozenset(self._done - self._failed)

    @property
    def any_made(self) -> bool:
        return bool(self._done)

    def value(self, channel: str, value: Any) -> Any:
        """What a value of a channel was, as far as can be told."""
        if channel not in self._types or value is None:
            return value
        try:
            found = self._adapter(channel).validate_python(value)
            made = self._reading.loads_typed(self._serde.dumps_typed(found))
            text = shown(self._sets.aligned(made, value))
            if _same(value, msgspec.json.decode(text)):
                self._done.add(channel)
                return found
        except Exception:  # noqa: S110 -- whatever a class says to it: it stays JSON
            pass
        self._failed.add(channel)
        return value

    def _adapter(self, channel: str) -> Any:
        if channel not in self._adapters:
            from pydantic import TypeAdapter

            self._adapters[channel] = TypeAdapter(self._types[channel])
        return self._adapters[channel]


def _same(given: Any, made: Any) -> bool:
    """Whether both are the same JSON; of messages what is empty is not given."""
    if isinstance(given, dict) and isinstance(made, dict):
        more = made.keys() - given.keys()
        if more and not ("content" in given and "type" in given):
            return False
        return (
            given.keys() <= made.keys()
            and not any(made[key] for key in more)
            and all(_same(value, made[key]) for key, value in given.items())
        )
    if isinstance(given, list) and isinstance(made, list):
        return len(given) == len(made) and all(map(_same, given, made))
    return type(given) is type(made) and bool(given == made)


def _is_plain(declared: Any) -> bool:
    """Whether JSON holds all values of a type as what they are."""
    origin = get_origin(declared)
    if origin is None:
        try:
            return declared in _PLAIN
        except TypeError:  # not hashable
            return False
    if origin is Literal:
        return True
    if origin is Annotated:
        return _is_plain(get_args(declared)[0])
    return origin in _HOLDING and all(
        one is Ellipsis or _is_plain(one) for one in get_args(declared)
    )
