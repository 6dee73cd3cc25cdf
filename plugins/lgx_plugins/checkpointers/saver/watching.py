"""What a checkpointer's serializer gives in place of objects whose classes it cannot load.

LangGraph then logs a line, once a class, and goes on with what was stored of the object: a copy
would hold that, and not the object. Objects whose bytes are damaged it passes over in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lgx import ThreadError
from lgx_plugins.checkpointers.saver.facts import note_of_serializer
from lgx_plugins.checkpointers.serde import SAFE, Document, Name

__all__ = ["DAMAGED", "Watch"]

DAMAGED = ""
"""Stands for the class of an object that cannot be told from its bytes."""

_DAMAGED: Name = ("", "")


class _Watched:
    """A serializer that tells what it does."""

    def __init__(self, inner: Any, lost: set[Name]) -> None:
        self._inner = inner
        self._lost = lost
        self._own = note_of_serializer(inner) is None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        value = self._inner.loads_typed(data)
        if data[0] == "msgpack":
            try:
                names = Document.parse("msgpack", bytes(data[1])).names() - SAFE
                if names:
                    kind, again = self._inner.dumps_typed(value)
                    self._lost |= names - Document.parse(kind, again).names()
            except ThreadError:
                if self._own:  # otherwise it may be a form that only that serializer knows
                    self._lost.add(_DAMAGED)
        return value


class Watch:
    """Looks at what a checkpointer loads until `end`."""

    def __init__(self, saver: Any) -> None:
        from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

        self._lost: set[Name] = set()
        # What is encrypted is only seen by the serializer inside.
        self._holder = saver.serde if isinstance(saver.serde, EncryptedSerializer) else saver
        self._inner = self._holder.serde
        self._holder.serde = _Watched(self._inner, self._lost)

    def found(self) -> list[str]:
        """The classes that could not be loaded since it was asked last; `DAMAGED` for others."""
        names = sorted(DAMAGED if one == _DAMAGED else ".".join(one) for one in self._lost)
        self._lost.clear()
        return names

    @contextmanager
    def replaced(self, by: Callable[[Any], Any]) -> Iterator[None]:
        """For a while, what `by` makes of the checkpointer's serializer stands in its place."""
        before = self._holder.serde
        self._holder.serde = by(self._inner)
        try:
            yield
        finally:
            self._holder.serde = before

    def end(self) -> None:
        """The serializer is what it was before; may be called again."""
        self._holder.serde = self._inner
