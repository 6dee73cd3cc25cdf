"""The order in which checkpoints are passed on: none before its parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

__all__ = ["parents_first"]

K = TypeVar("K")


def parents_first(parents: Mapping[K, K | None]) -> Iterator[K]:
    """The keys in their order, but each after its parent where that is among them.

    Where keys are their own ancestors, which no thread of a server's has, the one that comes
    first in the order is put before the parent that it has among them.
    """
    done: set[K] = set()
    for start in parents:
        lineage: list[K] = []
        key: K | None = start
        while key is not None and key in parents and key not in done:
            done.add(key)  # at once, so that a circle ends the walk
            lineage.append(key)
            key = parents[key]
        yield from reversed(lineage)
