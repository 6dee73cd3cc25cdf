"""What the checkpoints of a namespace tell of the graph that made them.

A graph is not kept with its checkpoints. But the names of its channels say which node each of
them starts, and what a node has seen is what starts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lgx_plugins.checkpointers.state.stored import SENDS, Stored

__all__ = ["BRANCH", "INPUT", "JOIN", "Graph", "Graphs", "hidden", "joined", "without_ids"]

BRANCH = "branch:to:"
INPUT = "__start__"

JOIN = "join:"
_NODES_AS_CHANNELS_UNTIL = 3
_RETURN = ("__end__", "__previous__")
_NO_NODES = frozenset({"__input__", "__interrupt__", "__snapshot_bumps__"})
_OLD_BRANCHES = ("branch:", "start:")
_PULL = "~__pregel_pull, "
_ID = re.compile(r":[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\||$)")


def hidden(channel: str) -> bool:
    """Whether a channel is LangGraph's own, and no part of the state."""
    return (
        channel in (INPUT, SENDS, "__previous__")
        or channel.startswith((BRANCH, JOIN))
        or channel.startswith(_OLD_BRANCHES)
    )


def without_ids(namespace: str) -> str:
    """`child:1f…|other:2a…` as `child|other`: what all runs of one subgraph share."""
    return _ID.sub("", namespace)


class Graph:
    """Learnt from all checkpoints that one graph made; asked after that.

    Attributes:
        triggers: by node the channels that start it.
        deltas: channels of which checkpoints keep what was written, and not the value.
        single: the one channel that is the state, where it is no object of channels.
    """

    def __init__(self) -> None:
        self.triggers: dict[str, set[str]] = {}
        self.deltas: set[str] = set()
        self._channels: set[str] = set()
        self._ran: set[str] = set()
        self._is_old = False

    def learn(self, stored: Stored) -> None:
        self._channels.update(stored.versions)
        self._is_old |= stored.version < _NODES_AS_CHANNELS_UNTIL
        for channel in stored.versions:
            node = _started_by(channel)
            if node is not None:
                self.triggers.setdefault(node, set()).add(channel)
        for node, seen in stored.seen.items():
            if node not in _NO_NODES:
                self.triggers.setdefault(node, set()).update(seen)
        counters = stored.facts.get("counters_since_delta_snapshot")
        if isinstance(counters, dict):
            self.deltas.update(counters)

    def learn_path(self, path: str | None) -> None:
        """Of a write: which node made it."""
        if path is not None and path.startswith(_PULL):
            self._ran.add(path.removeprefix(_PULL))

    def settle(self) -> None:
        """Called when all was learnt."""
        for node, triggers in self.triggers.items():
            # Whatever waits for several nodes can be led to alone as well; if nothing ever did,
            # that channel has never been written to.
            if any(channel.startswith(JOIN) for channel in triggers):
                triggers.add(f"{BRANCH}{node}")
        if not any(INPUT in triggers for triggers in self.triggers.values()):
            # A function takes the input itself; else a node of that name does.
            unknown = self._ran - self.triggers.keys()
            first = next(iter(unknown)) if len(unknown) == 1 else INPUT
            self.triggers.setdefault(first, set()).add(INPUT)

    def hides(self, channel: str) -> bool:
        """Whether a channel is no part of the state: LangGraph's own, or one that older versions
        named after the node which writes to it."""
        return hidden(channel) or (self._is_old and channel in self.triggers)

    @property
    def single(self) -> str | None:
        if "__root__" in self._channels:
            return "__root__"
        functional = not self._channels.isdisjoint(_RETURN) or not (
            INPUT in self.triggers or any(hidden(c) and c != INPUT for c in self._channels)
        )
        return "__end__" if functional and INPUT in self._channels else None

    def nodes(self) -> Iterator[tuple[str, list[str]]]:
        """In the order in which LangGraph runs them, each with its triggers in order."""
        for node in sorted(self.triggers):
            yield node, sorted(self.triggers[node])


class Graphs:
    """Those of a thread, by namespace."""

    def __init__(self) -> None:
        self._graphs: dict[str, Graph] = {}

    def of(self, namespace: str) -> Graph:
        key = without_ids(namespace)
        found = self._graphs.get(key)
        if found is None:
            found = self._graphs[key] = Graph()
        return found

    def has(self, namespace: str) -> bool:
        """Whether there are checkpoints of the graph that runs in that namespace."""
        return without_ids(namespace) in self._graphs

    @property
    def any_deltas(self) -> bool:
        return any(graph.deltas for graph in self._graphs.values())

    def settle(self) -> None:
        """Called when all was learnt."""
        for graph in self._graphs.values():
            graph.settle()


def _started_by(channel: str) -> str | None:
    """The node that a channel starts, by its name; None where that does not tell."""
    if channel.startswith(BRANCH):
        return channel.removeprefix(BRANCH)
    if channel.startswith(JOIN):
        return channel.rpartition(":")[2]  # no node's name has a colon
    return None


def joined(channel: str, names: list[Any]) -> bool:
    """Whether these are all the nodes that a channel waits for, whose name lists them."""
    wanted = channel.removeprefix(JOIN).rpartition(":")[0]
    if not all(type(name) is str and name in wanted for name in names):
        return False
    return sum(map(len, names)) + len(names) - 1 == len(wanted)
