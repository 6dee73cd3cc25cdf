"""What makes a sink of rows one of states, too."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, Protocol, TypeVar

from lgx import Bundle, Context, Mark, ThreadRef, WriteOutcome
from lgx_plugins.checkpointers.rebuilding.rebuilder import Rebuilder

__all__ = ["TAKES_WITH", "held_as_rows", "previewed_as_rows", "written_as_rows"]

TAKES_WITH = {
    "checkpoint": "--sink-graph package.module:name, your own graph, with which it rebuilds them"
}
"""Of the sinks that have the option."""


class RebuildingSink(Protocol):
    """
    Attributes:
        rebuilder: made of its options; opened in `begin`, closed with the sink.
    """

    rebuilder: Rebuilder


S = TypeVar("S", bound=RebuildingSink)

Held = Callable[[S, Sequence[ThreadRef]], Coroutine[Any, Any, Mapping[str, Mark]]]
Write = Callable[[S, Sequence[Bundle], Context], Coroutine[Any, Any, Sequence[WriteOutcome]]]
Preview = Callable[[S, Bundle, Context], Coroutine[Any, Any, WriteOutcome]]


def held_as_rows(held: Held[S]) -> Held[S]:
    """A `Sink.held` that knows of threads that were rebuilt whether these options would make
    others of them."""

    @wraps(held)
    async def known(self: S, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        return self.rebuilder.known(await held(self, refs))

    return known


def written_as_rows(write: Write[S]) -> Write[S]:
    """A `Sink.write` that is given rows, whatever comes."""

    @wraps(write)
    async def rebuilt(self: S, bundles: Sequence[Bundle], context: Context) -> list[WriteOutcome]:
        async with self.rebuilder.rows(bundles, context) as made:
            outcomes = await write(self, made.bundles, context) if made.bundles else ()
            return made.told(outcomes)

    return rebuilt


def previewed_as_rows(preview: Preview[S]) -> Preview[S]:
    """A `Sink.preview` that is given rows: threads are rebuilt, and not written."""

    @wraps(preview)
    async def rebuilt(self: S, bundle: Bundle, context: Context) -> WriteOutcome:
        async with self.rebuilder.rows([bundle], context) as made:
            outcomes = [await preview(self, one, context) for one in made.bundles]
            return made.told(outcomes)[0]

    return rebuilt
