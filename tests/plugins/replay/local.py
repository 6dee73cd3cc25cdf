"""A server's part in replay, played by a compiled graph in this process.

Histories are rendered by the server's own functions, and updates are applied as it applies
them, so that what holds here holds there; `barriers=False` renders joins as servers of
today do: without next and tasks.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer, _msgpack_ext_hook_to_json
from langgraph.types import StateUpdate
from langgraph_api.command import map_cmd  # type: ignore[import-untyped]
from langgraph_api.serde import json_dumpb  # type: ignore[import-untyped]
from langgraph_api.state import state_snapshot_to_thread_state  # type: ignore[import-untyped]

from lgx import Bundle, Checkpoint, Thread, decode_history, raw
from lgx.testing import make_bundle, make_context
from lgx_plugins.replay import Edge, RefusedError, Topology

__all__ = ["THREAD", "LocalTarget", "Place"]

THREAD = "7f1e0a52-0000-4000-8000-000000000000"


class Place:
    """A graph with a checkpointer of its own, and what the API would say of its threads."""

    def __init__(self, builder: Any, *, barriers: bool = False, **options: Any) -> None:
        self.saver = InMemorySaver()
        self.graph: Any = builder.compile(checkpointer=self.saver, **options)
        self.view: Any = self.graph
        if not barriers:
            reader = InMemorySaver(serde=_Reader())
            reader.storage, reader.writes, reader.blobs = (
                self.saver.storage,
                self.saver.writes,
                self.saver.blobs,
            )
            self.view = builder.compile(checkpointer=reader, **options)

    def head(self, thread_id: str = THREAD) -> Any:
        """Names a thread as it stands."""
        return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}

    def at(self, checkpoint_id: str, thread_id: str = THREAD) -> Any:
        """Names a thread as it stood at a checkpoint."""
        place = {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}
        return {"configurable": place}

    async def id_of(self, step: int, thread_id: str = THREAD) -> str:
        """The id of the oldest checkpoint with this number."""
        found = [
            state.config["configurable"]["checkpoint_id"]
            async for state in self.graph.aget_state_history(self.head(thread_id))
            if (state.metadata or {}).get("step") == step
        ]
        return str(found[-1])

    async def due(self, thread_id: str = THREAD) -> list[tuple[str, bool]]:
        """What is really next, whatever the API tells, and what of it has finished."""
        state = await self.graph.aget_state(self.head(thread_id))
        return sorted((task.name, task.result is None) for task in state.tasks)

    async def states(self, thread_id: str = THREAD) -> list[Checkpoint]:
        """The root history, newest first, as records of what the API would answer."""
        states = [state async for state in self.view.aget_state_history(self.head(thread_id))]
        body = json_dumpb([state_snapshot_to_thread_state(state) for state in states])
        return decode_history(body, thread_id)

    async def namespaces(self, thread_id: str = THREAD) -> list[Checkpoint]:
        """One record for each checkpoint of a subgraph."""
        config: Any = {"configurable": {"thread_id": thread_id}}
        return [
            Checkpoint(
                thread_id=thread_id,
                checkpoint_ns=found.config["configurable"]["checkpoint_ns"],
                checkpoint_id=found.config["configurable"]["checkpoint_id"],
            )
            async for found in self.saver.alist(config)
            if found.config["configurable"]["checkpoint_ns"]
        ]

    async def export(self, thread_id: str = THREAD) -> Bundle:
        """The thread as a source hands it to a sink."""
        states = await self.states(thread_id)
        thread = Thread(thread_id=thread_id, metadata=raw({"graph_id": "g"}))
        return make_bundle(make_context(), [thread, *reversed(states)])


def _validate(steps: list[Any]) -> None:
    """The server's schema: a body is taken or refused as a whole, before anything is applied."""
    for update in (update for step in steps for update in step["updates"]):
        values = update.get("values")
        if isinstance(values, list) and not all(isinstance(item, dict) for item in values):
            raise RefusedError(f"{values} is not valid under any of the schemas listed")
        gotos = (update.get("command") or {}).get("goto") or []
        if len({isinstance(goto, str) for goto in gotos}) > 1:
            raise RefusedError(f"{gotos} is not valid under any of the schemas listed")


class _Reader(JsonPlusSerializer):
    def __init__(self) -> None:
        super().__init__(__unpack_ext_hook__=_hook)


def _hook(code: int, data: bytes) -> Any:
    from langgraph.checkpoint.serde.jsonplus import EXT_DELTA_SNAPSHOT
    from langgraph.checkpoint.serde.types import _DeltaSnapshot

    if code == EXT_DELTA_SNAPSHOT:
        import ormsgpack

        option = ormsgpack.OPT_NON_STR_KEYS
        return _DeltaSnapshot(ormsgpack.unpackb(data, ext_hook=_hook, option=option))
    return _msgpack_ext_hook_to_json(code, data)


class LocalTarget:
    """A thread that is rebuilt in a `Place`, through what the server's endpoints do."""

    body_bytes = 1 << 20

    def __init__(self, place: Place, thread_id: str | None = None) -> None:
        self.place = place
        self.thread_id = thread_id or str(uuid4())
        self.calls: list[str] = []
        self.sent: list[Any] = []
        self.sizes: list[int] = []

    async def create(self, supersteps: Sequence[bytes]) -> None:
        assert not await self.place.states(self.thread_id), "a fresh thread has no checkpoints"
        self.calls.append("create")
        await self._apply(supersteps)

    async def go_on(self, supersteps: Sequence[bytes]) -> None:
        self.calls.append("go_on")
        await self._apply(supersteps)

    async def _apply(self, supersteps: Sequence[bytes]) -> None:
        self.sizes.append(sum(map(len, supersteps)))
        steps = [json.loads(superstep) for superstep in supersteps]
        self.sent += steps
        if not steps:
            return
        _validate(steps)
        updates = [
            [
                StateUpdate(
                    map_cmd(update["command"]) if update.get("command") else update.get("values"),
                    update.get("as_node"),
                )
                for update in step["updates"]
            ]
            for step in steps
        ]
        try:
            await self.place.graph.abulk_update_state(self.place.head(self.thread_id), updates)
        except Exception as error:
            raise RefusedError(f"{type(error).__name__}: {error}") from error

    async def branch(self, parent_id: str, update: bytes) -> str:
        self.calls.append("branch")
        fields = json.loads(update)
        self.sent.append({"branch": fields})
        config = self.place.at(parent_id, self.thread_id)
        try:
            made = await self.place.graph.aupdate_state(
                config, fields.get("values"), as_node=fields.get("as_node")
            )
        except Exception as error:
            raise RefusedError(f"{type(error).__name__}: {error}") from error
        return str(made["configurable"]["checkpoint_id"])

    async def head(self) -> str:
        self.calls.append("head")
        state = await self.place.view.aget_state(self.place.head(self.thread_id))
        return str(state.config["configurable"]["checkpoint_id"])

    async def history(self) -> AsyncIterator[Checkpoint]:
        self.calls.append("history")
        for record in await self.place.states(self.thread_id):
            yield record

    async def remove(self) -> None:
        self.calls.append("remove")
        self.sent.clear()
        await self.place.saver.adelete_thread(self.thread_id)

    async def topology(self) -> Topology | None:
        self.calls.append("topology")
        drawn = self.place.graph.get_graph()
        return Topology(
            nodes=frozenset(drawn.nodes),
            edges=tuple(Edge(e.source, e.target, bool(e.conditional)) for e in drawn.edges),
        )
