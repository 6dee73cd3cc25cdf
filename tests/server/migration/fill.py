"""Fills the source with every kind of thread that a migration may meet, as users' programs do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from .requests import Server, State

LONG = 1005
"""Rounds of the long thread, which has two checkpoints more."""

WAYS = ("plain", "bare", "end", "sends", "climb")
STOPS = ("one", "two", "beside", "series", "gate", "inside", "fail")
"""Where runs of the graph `relay` go through, and where they stop."""

STRANGE = {
    "owner": "né \N{GRINNING FACE}",
    "quote \" \\ ' key": {"deep": [1, 2.5, None, {"é": True}], "\u2028": ""},
    "": "an empty key",
    "big": 2**53 + 1,
    "empty": {},
    "null": None,
    "user": {"id": 7, "teams": ["a", "b"]},
}
"""Metadata of a thread that has more than most."""


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


class _Filler:
    def __init__(self, server: Server, filled: Filled) -> None:
        self.server = server
        self.filled = filled

    # -- what users' programs do -------------------------------------------------------

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
        config = {"recursion_limit": LONG + 10, **options.pop("config", {})}
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
                return _place(state)
        raise LookupError(f"thread {thread_id} was never before {nodes}")

    async def tip(self, thread_id: str) -> dict[str, Any]:
        return _place((await self.server.history(thread_id))[0])

    # -- threads of one kind -----------------------------------------------------------

    async def chats(self) -> None:
        plans: dict[str, list[dict[str, Any]]] = {
            "plain": [{"topic": "tea"}],
            "usage": [{"topic": "coffee", "usage": True}],
            "invalid": [{"topic": "日本", "invalid": True}],
            "everything": [{"usage": True, "invalid": True}, {"topic": "more", "usage": True}],
            "quiet": [{}, {"quiet": True}],
            "cleared": [{"topic": "one"}, {"topic": "two", "clear": True}, {"topic": "three"}],
        }
        await _together(
            self.ran(f"chat-{name}", "chat", *({"plan": plan} for plan in turns))
            for name, turns in plans.items()
        )

    async def chat_inputs(self) -> None:
        """Inputs with messages of their own, with ids and without."""
        first = {"role": "user", "content": "from outside"}
        second = {"type": "human", "content": "with an id", "id": "given"}
        await self.ran("chat-inputs", "chat", {"messages": [first, second], "plan": {}})

    async def weaves(self) -> None:
        threads: dict[str, list[Any]] = {
            "plain": [{"plan": {"topic": "a"}}],
            "twice": [{"plan": {"pieces": 1}}, {"plan": {"pieces": 5}, "log": ["input"]}],
            "few": [{"plan": {"pieces": 0}}],
        }
        await _together(
            self.ran(f"weave-{name}", "weave", *inputs) for name, inputs in threads.items()
        )

    async def relays(self) -> None:
        ways = (*WAYS, *STOPS)
        await _together(
            self.ran(f"relay-{way}", "relay", {"plan": {"way": way}}, metadata={"way": way})
            for way in ways
        )

    async def resumed(self, way: str, *commands: Any) -> None:
        """Interrupted, then resumed, as often as it takes."""
        thread_id = await self.ran(f"relay-resumed-{way}", "relay", {"plan": {"way": way}})
        for command in commands:
            await self.run(thread_id, "relay", command=command)

    async def resumed_both(self) -> None:
        """Two interrupts at once, resumed by their ids, one after the other."""
        thread_id = await self.ran("relay-resumed-two", "relay", {"plan": {"way": "two"}})
        for answer in ("first", "second"):
            waiting = (await self.server.get(f"/threads/{thread_id}"))["interrupts"]
            (interrupt, *_) = [i for interrupts in waiting.values() for i in interrupts]
            await self.run(thread_id, "relay", command={"resume": {interrupt["id"]: answer}})

    async def half_resumed(self) -> None:
        """Two interrupts at once, one of which was answered."""
        thread_id = await self.ran("relay-half-resumed", "relay", {"plan": {"way": "two"}})
        waiting = (await self.server.get(f"/threads/{thread_id}"))["interrupts"]
        (interrupt, *_) = [i for interrupts in waiting.values() for i in interrupts]
        await self.run(thread_id, "relay", command={"resume": {interrupt["id"]: "one only"}})

    async def abandoned(self) -> None:
        """A new input in place of an answer."""
        await self.ran(
            "relay-abandoned", "relay", {"plan": {"way": "one"}}, {"plan": {"way": "plain"}}
        )

    async def failed_then_not(self) -> None:
        await self.ran(
            "relay-recovered", "relay", {"plan": {"way": "fail"}}, {"plan": {"way": "plain"}}
        )

    async def jumped(self) -> None:
        """A run that begins with a command rather than an input."""
        thread_id = await self.ran("relay-jumped", "relay", {"plan": {"way": "plain"}})
        command = {"goto": "pause", "update": {"log": ["from outside"]}}
        await self.run(thread_id, "relay", command=command)

    async def shapes(self) -> None:
        threads: dict[str, list[Any]] = {
            "root": [["a"], ["b", "c"]],
            "typed": [{}, {"count": 5}],
            "sets": [{"log": ["x"]}],
            "functional": [3, 4],
            "drift": [{"rounds": 3}],
            "renamed": [{"log": ["x"]}],
            "gone": [{"rounds": 2}],
        }
        await _together(
            self.ran(f"{graph}-plain", graph, *inputs) for graph, inputs in threads.items()
        )

    async def bare(self) -> None:
        """Threads without a history, or whose history is out of reach."""
        await self.thread("bare-nothing", None)
        await self.thread("bare-graph", "loop")
        await self.thread("bare-gone", "gone")
        await self.thread("bare-strange", None, metadata=STRANGE)
        await self.thread("bare-ttl", None, ttl={"ttl": 60 * 24 * 365, "strategy": "delete"})
        lost = await self.ran("lost-graph", "loop", {"rounds": 2})
        await self.server.patch(f"/threads/{lost}", {"metadata": {"graph_id": "nowhere"}})
        await self.ran("lost-dates", "typed", {"dated": True})

    async def strange(self) -> None:
        await self.ran("loop-strange", "loop", {"rounds": 2}, metadata=STRANGE)

    async def configured(self) -> None:
        """A thread whose runs had settings."""
        thread_id = await self.thread("loop-configured", "loop")
        settings = {"configurable": {"tone": "kind", "user_id": "u1"}, "tags": ["t"]}
        await self.run(
            thread_id, "loop", input={"rounds": 1}, config=settings, metadata={"of": "the run"}
        )

    async def busy(self) -> None:
        thread_id = await self.ran("loop-busy", "loop", {"rounds": 1})
        later = {"assistant_id": "loop", "input": {"rounds": 2}, "after_seconds": 86_400}
        await self.server.post(f"/threads/{thread_id}/runs", later)

    async def long(self) -> None:
        await self.ran("loop-long", "loop", {"rounds": LONG})

    async def turns(self) -> None:
        await self.ran("loop-turns", "loop", *({"rounds": n} for n in range(1, 6)))

    # -- histories that are no line ----------------------------------------------------

    async def updated(self) -> None:
        """Edited by hand, at the newest checkpoint."""
        thread_id = await self.ran("chat-updated", "chat", {"plan": {"topic": "maps"}})
        note = {"messages": [{"role": "user", "content": "by hand"}], "notes": ["by hand"]}
        await self.update(thread_id, note, as_node="answer")
        await self.update(thread_id, {"summary": "by hand"}, as_node="rest")
        thread_id = await self.ran("relay-updated", "relay", {"plan": {"way": "one"}})
        await self.update(thread_id, {"log": ["no answer needed"]}, as_node="ask_left")
        await self.run(thread_id, "relay", input=None)
        thread_id = await self.ran("relay-stopped", "relay", {"plan": {"way": "two"}})
        await self.update(thread_id, None, as_node="__end__")
        thread_id = await self.thread("chat-by-hand", "chat")
        await self.update(thread_id, {"notes": ["never run"]}, as_node="remember")

    async def copied(self) -> None:
        """A copy of a checkpoint, and a copy of a thread."""
        thread_id = await self.ran("weave-copied", "weave", {"plan": {}})
        await self.update(thread_id, None, as_node="__copy__")
        past = await self.before(thread_id, "left", "right", "silent")
        await self.update(thread_id, None, as_node="__copy__", checkpoint=past)
        await self.run(thread_id, "weave", input=None)
        thread_id = await self.ran("relay-original", "relay", {"plan": {"way": "one"}})
        copy = await self.server.post(f"/threads/{thread_id}/copy", None)
        self.filled.threads["relay-copy"] = copy["thread_id"]

    async def forked(self) -> None:
        """Edited by hand in the past, and left there."""
        thread_id = await self.ran("chat-forked", "chat", {"plan": {"topic": "rain"}})
        past = await self.before(thread_id, "tidy")
        await self.update(thread_id, {"notes": ["fork"]}, checkpoint=past, as_node="answer")

    async def rerun(self) -> None:
        """Run again from the past: time travel."""
        thread_id = await self.ran("chat-rerun", "chat", {"plan": {"topic": "snow"}})
        past = await self.before(thread_id, "answer")
        await self.run(thread_id, "chat", input=None, checkpoint=past)

    async def rerun_last_step(self) -> None:
        """Only the last step again: the fork has one checkpoint, which no update made."""
        thread_id = await self.ran("loop-rerun-last", "loop", {"rounds": 2})
        (past, *_) = [
            _place(state)
            for state in await self.server.history(thread_id)
            if state["values"].get("count") == 1
        ]
        await self.run(thread_id, "loop", input=None, checkpoint=past)

    async def forked_twice(self) -> None:
        """A fork of a fork, each run to its end."""
        thread_id = await self.ran("weave-forked-twice", "weave", {"plan": {"pieces": 2}})
        past = await self.before(thread_id, "still")
        fork = await self.update(thread_id, {"log": ["fork"]}, checkpoint=past, as_node="piece")
        await self.run(thread_id, "weave", input=None, checkpoint=fork)
        past = await self.before(thread_id, "twice")
        fork = await self.update(thread_id, {"log": ["again"]}, checkpoint=past, as_node="still")
        await self.run(thread_id, "weave", input=None, checkpoint=fork)

    async def forked_parallel(self) -> None:
        """From where several tasks were about to run: all again, then one of them by hand."""
        thread_id = await self.ran("weave-forked-parallel", "weave", {"plan": {"topic": "p"}})
        past = await self.before(thread_id, "left", "right", "silent")
        await self.run(thread_id, "weave", input=None, checkpoint=past)
        await self.update(thread_id, {"log": ["left alone"]}, checkpoint=past, as_node="left")

    async def forked_sends(self) -> None:
        """From where a fan-out was about to run."""
        thread_id = await self.ran("weave-forked-sends", "weave", {"plan": {"pieces": 2}})
        past = await self.before(thread_id, "piece", "piece", "extra")
        await self.run(thread_id, "weave", input=None, checkpoint=past)

    async def forked_back(self) -> None:
        """On from the older branch, after a younger one was made."""
        thread_id = await self.ran("loop-forked-back", "loop", {"rounds": 3})
        old = await self.tip(thread_id)
        past = (await self.server.history(thread_id))[2]
        await self.run(thread_id, "loop", input={"rounds": 9}, checkpoint=_place(past))
        await self.run(thread_id, "loop", input={"rounds": 5}, checkpoint=old)

    async def forked_early(self) -> None:
        """From the very first checkpoint, and from the one after it."""
        thread_id = await self.ran("loop-forked-early", "loop", {"rounds": 2})
        first, second = [_place(s) for s in (await self.server.history(thread_id))[:-3:-1]]
        await self.run(thread_id, "loop", input=None, checkpoint=first)
        await self.update(thread_id, {"rounds": 4}, checkpoint=second, as_node="__start__")
        await self.run(thread_id, "loop", input=None)

    async def answered_twice(self) -> None:
        """The same question answered again: two children of one step, and no copy between."""
        thread_id = await self.ran("relay-answered-twice", "relay", {"plan": {"way": "one"}})
        asked = await self.tip(thread_id)
        await self.run(thread_id, "relay", command={"resume": "yes"})
        await self.run(thread_id, "relay", command={"resume": "no"}, checkpoint=asked)

    async def rewritten(self) -> None:
        """Updates in the past as a node that ran there, whose result stays what it was."""
        thread_id = await self.ran("chat-rewritten", "chat", {"plan": {"topic": "ink"}})
        past = await self.before(thread_id, "rest")
        late = {"notes": ["late"], "summary": "late"}
        await self.update(thread_id, late, checkpoint=past, as_node="rest")
        thread_id = await self.ran("weave-rewritten", "weave", {"plan": {"topic": "lead"}})
        past = await self.before(thread_id, "still")
        later = {"log": ["late"], "best": 50}
        fork = await self.update(thread_id, later, checkpoint=past, as_node="still")
        await self.run(thread_id, "weave", input=None, checkpoint=fork)

    async def forked_interrupted(self) -> None:
        """Two branches, both of which wait."""
        thread_id = await self.ran("relay-forked", "relay", {"plan": {"way": "one"}})
        past = await self.before(thread_id, "route")
        fork = await self.update(
            thread_id, {"plan": {"way": "two"}}, checkpoint=past, as_node="__start__"
        )
        await self.run(thread_id, "relay", input=None, checkpoint=fork)

    async def replayed(self) -> None:
        """A thread that was itself made of supersteps."""
        steps = [("__input__", {"rounds": 0}), ("__start__", {"rounds": 0}), ("turn", {"count": 1})]
        supersteps = [{"updates": [{"values": v, "as_node": n}]} for n, v in steps]
        await self.thread("loop-replayed", "loop", supersteps=supersteps)

    # -- what belongs to the deployment ------------------------------------------------

    async def store(self) -> None:
        shelves = (("users",), ("users", "ann"), ("users", "ann", "notes"), ("日本", "a b"))
        for number, shelf in enumerate(shelves):
            for key in ("first", "key/with .. odd \N{GRINNING FACE}", f"{number}"):
                value = {"number": number, "text": f"é {key}", "deep": {"list": [1, 2.5, None]}}
                item = {"namespace": shelf, "key": key, "value": value}
                await self.server.put("/store/items", item)
                self.filled.items.add((shelf, key))
        short = {"namespace": ["short"], "key": "lived", "value": {"a": 1}, "ttl": 60 * 24}
        await self.server.put("/store/items", short)
        self.filled.items.add((("short",), "lived"))

    async def assistants(self) -> None:
        for graph, versions in (("chat", 3), ("loop", 1), ("gone", 1)):
            first = {
                "assistant_id": str(uuid5(NAMESPACE_DNS, f"assistant-{graph}")),
                "graph_id": graph,
                "name": f"{graph} 1",
                "metadata": {"made": "here", "é": [1]},
                "config": {"tags": ["one"], "configurable": {"tone": "kind"}},
            }
            made = await self.server.post("/assistants", first)
            path = f"/assistants/{made['assistant_id']}"
            for version in range(2, versions + 1):
                change = {"name": f"{graph} {version}", "config": {"tags": [str(version)]}}
                await self.server.patch(path, {**change, "description": f"version {version}"})
            if versions > 1:  # what is in force need not be the newest
                await self.server.post(f"{path}/latest", {"version": 2})
            self.filled.assistants.append(made["assistant_id"])

    async def crons(self) -> None:
        once_a_year = "0 0 1 1 *"
        body = {"assistant_id": "loop", "schedule": once_a_year, "input": {"rounds": 1}}
        free = await self.server.post("/runs/crons", {**body, "metadata": {"free": True}})
        thread_id = await self.thread("loop-cron", "loop")
        bound = await self.server.post(f"/threads/{thread_id}/runs/crons", body)
        self.filled.crons += [free["cron_id"], bound["cron_id"]]

    def everything(self) -> Iterator[Awaitable[Any]]:
        yield self.long()
        yield self.turns()
        yield from (self.chats(), self.chat_inputs(), self.weaves(), self.relays())
        yield self.resumed("one", {"resume": {"yes": ["é", None]}})
        yield self.resumed("series", {"resume": "a"}, {"resume": "b"})
        yield self.resumed("inside", {"resume": "deep"})
        yield self.resumed("beside", {"resume": "beside"})
        yield from (self.resumed_both(), self.half_resumed(), self.abandoned(), self.jumped())
        yield from (self.failed_then_not(), self.shapes(), self.bare(), self.strange())
        yield from (self.configured(), self.busy(), self.updated(), self.copied(), self.forked())
        yield from (self.rerun(), self.rerun_last_step(), self.forked_twice())
        yield from (self.forked_parallel(), self.forked_sends(), self.forked_back())
        yield from (self.forked_early(), self.answered_twice(), self.rewritten())
        yield from (
            self.forked_interrupted(),
            self.replayed(),
            self.store(),
            self.assistants(),
            self.crons(),
        )


def _place(state: State) -> dict[str, Any]:
    checkpoint = state["checkpoint"]
    return {key: checkpoint[key] for key in ("checkpoint_id", "checkpoint_ns")}


async def _together(tasks: Iterator[Awaitable[Any]]) -> None:
    async def wait(task: Awaitable[Any]) -> None:
        await task

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(wait(task))


async def fill(url: str) -> Filled:
    """Fills an empty server that runs the source's app."""
    filled = Filled(url)
    async with Server(url) as server:
        await _together(_Filler(server, filled).everything())
    return filled
