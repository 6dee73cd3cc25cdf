"""The updates that replay asks for, as a graph in this process takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from lgx_plugins.checkpointers.rebuilding.declared import Declared
from lgx_plugins.checkpointers.serde.messages import BY_TYPE
from lgx_plugins.replay import RefusedError

__all__ = ["Updates", "holds_messages", "refused"]

_OF_MESSAGES = "langgraph.graph.message"
_OVERWRITE = "__overwrite__"


class Updates:
    """Of one graph.

    Messages become messages before a reducer sees them: what it makes of their JSON would lack
    what the model counted.
    """

    def __init__(self, graph: Any, *, declared: bool) -> None:
        self._declared = Declared(graph.channels if declared else {})
        self._channels = {
            name for name, channel in graph.channels.items() if holds_messages(channel)
        }

    @property
    def made(self) -> frozenset[str]:
        """Channels whose values were all made what they are declared to be."""
        return self._declared.made

    @property
    def has_objects(self) -> bool:
        """Whether any value was made what its channel is declared to hold."""
        return self._declared.any_made

    def supersteps(self, texts: Iterable[bytes]) -> list[list[Any]]:
        """
        Args:
            texts: see `Target.create`.
        """
        return [
            [self._update(update) for update in msgspec.json.decode(text)["updates"]]
            for text in texts
        ]

    def single(self, text: bytes) -> Any:
        """See `Target.branch`."""
        return self._update(msgspec.json.decode(text))

    def _update(self, fields: Mapping[str, Any]) -> Any:
        from langgraph.types import StateUpdate

        command = fields.get("command")
        values = self._command(command) if command else self._values(fields.get("values"))
        return StateUpdate(values, fields.get("as_node"))

    def _command(self, fields: Mapping[str, Any]) -> Any:
        from langgraph.types import Command, Send

        update = fields.get("update")
        if isinstance(update, list):
            update = [(name, self._value(name, value)) for name, value in update]
        else:
            update = self._values(update)
        goto = fields.get("goto") or []
        return Command(
            update=update,
            goto=[one if isinstance(one, str) else Send(one["node"], one["input"]) for one in goto],
        )

    def _values(self, values: Any) -> Any:
        if not isinstance(values, dict):
            return values if values is None else self._value("__root__", values)
        return {name: self._value(name, value) for name, value in values.items()}

    def _value(self, channel: str, value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {_OVERWRITE}:
            return {_OVERWRITE: self._value(channel, value[_OVERWRITE])}
        if channel not in self._channels:
            return self._declared.value(channel, value)
        if isinstance(value, list):
            return [_message(item) for item in value]
        return _message(value)


def holds_messages(channel: Any) -> bool:
    """Whether LangGraph's own reducer of messages makes a channel's value."""
    reducer = getattr(channel, "operator", None) or getattr(channel, "reducer", None)
    while isinstance(reducer, partial):
        reducer = reducer.func
    return getattr(reducer, "__module__", None) == _OF_MESSAGES


def _message(item: Any) -> Any:
    """The message whose dump this is; what is none stays as it is."""
    if not isinstance(item, dict) or "content" not in item:
        return item
    known = BY_TYPE.get(item.get("type", ""))
    if known is None:
        return item
    from importlib import import_module

    try:
        # A name of lgx's own table, never one of the data's.
        found: Any = getattr(import_module(known.module), known.name)
    except (ImportError, AttributeError):
        return item
    try:
        return found.model_validate(item)
    except ValueError:
        return item


def refused(error: Exception) -> RefusedError:
    """What a graph raised at an update."""
    words = " ".join(str(error).split())[:300]
    return RefusedError(f"{type(error).__name__}: {words}")
