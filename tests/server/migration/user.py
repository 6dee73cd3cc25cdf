"""A program of a user's, as it talks to the source."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from .requests import Server, State

STEPS = 1100
"""The most steps of one run."""


@dataclass
class Filled:
    """What was put into the source.

    Attributes:
        url: of the source.
        threads: ids by name; the names begin with the graph.
        assistants: ids of those created, beside the server's own one for each graph.
        crons: ids.
        items: namespaces and keys in the store.
    """

    url: str
    threads: dict[str, str] = field(default_factory=dict)
    assistants: list[str] = field(default_factory=list)
    crons: list[str] = field(default_factory=list)
    items: set[tuple[tuple[str, ...], str]] = field(default_factory=set)

    def named(self, beginning: str) -> dict[str, str]:
        """The threads whose names begin so."""
        return {n: i for n, i in self.threads.items() if n.startswith(beginning)}


class User:
    """Whatever it makes is noted in `filled`."""

    def __init__(self, server: Server, filled: Filled) -> None:
        self.server = server
        self.filled = filled

    async def thread(self, name: str, graph: str | None, **options: Any) -> str:
        thread_id = str(uuid5(NAMESPACE_DNS, name))
        metadata = {"name": name, **options.pop("metadata", {})}
        if graph is not None:
            metadata["graph_id"] = graph
        await self.server.post(
            "/threads", {"thread_id": thread_id, "metadata": metadata, **options}
        )
        self.filled.threads[name] = thread_id
        return thread_id

    async def run(self, thread_id: str, graph: str, **options: Any) -> None:
        """Runs to the end, an interrupt or a failure; which of them is the thread's to tell."""
        config = {"recursion_limit": STEPS, **options.pop("config", {})}
        body = {"assistant_id": graph, "config": config, **options}
        await self.server.post(f"/threads/{thread_id}/runs/wait", body)

    async def ran(self, name: str, graph: str, *inputs: Any, **options: Any) -> str:
        thread_id = await self.thread(name, graph, **options)
        for given in inputs:
            await self.run(thread_id, graph, input=given)
        return thread_id

    async def update(self, thread_id: str, values: Any, **options: Any) -> dict[str, Any]:
        """Updates the state by hand; the new checkpoint."""
        made = await self.server.post(f"/threads/{thread_id}/state", {"values": values, **options})
        checkpoint: dict[str, Any] = made["checkpoint"]
        return checkpoint

    async def before(self, thread_id: str, *nodes: str) -> dict[str, Any]:
        """The newest checkpoint at which these nodes were about to run."""
        for state in await self.server.history(thread_id):
            if sorted(state["next"]) == sorted(nodes):
                return place(state)
        raise LookupError(f"thread {thread_id} was never before {nodes}")

    async def tip(self, thread_id: str) -> dict[str, Any]:
        return place((await self.server.history(thread_id))[0])

    async def asked(self, thread_id: str) -> list[str]:
        """The ids of the interrupts that wait for an answer."""
        waiting = (await self.server.get(f"/threads/{thread_id}"))["interrupts"]
        return [interrupt["id"] for interrupts in waiting.values() for interrupt in interrupts]


def place(state: State) -> dict[str, Any]:
    """Where this state is, as requests name it."""
    checkpoint = state["checkpoint"]
    return {key: checkpoint[key] for key in ("checkpoint_id", "checkpoint_ns")}


async def together(tasks: Iterable[Awaitable[Any]]) -> None:
    """Runs them at once; the first that fails ends all."""

    async def wait(task: Awaitable[Any]) -> None:
        await task

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(wait(task))
