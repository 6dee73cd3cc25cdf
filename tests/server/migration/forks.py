"""Threads whose history is no line: edited by hand, copied, and run again from the past."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

from .user import User, place


async def updated(user: User) -> None:
    """Edited by hand, at the newest checkpoint."""
    thread_id = await user.ran("chat-updated", "chat", {"plan": {"topic": "maps"}})
    note = {"messages": [{"role": "user", "content": "by hand"}], "notes": ["by hand"]}
    await user.update(thread_id, note, as_node="answer")
    await user.update(thread_id, {"summary": "by hand"}, as_node="rest")
    thread_id = await user.ran("relay-updated", "relay", {"plan": {"way": "one"}})
    await user.update(thread_id, {"log": ["no answer needed"]}, as_node="ask_left")
    await user.run(thread_id, "relay", input=None)
    thread_id = await user.ran("relay-stopped", "relay", {"plan": {"way": "two"}})
    await user.update(thread_id, None, as_node="__end__")
    thread_id = await user.thread("chat-by-hand", "chat")
    await user.update(thread_id, {"notes": ["never run"]}, as_node="remember")


async def copied(user: User) -> None:
    """A copy of a checkpoint, and a copy of a thread."""
    thread_id = await user.ran("weave-copied", "weave", {"plan": {}})
    await user.update(thread_id, None, as_node="__copy__")
    past = await user.before(thread_id, "left", "right", "silent")
    await user.update(thread_id, None, as_node="__copy__", checkpoint=past)
    await user.run(thread_id, "weave", input=None)
    thread_id = await user.ran("relay-original", "relay", {"plan": {"way": "one"}})
    copy = await user.server.post(f"/threads/{thread_id}/copy", None)
    user.filled.threads["relay-copy"] = copy["thread_id"]


async def forked(user: User) -> None:
    """Edited by hand in the past, and left there."""
    thread_id = await user.ran("chat-forked", "chat", {"plan": {"topic": "rain"}})
    past = await user.before(thread_id, "tidy")
    await user.update(thread_id, {"notes": ["fork"]}, checkpoint=past, as_node="answer")


async def rerun(user: User) -> None:
    """Run again from the past: time travel."""
    thread_id = await user.ran("chat-rerun", "chat", {"plan": {"topic": "snow"}})
    past = await user.before(thread_id, "answer")
    await user.run(thread_id, "chat", input=None, checkpoint=past)


async def rerun_last_step(user: User) -> None:
    """Only the last step again: the fork has one checkpoint, which no update made."""
    thread_id = await user.ran("loop-rerun-last", "loop", {"rounds": 2})
    (past, *_) = [
        place(state)
        for state in await user.server.history(thread_id)
        if state["values"].get("count") == 1
    ]
    await user.run(thread_id, "loop", input=None, checkpoint=past)


async def forked_twice(user: User) -> None:
    """A fork of a fork, each run to its end."""
    thread_id = await user.ran("weave-forked-twice", "weave", {"plan": {"pieces": 2}})
    past = await user.before(thread_id, "still")
    fork = await user.update(thread_id, {"log": ["fork"]}, checkpoint=past, as_node="piece")
    await user.run(thread_id, "weave", input=None, checkpoint=fork)
    past = await user.before(thread_id, "twice")
    fork = await user.update(thread_id, {"log": ["again"]}, checkpoint=past, as_node="still")
    await user.run(thread_id, "weave", input=None, checkpoint=fork)


async def forked_parallel(user: User) -> None:
    """From where several tasks were about to run: all again, then one of them by hand."""
    thread_id = await user.ran("weave-forked-parallel", "weave", {"plan": {"topic": "p"}})
    past = await user.before(thread_id, "left", "right", "silent")
    await user.run(thread_id, "weave", input=None, checkpoint=past)
    await user.update(thread_id, {"log": ["left alone"]}, checkpoint=past, as_node="left")


async def forked_sends(user: User) -> None:
    """From where a fan-out was about to run."""
    thread_id = await user.ran("weave-forked-sends", "weave", {"plan": {"pieces": 2}})
    past = await user.before(thread_id, "piece", "piece", "extra")
    await user.run(thread_id, "weave", input=None, checkpoint=past)


async def forked_back(user: User) -> None:
    """On from the older branch, after a younger one was made."""
    thread_id = await user.ran("loop-forked-back", "loop", {"rounds": 3})
    old = await user.tip(thread_id)
    past = (await user.server.history(thread_id))[2]
    await user.run(thread_id, "loop", input={"rounds": 9}, checkpoint=place(past))
    await user.run(thread_id, "loop", input={"rounds": 5}, checkpoint=old)


async def forked_early(user: User) -> None:
    """From the very first checkpoint, and from the one after it."""
    thread_id = await user.ran("loop-forked-early", "loop", {"rounds": 2})
    first, second = [place(s) for s in (await user.server.history(thread_id))[:-3:-1]]
    await user.run(thread_id, "loop", input=None, checkpoint=first)
    await user.update(thread_id, {"rounds": 4}, checkpoint=second, as_node="__start__")
    await user.run(thread_id, "loop", input=None)


async def answered_twice(user: User) -> None:
    """The same question answered again: two children of one step, and no copy between."""
    thread_id = await user.ran("relay-answered-twice", "relay", {"plan": {"way": "one"}})
    asked = await user.tip(thread_id)
    await user.run(thread_id, "relay", command={"resume": "yes"})
    await user.run(thread_id, "relay", command={"resume": "no"}, checkpoint=asked)


async def branched_at_last(user: User) -> None:
    """The newest checkpoint was made of an old one, which waited, and ends."""
    thread_id = await user.thread("loop-branched-last", "loop")
    await user.run(thread_id, "loop", input={"rounds": 1}, interrupt_before=["turn"])
    waited = await user.tip(thread_id)
    await user.run(thread_id, "loop", input=None)
    await user.run(thread_id, "loop", command={"resume": "go"}, checkpoint=waited)


async def asked_again(user: User) -> None:
    """Answered, then run again from where it asked: both questions wait once more."""
    thread_id = await user.ran("relay-asked-again", "relay", {"plan": {"way": "two"}})
    asked = await user.tip(thread_id)
    ids = await user.asked(thread_id)
    answers = dict(zip(ids, ("left", "right"), strict=True))
    await user.run(thread_id, "relay", command={"resume": answers})
    await user.run(thread_id, "relay", input=None, checkpoint=asked)


async def commanded(user: User) -> None:
    """Commands at a step in the past: copies of it that differ from it, in values or in next."""
    thread_id = await user.ran("chat-commanded", "chat", {"plan": {"topic": "orders"}})
    past = await user.before(thread_id, "answer")
    command: dict[str, Any] = {"update": {"notes": ["commanded"]}}
    await user.run(thread_id, "chat", command=command, checkpoint=past)
    await user.run(thread_id, "chat", command={"goto": "rest"}, checkpoint=past)


async def rewritten(user: User) -> None:
    """Updates in the past as a node that ran there, whose result stays what it was."""
    thread_id = await user.ran("chat-rewritten", "chat", {"plan": {"topic": "ink"}})
    past = await user.before(thread_id, "rest")
    late = {"notes": ["late"], "summary": "late"}
    await user.update(thread_id, late, checkpoint=past, as_node="rest")
    thread_id = await user.ran("weave-rewritten", "weave", {"plan": {"topic": "lead"}})
    past = await user.before(thread_id, "still")
    later = {"log": ["late"], "best": 50}
    fork = await user.update(thread_id, later, checkpoint=past, as_node="still")
    await user.run(thread_id, "weave", input=None, checkpoint=fork)


async def forked_interrupted(user: User) -> None:
    """Two branches, both of which wait."""
    thread_id = await user.ran("relay-forked", "relay", {"plan": {"way": "one"}})
    past = await user.before(thread_id, "route")
    fork = await user.update(
        thread_id, {"plan": {"way": "two"}}, checkpoint=past, as_node="__start__"
    )
    await user.run(thread_id, "relay", input=None, checkpoint=fork)


def everything(user: User) -> Iterator[Awaitable[None]]:
    yield from (updated(user), copied(user), forked(user), rerun(user))
    yield from (
        rerun_last_step(user),
        forked_twice(user),
        forked_parallel(user),
        forked_sends(user),
    )
    yield from (forked_back(user), forked_early(user), answered_twice(user), rewritten(user))
    yield from (forked_interrupted(user), asked_again(user), commanded(user))
    yield branched_at_last(user)
