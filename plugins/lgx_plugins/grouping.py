"""Which of many things are handled together, so that what is held at once stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["grouped"]

T = TypeVar("T")


def grouped(
    things: Sequence[T], size: Callable[[T], int | None], most: int
) -> Iterator[Sequence[T]]:
    """Neighbours of `most` bytes together, in order; one that is larger comes alone.

    Args:
        size: bytes of each; None, where nobody knows, counts as `most`.
    """
    group: list[T] = []
    held = 0
    for thing in things:
        known = size(thing)
        coming = most if known is None else known
        if group and held + coming > most:
            yield group
            group, held = [], 0
        group.append(thing)
        held += coming
    if group:
        yield group
