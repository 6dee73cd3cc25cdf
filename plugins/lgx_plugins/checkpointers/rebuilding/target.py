"""A thread that is rebuilt with a graph in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Reversible, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Raw

from lgx import Checkpoint, LgxError, ThreadError
from lgx_plugins.checkpointers.rebuilding.originals import Originals
from lgx_plugins.checkpointers.rebuilding.rendering import reading_serde, rendered
from lgx_plugins.checkpointers.rebuilding.rows import ThreadRows
from lgx_plugins.checkpointers.rebuilding.saver import Naming, rows_saver
from lgx_plugins.checkpointers.rebuilding.unordered import Sets
from lgx_plugins.checkpointers.rebuilding.updates import Updates, refused
from lgx_plugins.replay import Edge, Topology

__all__ = ["GraphTarget"]


class GraphTarget:
    """Fulfils `lgx_plugins.replay.Target`, and is told which checkpoints come.

    Updates run the writers of nodes (edges, functions that choose among them, reducers), and
    never a node. Nothing is traced.
    """

    body_bytes = 2 << 20

    def __init__(
        self, graph: Any, thread_id: str, rows: ThreadRows, *, keep: bool, declared: bool = True
    ) -> None:
        """
        Args:
            graph: compiled; its own checkpointer is not used.
            rows: empty; hold what is made.
            keep: whether the source's ids, times and metadata are given to it.
            declared: whether values are made the objects that the graph declares.
        """
        self._thread_id = thread_id
        self._rows = rows
        self._keep = keep
        self._naming = Naming(parents=not any(map(_is_delta, graph.channels.values())))
        self._updates = Updates(graph, declared=declared)
        saver = rows_saver(rows, self._naming, seed=thread_id)
        graph = graph.copy(update={"config": _without_callbacks(graph.config)})
        self.graph = graph.copy(update={"checkpointer": saver})
        self._sets = Sets()
        self._sources: Reversible[Checkpoint] = ()
        reader = rows_saver(rows, self._naming, reading_serde(self._sets))
        self._view = graph.copy(update={"checkpointer": reader})

    @property
    def kept(self) -> bool:
        """Whether what was made has the names of the source."""
        originals = self._naming.originals
        return originals is not None and originals.kept

    def follow(self, records: Reversible[Checkpoint], before: int) -> None:
        """See `lgx_plugins.replay.Follower`."""
        self._sources = records
        self._naming.originals = Originals(records, before) if self._keep else None

    async def create(self, supersteps: Sequence[bytes]) -> None:
        await self._apply(supersteps)

    async def go_on(self, supersteps: Sequence[bytes]) -> None:
        await self._apply(supersteps)

    async def _apply(self, supersteps: Sequence[bytes]) -> None:
        if not supersteps:
            return
        with _explained():
            updates = self._updates.supersteps(supersteps)
            await self.graph.abulk_update_state(self.at(None), updates)

    async def branch(self, parent_id: str, update: bytes) -> str:
        with _explained():
            made = await self.graph.abulk_update_state(
                self.at(parent_id), [[self._updates.single(update)]]
            )
        return str(made["configurable"]["checkpoint_id"])

    async def head(self) -> str:
        held = self._rows.get("", None)
        assert held is not None, "there is one"
        return held.id

    async def history(self) -> AsyncIterator[Checkpoint]:
        """One state after the other: LangGraph itself would load all of them first."""
        sources = reversed(self._sources)
        for checkpoint_id in self._rows.ids(""):
            source = next(sources, None)
            try:
                with _quiet():
                    state = await self._view.aget_state(self.at(checkpoint_id))
                values = state.values
                if self._sets.any and source is not None and isinstance(source.values, Raw):
                    values = self._sets.aligned(values, msgspec.json.decode(source.values))
                record = rendered(state, self._thread_id, values)
            except LgxError:
                raise
            except Exception as error:
                raise ThreadError(
                    f"the graph cannot read the state that it was rebuilt to: {refused(error)}"
                ) from error
            yield record

    async def remove(self) -> None:
        self._rows.clear()

    async def topology(self) -> Topology | None:
        try:
            with _quiet():
                drawn = self.graph.get_graph()
        except Exception:
            return None  # not every graph can be drawn
        return Topology(
            nodes=frozenset(drawn.nodes),
            edges=tuple(Edge(e.source, e.target, bool(e.conditional)) for e in drawn.edges),
        )

    # -- besides -----------------------------------------------------------------------

    @property
    def made(self) -> frozenset[str]:
        """Channels whose values are what the graph declares, and no plain data."""
        return self._updates.made

    @property
    def has_objects(self) -> bool:
        """Whether any value was made one."""
        return self._updates.has_objects

    def ids(self) -> list[str]:
        """Of what was made, oldest first."""
        return self._rows.ids("")[::-1]

    async def tasks(self, checkpoint_id: str) -> list[tuple[str, str]]:
        """The names and ids of the tasks that are due at a checkpoint."""
        with _explained():
            state = await self.graph.aget_state(self.at(checkpoint_id))
        return [(task.name, task.id) for task in state.tasks]

    async def put_writes(
        self, checkpoint_id: str, writes: Sequence[tuple[str, Any]], task_id: str
    ) -> None:
        """What is kept of a task that is due there."""
        if writes:
            with _explained():
                saver = self.graph.checkpointer
                await saver.aput_writes(self.at(checkpoint_id), list(writes), task_id)

    def at(self, checkpoint_id: str | None) -> dict[str, Any]:
        """Names the thread as it stood at a checkpoint, or stands."""
        place = {"thread_id": self._thread_id, "checkpoint_ns": ""}
        if checkpoint_id is not None:
            place["checkpoint_id"] = checkpoint_id
        return {"configurable": place}


def _without_callbacks(config: Any) -> Any:
    """What a graph is bound to, but for whom it tells of what it does: nothing runs."""
    return {key: value for key, value in (config or {}).items() if key != "callbacks"}


def _is_delta(channel: Any) -> bool:
    """Whether a channel's value is made of what its checkpoint's ancestors were written."""
    return type(channel).__name__ == "DeltaChannel"


@contextmanager
def _explained() -> Iterator[None]:
    """What a graph raises at an update is its refusal."""
    try:
        with _quiet():
            yield
    except LgxError:
        raise
    except Exception as error:
        raise refused(error) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Sends no traces, whatever the environment says: nothing runs that anybody would look at."""
    from langsmith.run_helpers import tracing_context

    with tracing_context(enabled=False):
        yield
