"""Nodes that wait for several others, and that servers do not tell of when they are due.

The API shows a join without `next` and without tasks, though its node runs next. Which one it
is follows from the graph's edges and from what has run.
"""

from __future__ import annotations

from lgx_plugins.replay.parent import Parent
from lgx_plugins.replay.target import Topology

__all__ = ["Joins"]


class Joins:
    """The nodes of a graph that may be joins, and how much of each has arrived."""

    def __init__(self, topology: Topology | None) -> None:
        waited: dict[str, set[str]] = {}
        for edge in topology.edges if topology is not None else ():
            if not edge.conditional and edge.target != "__end__":
                waited.setdefault(edge.target, set()).add(edge.source)
        self._waited = {node: names for node, names in waited.items() if len(names) > 1}
        self._arrived: dict[str, set[str]] = {}

    def hidden(self, parent: Parent) -> tuple[str, ...]:
        """The nodes that are due at this checkpoint and that its `next` does not name.

        Called once for each checkpoint that a run went on from, in their order.
        """
        due = []
        for node, names in self._waited.items():
            arrived = self._arrived.setdefault(node, set())
            arrived |= names.intersection(parent.producers)
            if node in parent.next:
                arrived.clear()
            elif arrived == names:
                due.append(node)
                arrived.clear()
        return tuple(due)
