"""The user's graphs, and which thread is of which."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from msgspec import Raw, UnsetType

from lgx import Bundle, Checkpoint, Record, Thread, ThreadError, split_object
from lgx_plugins.checkpointers.rebuilding.loading import closed, open_graph
from lgx_plugins.checkpointers.rebuilding.options import GraphName

__all__ = ["Graphs", "graph_id_of"]

_SPECIAL = frozenset({"__start__", "__end__", "__input__", "__copy__"})


class Graphs:
    """Opened once, before anything is read."""

    def __init__(self, names: Iterable[GraphName]) -> None:
        self._names = tuple(names)
        self._stack = AsyncExitStack()
        self._graphs: dict[str | None, Any] = {}

    async def open(self) -> None:
        """
        Raises:
            UsageError: one of them is not there, or no graph.
            FatalError: one of them raised something.
        """
        for one in self._names:
            self._graphs[one.graph_id] = await open_graph(one.name, self._stack)

    async def close(self) -> None:
        """May be called again.

        Raises:
            FatalError: what a graph was made in cannot be closed.
        """
        self._graphs.clear()
        await closed(self._stack)

    def of(self, bundle: Bundle) -> tuple[str | None, Any]:
        """The graph that a thread is of, and its id at the source.

        Raises:
            ThreadError: it is of none that was given.
        """
        own = graph_id_of(bundle)
        if own in self._graphs and own is not None:
            return own, self._graphs[own]
        if None in self._graphs:
            graph = self._graphs[None]
            lacking = sorted(_nodes(bundle) - set(graph.nodes) - _SPECIAL)
            if lacking:
                raise ThreadError(
                    f"it is of graph {own or '?'!r} and has nodes that {self._names[0].name} has "
                    f"not ({', '.join(lacking[:5])}); give its own graph too, each with its id: "
                    f"--sink-graph {own or 'GRAPH_ID'}=package.module:name"
                )
            return own, graph
        known = ", ".join(sorted(one for one in self._graphs if one is not None))
        if own is None:
            if len(self._graphs) == 1:
                return next(iter(self._graphs.items()))
            raise ThreadError(
                f"nothing at the source tells which graph it is of, and several are given ({known})"
            )
        raise ThreadError(
            f"it is of graph {own!r}, which was not given ({known} was); add --sink-graph "
            f"{own}=package.module:name"
        )


def graph_id_of(bundle: Bundle) -> str | None:
    """As the thread says, or the newest checkpoint that says it."""
    for record in bundle:
        if isinstance(record, Thread):
            found = _graph_id(record)
            if found is not None:
                return found
            break
    for record in reversed(bundle.spool):
        if isinstance(record, Checkpoint) and not record.checkpoint_ns:
            found = _graph_id(record)
            if found is not None:
                return found
    return None


def _graph_id(record: Thread | Checkpoint) -> str | None:
    if isinstance(record.metadata, UnsetType):
        return None
    try:
        text = split_object(record.metadata).get("graph_id", Raw(b"null"))
        found = msgspec.json.decode(text)
    except (ThreadError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found if isinstance(found, str) and found else None


class _Task(msgspec.Struct):
    name: str = ""


_tasks = msgspec.json.Decoder(list[_Task])
_next = msgspec.json.Decoder(list[str])


def _nodes(records: Iterable[Record]) -> set[str]:
    """The nodes that a thread's history names."""
    found: set[str] = set()
    for record in records:
        if not isinstance(record, Checkpoint) or record.checkpoint_ns:
            continue
        try:
            if not isinstance(record.tasks, UnsetType):
                found.update(task.name for task in _tasks.decode(record.tasks))
            if not isinstance(record.next, UnsetType):
                found.update(_next.decode(record.next))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # replay says what is wrong with it
    return found
