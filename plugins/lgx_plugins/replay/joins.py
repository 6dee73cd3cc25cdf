"""Nodes that wait for several others, and that servers do not tell of when they are due.

The API shows a join without `next` and without tasks, though its node runs next. Which one it
is follows from the graph's edges and from what has run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from lgx_plugins.replay.target import Topology

__all__ = ["Arrived", "Joins"]

Arrived: TypeAlias = Mapping[str, frozenset[str]]
"""Of each node that may be a join the nodes that it need not wait for any longer."""


class Joins:
    """The nodes of a graph that may be joins."""

    def __init__(self, topology: Topology | None) -> None:
        waited: dict[str, set[str]] = {}
        for edge in topology.edges if topology is not None else ():
            if not edge.conditional and edge.target != "__end__":
                waited.setdefault(edge.target, set()).add(edge.source)
        self._waited = {node: frozenset(w) for node, w in waited.items() if len(w) > 1}

    def after(
        self, before: Arrived, gone: tuple[str, ...], producers: tuple[str, ...]
    ) -> dict[str, frozenset[str]]:
        """What has arrived once these have run, of what had before.

        Args:
            gone: joins that have run or were dropped since, and wait for all again.
        """
        arrived = {}
        for node, names in self._waited.items():
            known = frozenset[str]() if node in gone else before.get(node, frozenset())
            found = known | names.intersection(producers)
            if found:
                arrived[node] = found
        return arrived

    def hidden(self, arrived: Arrived, told: tuple[str, ...]) -> tuple[str, ...]:
        """The nodes that are due though `next` does not name them."""
        return tuple(
            node
            for node, names in self._waited.items()
            if arrived.get(node) == names and node not in told
        )

    def complete(self, arrived: Arrived, node: str) -> bool:
        """Whether it waits for others, and all of them have arrived."""
        return node in self._waited and arrived.get(node) == self._waited[node]

    def __contains__(self, node: str) -> bool:
        return node in self._waited
