"""Nodes that wait for several others, and that servers do not tell of when they are due.

The API shows a join without `next` and without tasks, though its node runs next. Which one it
is follows from the graph's edges and from what has run. Edges are drawn alike whether a join has
them or not; but where a node is due as soon as another has run, the edge between is of no join.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TypeAlias

from lgx_plugins.replay.target import Topology

__all__ = ["Arrived", "Joins", "Plain"]

Arrived: TypeAlias = Mapping[str, frozenset[str]]
"""Of each node that may be a join the nodes that it need not wait for any longer."""


Plain: TypeAlias = Set[tuple[str, str]]
"""Edges that no join has: from one node to another."""

_MIXED = 3  # edges of a node with a join and one edge besides, at least


class Joins:
    """The nodes of a graph that may be joins."""

    def __init__(self, topology: Topology | None, plain: Plain) -> None:
        """`plain`: as far as is known; it may grow."""
        sources: dict[str, set[str]] = {}
        for edge in topology.edges if topology is not None else ():
            if not edge.conditional and edge.target != "__end__":
                sources.setdefault(edge.target, set()).add(edge.source)
        self._sources = {node: frozenset(s) for node, s in sources.items() if len(s) > 1}
        self._plain = plain

    @property
    def unclear(self) -> bool:
        """Whether some node may be a join, and have an edge besides."""
        return any(map(self.is_unclear, self._sources))

    def is_unclear(self, node: str) -> bool:
        """Whether this one may."""
        return len(self._waited(node)) >= _MIXED

    def _waited(self, node: str) -> frozenset[str]:
        """The nodes that a join waits for; none where it is none."""
        found = frozenset(
            source for source in self._sources.get(node, ()) if (source, node) not in self._plain
        )
        return found if len(found) > 1 else frozenset()

    def led(self, arrived: Arrived, node: str, producers: tuple[str, ...]) -> str | None:
        """The one of those that have just run of which a node is due alone; None where it may be
        due of another, or as the last of those that it has waited for."""
        sources = self._sources.get(node, frozenset()).intersection(producers)
        if len(sources) != 1 or arrived.get(node, frozenset()) & self._waited(node) - sources:
            return None
        return next(iter(sources))

    def after(
        self, before: Arrived, gone: tuple[str, ...], producers: tuple[str, ...]
    ) -> dict[str, frozenset[str]]:
        """What has arrived once these have run, of what had before.

        Args:
            gone: nodes that have run or were dropped since: joins that were due wait for all
                again.
        """
        arrived = {}
        for node, names in self._sources.items():
            over = node in gone and self.complete(before, node)
            known = frozenset[str]() if over else before.get(node, frozenset())
            found = known | names.intersection(producers)
            if found:
                arrived[node] = found
        return arrived

    def hidden(self, arrived: Arrived, told: tuple[str, ...]) -> tuple[str, ...]:
        """The nodes that are due though `next` does not name them."""
        return tuple(
            node for node in self._sources if node not in told and self.complete(arrived, node)
        )

    def complete(self, arrived: Arrived, node: str) -> bool:
        """Whether it waits for others, and all of them have arrived."""
        waited = self._waited(node)
        return bool(waited) and waited <= arrived.get(node, frozenset())

    def __contains__(self, node: str) -> bool:
        return bool(self._waited(node))
