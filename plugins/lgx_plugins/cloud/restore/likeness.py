"""Whether the target's graphs have what the threads that are brought to them use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from msgspec import Struct

from lgx import Bundle, Context, Fact, Loss
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.jobs import Job
from lgx_plugins.replay.steps import next_of, root_checkpoints, values_of

__all__ = ["Likeness"]

_SHOWN = 10


class _Shape(Struct, frozen=True):
    """The channels and nodes of a graph; None where they cannot be learnt."""

    channels: frozenset[str] | None
    nodes: frozenset[str] | None


class Likeness:
    """Compares names alone: that a graph has all of them does not make it the same."""

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._shapes: dict[str, _Shape] = {}
        self._asking = asyncio.Lock()
        self._told: set[tuple[str, str, str]] = set()

    async def losses(self, job: Job, context: Context) -> list[Loss]:
        """That a thread will come in part, because its graph there lacks what it uses. What
        that is, is noted once for the graph, for this thread and all others.

        Raises:
            ThreadError: a record is not what an API gives.
        """
        graph = job.graph_id
        if graph is None or not job.bundle.checkpoints:
            return []
        shape = await self._shape(graph, context)
        channels, nodes = _used(job.bundle)
        lacking = {
            "channel": _beside(channels, shape.channels),
            "node": _beside(nodes, shape.nodes),
        }
        if not any(lacking.values()):
            return []
        self._tell(job, graph, lacking, context)
        why = (
            f"it would come in part, as graph {graph!r} there has not all of the channels and "
            "nodes that it uses"
        )
        return [Loss(what="thread", why=why, thread_id=job.bundle.thread_id)]

    async def facts(self, context: Context) -> list[Fact]:
        """What the first few graphs consist of, for whoever has threads for them."""
        found = []
        for graph in self._graphs.known[:_SHOWN]:
            shape = await self._shape(graph, context)
            parts = [
                f"{what} {', '.join(sorted(names))}"
                for what, there in (("channels", shape.channels), ("nodes", shape.nodes))
                if (names := [name for name in there or () if not name.startswith("__")])
            ]
            if parts:
                found.append(Fact(name=f"graph {graph}", value="; ".join(parts)))
        return found

    async def _shape(self, graph: str, context: Context) -> _Shape:
        async with self._asking:
            if graph not in self._shapes:
                drawn = await self._graphs.topology(graph, context)
                self._shapes[graph] = _Shape(
                    channels=await self._graphs.channels(graph, context),
                    nodes=None if drawn is None else drawn.nodes,
                )
            return self._shapes[graph]

    def _tell(self, job: Job, graph: str, lacking: dict[str, set[str]], context: Context) -> None:
        parts = []
        for noun, names in lacking.items():
            new = {name for name in names if (graph, noun, name) not in self._told}
            self._told |= {(graph, noun, name) for name in new}
            if new:
                parts.append(f"no {noun}{'s' * (len(new) > 1)} {', '.join(map(repr, sorted(new)))}")
        if parts:
            old = job.mapped or graph
            context.note(
                f"graph {graph!r} there has {' and '.join(parts)}, of which threads of graph "
                f"{old!r} make use: deploy the graph that wrote these threads, or name another "
                f"with --sink-map-graph {old}=GRAPH"
            )


def _used(bundle: Bundle) -> tuple[set[str], set[str]]:
    """The channels that a thread's history has, and the nodes that were due in it."""
    channels: set[str] = set()
    nodes: set[str] = set()
    for record in root_checkpoints(bundle):
        channels.update(values_of(record.values))
        nodes.update(next_of(record))
    return channels, nodes


def _beside(names: Iterable[str], there: frozenset[str] | None) -> set[str]:
    """Those that are not there, but for LangGraph's own."""
    if there is None:
        return set()
    return {name for name in names if name not in there and not name.startswith("__")}
