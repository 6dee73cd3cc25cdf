"""Fills a server with threads in every state, through the SDK, as users' programs do.

python tests/server/fill.py URL     # prints the ids, by name
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import Checkpoint

LONG = 1010
"""Rounds of the long thread, which has two checkpoints more."""

TOPICS = (
    "tea",
    "glaciers",
    "Ärger",
    "日本",
    "\N{GRINNING FACE} smiles",
    'quotes " and \\',
    "a/b/../c",
)


@dataclass
class Filled:
    """What was put into a server.

    Attributes:
        url: of the server.
        threads: ids by name; the names begin with the kind of thread.
        poisoned: names of the threads whose history the server cannot render whole.
        assistants: ids of those created, beside the server's one for each graph.
        crons: ids.
        items: namespaces and keys in the store.
    """

    url: str
    threads: dict[str, str] = field(default_factory=dict)
    poisoned: frozenset[str] = frozenset()
    assistants: list[str] = field(default_factory=list)
    crons: list[str] = field(default_factory=list)
    items: set[tuple[tuple[str, ...], str]] = field(default_factory=set)


class _Filler:
    def __init__(self, client: LangGraphClient, filled: Filled) -> None:
        self.client = client
        self.filled = filled

    async def thread(self, name: str, **options: Any) -> str:
        thread = await self.client.threads.create(metadata={"name": name}, **options)
        self.filled.threads[name] = thread["thread_id"]
        return thread["thread_id"]

    async def run(self, thread_id: str, graph: str = "tour", /, **options: Any) -> None:
        """Runs to the end, an interrupt or a failure."""
        run = await self.client.runs.create(
            thread_id, graph, config={"recursion_limit": LONG + 10}, **options
        )
        # The answer of a failed run is no error; whether it failed is the thread's to tell.
        await self.client.runs.join(thread_id, run["run_id"])

    async def toured(self, name: str, plan: dict[str, Any], **options: Any) -> str:
        thread_id = await self.thread(name, graph_id="tour")
        await self.run(thread_id, input={"plan": plan}, **options)
        return thread_id

    async def step(self, thread_id: str, node: str) -> Checkpoint:
        """The checkpoint at which this node was about to run."""
        for state in await self.client.threads.get_history(thread_id, limit=100):
            if node in state["next"]:
                return state["checkpoint"]
        raise LookupError(f"thread {thread_id} never came to {node}")

    async def twice(self) -> None:
        thread_id = await self.toured("twice", {"topic": "rain", "pieces": 3})
        await self.run(thread_id, input={"plan": {"topic": "more rain", "pieces": 1}})

    async def resumed(self) -> None:
        thread_id = await self.toured("resumed", {"topic": "bread", "ask": True})
        await self.run(thread_id, command={"resume": {"right": True}})

    async def forked(self, name: str, node: str) -> None:
        thread_id = await self.toured(name, {"topic": name})
        past = await self.step(thread_id, node)
        await self.client.threads.update_state(thread_id, {"log": ["forked"]}, checkpoint=past)

    async def branched(self) -> None:
        """Two runs on from one past checkpoint, the second of which waits."""
        thread_id = await self.toured("branched", {"topic": "trees"})
        past = await self.step(thread_id, "usual")
        await self.run(thread_id, checkpoint=past, input=None)
        fork = await self.client.threads.update_state(
            thread_id, {"plan": {"topic": "woods", "ask": True}}, checkpoint=past
        )
        await self.run(thread_id, checkpoint=dict(fork["checkpoint"]), input=None)

    async def updated(self) -> None:
        thread_id = await self.toured("updated", {"topic": "maps"})
        await self.client.threads.update_state(thread_id, {"log": ["by hand"]}, as_node="ask")
        await self.client.threads.update(thread_id, metadata={"label": "né à \u2028 Ωmega"})

    async def copied(self) -> None:
        thread_id = await self.toured("copy-of", {"topic": "copies"})
        copy: Any = await self.client.http.post(f"/threads/{thread_id}/copy", json=None)
        self.filled.threads["copy"] = copy["thread_id"]

    async def replayed(self) -> None:
        updates = [
            ("__input__", {"rounds": 0}),
            ("__start__", {"rounds": 0}),
            ("turn", {"count": 1}),
        ]
        await self.thread(
            "replayed",
            graph_id="loop",
            supersteps=[{"updates": [{"values": v, "as_node": n}]} for n, v in updates],
        )

    async def waiting(self) -> None:
        thread_id = await self.toured("waiting", {"topic": "tomorrow"})
        await self.client.runs.create(thread_id, "tour", input={"plan": {}}, after_seconds=86_400)

    async def gone(self) -> None:
        """Its graph is no longer deployed; its state is still there."""
        thread_id = await self.toured("gone", {"topic": "the past"})
        await self.client.threads.update(thread_id, metadata={"graph_id": "gone"})

    async def long(self) -> None:
        thread_id = await self.thread("long", graph_id="loop")
        await self.run(thread_id, "loop", input={"rounds": LONG})

    async def store(self) -> None:
        shelves = [
            ("users",),
            ("users", "ann"),
            ("users", "ann", "notes"),
            ("日本", "a b"),
            ("x",) * 5,
        ]
        for number, shelf in enumerate(shelves):
            for key in ("first", "key/with .. odd \N{GRINNING FACE}", f"{number}"):
                value = {"number": number, "text": f"é {key}", "deep": {"list": [1, 2.5, None]}}
                await self.client.store.put_item(shelf, key, value)
                self.filled.items.add((shelf, key))

    async def assistants(self) -> None:
        for graph, versions in (("tour", 3), ("loop", 1)):
            made = await self.client.assistants.create(
                graph, name=f"{graph} 1", metadata={"made": "here"}, config={"tags": ["one"]}
            )
            for version in range(2, versions + 1):
                await self.client.assistants.update(
                    made["assistant_id"],
                    name=f"{graph} {version}",
                    config={"tags": [str(version)]},
                    description=f"version {version}",
                )
            if versions > 1:  # what is in force need not be the newest
                await self.client.assistants.set_latest(made["assistant_id"], 2)
            self.filled.assistants.append(made["assistant_id"])

    async def crons(self) -> None:
        once_a_year = "0 0 1 1 *"
        free: Any = await self.client.crons.create(
            "tour", schedule=once_a_year, input={"plan": {"topic": "new year"}}
        )
        thread_id = await self.thread("cron", graph_id="tour")
        bound: Any = await self.client.crons.create_for_thread(
            thread_id, "tour", schedule=once_a_year, input={"plan": {}}
        )
        self.filled.crons += [free["cron_id"], bound["cron_id"]]

    def everything(self) -> Iterable[Awaitable[Any]]:
        yield self.long()
        for number in range(28):
            topic = TOPICS[number % len(TOPICS)]
            yield self.toured(f"idle-{number}", {"topic": topic, "pieces": number % 4 + 1})
        for number in range(5):
            yield self.toured(f"interrupted-{number}", {"topic": TOPICS[number], "ask": True})
        yield self.toured("interrupted-inside", {"topic": "nesting", "ask": "inside"})
        for number in range(3):
            yield self.toured(f"failed-{number}", {"topic": TOPICS[number], "fail": True})
        for number in range(3):
            yield self.thread(f"empty-{number}", graph_id="tour")
            yield self.thread(f"bare-{number}")
        yield self.thread("gone-empty", graph_id="gone")
        yield self.toured("types", {"odd": "types"})
        # A run that streams such a value fails; one that streams nothing lives on.
        for odd in ("integer", "nesting", "inner"):
            yield self.toured(f"poisoned-{odd}", {"odd": odd}, stream_mode=["custom"])
        yield self.twice()
        yield self.resumed()
        yield self.forked("forked-early", "left")
        yield self.forked("forked-late", "trim")
        yield self.branched()
        yield self.updated()
        yield self.copied()
        yield self.replayed()
        yield self.waiting()
        yield self.gone()
        yield self.store()
        yield self.assistants()
        yield self.crons()


async def fill(url: str) -> Filled:
    """Fills an empty server that runs the app beside this file."""
    filled = Filled(url)
    async with get_client(url=url, api_key=None) as client:
        filler = _Filler(client, filled)
        async with asyncio.TaskGroup() as group:
            for task in filler.everything():
                group.create_task(_run(task))
    filled.poisoned = frozenset(n for n in filled.threads if n.startswith("poisoned-"))
    return filled


async def _run(task: Awaitable[Any]) -> None:
    await task


if __name__ == "__main__":
    for name, thread_id in asyncio.run(fill(sys.argv[1])).threads.items():
        print(thread_id, name)  # noqa: T201
