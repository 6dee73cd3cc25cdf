"""What a checkpointer's serializer gives in place of objects whose classes it cannot load.

LangGraph then logs a line, once a class, and goes on with what was stored of the object: a copy
would hold that, and not the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import SAFE, Document, Name

__all__ = ["Watch"]


class _Watched:
    """A serializer that tells what it does."""

    def __init__(self, inner: Any, lost: set[Name]) -> None:
        self._inner = inner
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        value = self._inner.loads_typed(data)
        if data[0] == "msgpack":
            with suppress(ThreadError):  # a form that only that serializer knows
                names = Document.parse("msgpack", bytes(data[1])).names() - SAFE
                if names:
                    kind, again = self._inner.dumps_typed(value)
                    self._lost |= names - Document.parse(kind, again).names()
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
        """The classes that could not be loaded since it was asked last."""
        names = sorted(".".join(name) for name in self._lost)
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
