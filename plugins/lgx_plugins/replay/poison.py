"""Updates that no channel takes together: they make a server refuse a step that it has stored."""

from __future__ import annotations

from collections.abc import Collection

from lgx_plugins.replay.actions import Update, overwrite
from lgx_plugins.replay.method import GraphMemory
from lgx_plugins.replay.steps import Values

__all__ = ["poison"]

_CHANNELS = 4
_START, _END = "__start__", "__end__"


def poison(values: Values, graph: GraphMemory, tasks: Collection[str]) -> tuple[Update, ...]:
    """Two updates that contradict each other; none where there is no channel for it.

    They overwrite the same channels, which neither a reducer nor a channel without one takes
    twice in a step. A function that chooses an edge might fail on such a value, before the
    step's own writes are stored: they are sent under a node that no function leads on from.

    Args:
        values: of channels that the graph has.
        tasks: the nodes that are due: one of these names would take a task's place.
    """
    small = sorted(values, key=lambda name: len(values[name]))[:_CHANNELS]
    if not small:
        return ()
    writes = tuple((name, overwrite(values[name])) for name in small)
    update = Update(_bystander(graph, tasks), writes)
    return (update, update)


def _bystander(graph: GraphMemory, tasks: Collection[str]) -> str:
    """A node that is not due, if one is known, and that no function leads on from."""
    nodes = graph.topology.nodes if graph.topology is not None else frozenset({_START})
    choosing = graph.choosing
    # What `__start__` writes to channels outside of the graph's input is dropped unseen.
    found = sorted(
        nodes - {_END} - set(tasks),
        key=lambda node: (node in choosing, node == _START, node),
    )
    return found[0] if found else _START
