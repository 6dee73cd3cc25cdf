"""Threads whose history is one line, and threads that have none."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

from .user import User, together

LONG = 1005
"""Rounds of the long thread, which has two checkpoints more."""

WAYS = ("plain", "bare", "end", "sends", "parts", "climb")
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


async def chats(user: User) -> None:
    plans: dict[str, list[dict[str, Any]]] = {
        "plain": [{"topic": "tea"}],
        "usage": [{"topic": "coffee", "usage": True}],
        "invalid": [{"topic": "日本", "invalid": True}],
        "everything": [{"usage": True, "invalid": True}, {"topic": "more", "usage": True}],
        "quiet": [{}, {"quiet": True}],
        "letters": [{"letters": True}, {"letters": True, "usage": True}],
        "cleared": [{"topic": "one"}, {"topic": "two", "clear": True}, {"topic": "three"}],
    }
    await together(
        user.ran(f"chat-{name}", "chat", *({"plan": plan} for plan in turns))
        for name, turns in plans.items()
    )


async def chat_inputs(user: User) -> None:
    """Inputs with messages of their own, with ids and without."""
    first = {"role": "user", "content": "from outside"}
    second = {"type": "human", "content": "with an id", "id": "given"}
    await user.ran("chat-inputs", "chat", {"messages": [first, second], "plan": {}})


async def weaves(user: User) -> None:
    threads: dict[str, list[Any]] = {
        "plain": [{"plan": {"topic": "a"}}],
        "twice": [{"plan": {"pieces": 1}}, {"plan": {"pieces": 5}, "log": ["input"]}],
        "few": [{"plan": {"pieces": 0}}],
    }
    await together(user.ran(f"weave-{name}", "weave", *inputs) for name, inputs in threads.items())


async def relays(user: User) -> None:
    ways = (*WAYS, *STOPS)
    await together(
        user.ran(f"relay-{way}", "relay", {"plan": {"way": way}}, metadata={"way": way})
        for way in ways
    )


async def resumed(user: User, way: str, *commands: Any) -> None:
    """Interrupted, then resumed, as often as it takes."""
    thread_id = await user.ran(f"relay-resumed-{way}", "relay", {"plan": {"way": way}})
    for command in commands:
        await user.run(thread_id, "relay", command=command)


async def resumed_both(user: User) -> None:
    """Two interrupts at once, resumed by their ids, one after the other."""
    thread_id = await user.ran("relay-resumed-two", "relay", {"plan": {"way": "two"}})
    for answer in ("first", "second"):
        first, *_ = await user.asked(thread_id)
        await user.run(thread_id, "relay", command={"resume": {first: answer}})


async def half_resumed(user: User) -> None:
    """Two interrupts at once, one of which was answered."""
    thread_id = await user.ran("relay-half-resumed", "relay", {"plan": {"way": "two"}})
    first, _ = await user.asked(thread_id)
    await user.run(thread_id, "relay", command={"resume": {first: "one only"}})


async def abandoned(user: User) -> None:
    """A new input in place of an answer."""
    await user.ran("relay-abandoned", "relay", {"plan": {"way": "one"}}, {"plan": {"way": "plain"}})


async def failed_then_not(user: User) -> None:
    await user.ran(
        "relay-recovered", "relay", {"plan": {"way": "fail"}}, {"plan": {"way": "plain"}}
    )


async def jumped(user: User) -> None:
    """A run that begins with a command rather than an input."""
    thread_id = await user.ran("relay-jumped", "relay", {"plan": {"way": "plain"}})
    command = {"goto": "pause", "update": {"log": ["from outside"]}}
    await user.run(thread_id, "relay", command=command)


async def shapes(user: User) -> None:
    threads: dict[str, list[Any]] = {
        "root": [["a"], ["b", "c"]],
        "typed": [{}, {"count": 5}],
        "sets": [{"log": ["x"]}],
        "functional": [3, 4],
        "stacked": [{"log": ["x"]}],
        "drift": [{"rounds": 3}],
        "renamed": [{"log": ["x"]}],
        "gone": [{"rounds": 2}],
    }
    await together(user.ran(f"{graph}-plain", graph, *inputs) for graph, inputs in threads.items())


async def bare(user: User) -> None:
    """Threads without a history, or whose history is out of reach."""
    await user.thread("bare-nothing", None)
    await user.thread("bare-graph", "loop")
    await user.thread("bare-gone", "gone")
    await user.thread("bare-strange", None, metadata=STRANGE)
    await user.thread("bare-ttl", None, ttl={"ttl": 60 * 24 * 365, "strategy": "delete"})
    lost = await user.ran("lost-graph", "loop", {"rounds": 2})
    await user.server.patch(f"/threads/{lost}", {"metadata": {"graph_id": "nowhere"}})
    await user.ran("lost-dates", "typed", {"dated": True})


async def strange(user: User) -> None:
    await user.ran("loop-strange", "loop", {"rounds": 2}, metadata=STRANGE)


async def marked(user: User) -> None:
    """A thread that lgx itself brought here, once."""
    mark = {"lgx": {"version": "1", "fidelity": "replayed", "thread_id": "old"}}
    await user.ran("loop-marked", "loop", {"rounds": 1}, metadata=mark)


async def configured(user: User) -> None:
    """A thread whose runs had settings."""
    thread_id = await user.thread("loop-configured", "loop")
    settings = {"configurable": {"tone": "kind", "user_id": "u1"}, "tags": ["t"]}
    await user.run(
        thread_id, "loop", input={"rounds": 1}, config=settings, metadata={"of": "the run"}
    )


async def stopped(user: User) -> None:
    """Runs that end before the graph does, because of how they were started."""
    few: dict[str, Any] = {"config": {"recursion_limit": 3}}
    thread_id = await user.thread("loop-exhausted", "loop")
    await user.run(thread_id, "loop", input={"rounds": 9}, **few)
    thread_id = await user.thread("loop-paused", "loop")
    await user.run(thread_id, "loop", input={"rounds": 3}, interrupt_before=["turn"])
    await user.run(thread_id, "loop", input=None, interrupt_after="*")


async def at_exit(user: User) -> None:
    """Runs that keep nothing but where they ended: of the steps between, only the count is left."""
    thread_id = await user.thread("exit-chat", "chat")
    for topic in ("one", "two"):
        await user.run(thread_id, "chat", input={"plan": {"topic": topic}}, durability="exit")
    await user.run(thread_id, "chat", input={"plan": {"topic": "three"}})
    thread_id = await user.thread("exit-relay", "relay")
    await user.run(thread_id, "relay", input={"plan": {"way": "one"}}, durability="exit")


async def after_exits(user: User) -> None:
    """Runs from what such runs have left, and from what stood before it: each branch has numbers
    of its own."""
    thread_id = await user.ran("exit-back", "loop", {"rounds": 2})
    first = await user.tip(thread_id)
    await user.run(thread_id, "loop", input={"rounds": 5}, durability="exit")
    await user.run(thread_id, "loop", input={"rounds": 6})
    left = await user.tip(thread_id)
    await user.run(thread_id, "loop", input={"rounds": 3}, checkpoint=first)
    await user.update(thread_id, {"count": 0}, checkpoint=left, as_node="turn")
    await user.update(thread_id, None, checkpoint=left, as_node="__copy__")
    await user.run(thread_id, "loop", input={"rounds": 8}, durability="exit")


async def busy(user: User) -> None:
    thread_id = await user.ran("loop-busy", "loop", {"rounds": 1})
    later = {"assistant_id": "loop", "input": {"rounds": 2}, "after_seconds": 86_400}
    await user.server.post(f"/threads/{thread_id}/runs", later)


async def long(user: User) -> None:
    await user.ran("loop-long", "loop", {"rounds": LONG})


async def turns(user: User) -> None:
    await user.ran("loop-turns", "loop", *({"rounds": n} for n in range(1, 6)))


async def replayed(user: User) -> None:
    """A thread that was itself made of supersteps."""
    steps = [("__input__", {"rounds": 0}), ("__start__", {"rounds": 0}), ("turn", {"count": 1})]
    supersteps = [{"updates": [{"values": v, "as_node": n}]} for n, v in steps]
    await user.thread("loop-replayed", "loop", supersteps=supersteps)


def everything(user: User) -> Iterator[Awaitable[None]]:
    yield from (long(user), turns(user), chats(user), chat_inputs(user), weaves(user))
    yield from (relays(user), resumed_both(user), half_resumed(user), abandoned(user))
    yield resumed(user, "one", {"resume": {"yes": ["é", None]}})
    yield resumed(user, "series", {"resume": "a"}, {"resume": "b"})
    yield resumed(user, "inside", {"resume": "deep"})
    yield resumed(user, "beside", {"resume": "beside"})
    yield from (failed_then_not(user), jumped(user), shapes(user), bare(user), strange(user))
    yield from (marked(user), configured(user), stopped(user), at_exit(user))
    yield from (after_exits(user), busy(user), replayed(user))
