"""What no request makes on a server: what the report says of such things rests on this."""

from __future__ import annotations

from typing import Any

import pytest

from .requests import Server, State

Update = dict[str, Any]

NOWHERE = "1f0c4a2e-0000-6000-8000-000000000000"
"""The id of a checkpoint that is not there."""

DOORS: dict[str, Update] = {
    "input": {"values": {"rounds": 3}, "as_node": "__input__"},
    "start": {"values": {"rounds": 3}, "as_node": "__start__"},
    "node": {"values": {"count": 1}, "as_node": "turn"},
    "nothing": {"values": None, "as_node": "turn"},
    "no change": {"values": {}, "as_node": "turn"},
    "copy": {"values": None, "as_node": "__copy__"},
    "copy and update": {"values": [[{"count": 2}, "turn"]], "as_node": "__copy__"},
    "command": {"command": {"goto": "turn", "update": {"count": 2}}, "as_node": "turn"},
    "end": {"values": None, "as_node": "__end__"},
}
"""All kinds of updates."""


async def thread(server: Server, graph: str, *updates: Update) -> str:
    made = await server.post("/threads", {"metadata": {"graph_id": graph}})
    thread_id: str = made["thread_id"]
    for update in updates:
        assert await append(server, thread_id, update) == 200
    return thread_id


async def append(server: Server, thread_id: str, update: Update) -> int:
    """An update of the newest checkpoint, and what the server answers."""
    body = {"thread_id": thread_id, "if_exists": "do_nothing"}
    steps = [{"updates": [update]}]
    return (await server.answer("POST", "/threads", {**body, "supersteps": steps})).status_code


async def branch(server: Server, thread_id: str, update: Update, at: str, **more: Any) -> int:
    """An update of any checkpoint."""
    place = {"checkpoint_id": at, "checkpoint_ns": "", **more}
    body = {**update, "checkpoint": place, "metadata": more}
    return (await server.answer("POST", f"/threads/{thread_id}/state", body)).status_code


def said(state: State) -> tuple[Any, ...]:
    metadata = state["metadata"]
    return metadata["source"], metadata["step"], sorted(state["next"])


async def test_each_number_has_its_checkpoint(target: str) -> None:
    """One more than that of what it was made of, or the first: a history that leaves numbers out,
    as runs do that keep only their ends, is made by no update, and nothing is taken away."""
    async with Server(target) as server:
        taken = [update for name, update in DOORS.items() if name != "copy and update"]
        thread_id = await thread(server, "loop", *taken)
        for update in DOORS.values():
            before = {s["checkpoint_id"]: s for s in await server.history(thread_id)}
            for at in (*list(before)[:4], NOWHERE):
                await branch(server, thread_id, update, at, step=99, durability="exit")
            after = {s["checkpoint_id"]: s for s in await server.history(thread_id)}
            assert before.keys() <= after.keys()
        numbers = {s["metadata"]["step"] for s in after.values()}
        assert numbers == set(range(-1, max(numbers) + 1))
        for state in after.values():
            number, parent = state["metadata"]["step"], state["parent_checkpoint_id"]
            copied = state["metadata"]["source"] == "fork"
            if copied:  # comes after what its original came after
                assert number - 1 in numbers
            elif parent in after:
                assert number - 1 == after[parent]["metadata"]["step"], said(state)
            else:
                assert number <= 0, said(state)


async def test_checkpoints_of_other_namespaces_are_not_made(target: str) -> None:
    """There is no place beside a history where numbers could be counted up unseen."""
    async with Server(target) as server:
        thread_id = await thread(server, "loop", DOORS["input"])
        for namespace in ("elsewhere", "7", ":7", "turn:7"):
            place = {"checkpoint_ns": namespace}
            body = {**DOORS["node"], "checkpoint": place}
            answer = await server.answer("POST", f"/threads/{thread_id}/state", body)
            assert (answer.status_code, "not found" in answer.text) == (400, True), namespace
        body = {"thread_ids": [thread_id], "strategy": "keep_latest"}
        assert (await server.answer("POST", "/threads/prune", body)).status_code == 422


@pytest.mark.parametrize("way", ["newest", "past"])
async def test_an_input_leaves_due_what_was_due(way: str, target: str) -> None:
    """A run's input drops it; no update that is an input does."""
    to = {"values": {"plan": {"way": "one"}}, "as_node": "__start__"}
    again = {"values": {"plan": {"way": "two"}}, "as_node": "__input__"}
    async with Server(target) as server:
        thread_id = await thread(server, "relay", DOORS["input"] | {"values": to["values"]}, to)
        [newest, *_] = await server.history(thread_id)
        assert newest["next"] != []
        if way == "newest":
            await append(server, thread_id, again)
        else:
            await branch(server, thread_id, again, newest["checkpoint_id"])
        [made, *_] = await server.history(thread_id)
        assert said(made) == ("input", 1, sorted(["__start__", *newest["next"]]))
        # What drops it is a step of its own, and no input.
        await append(server, thread_id, DOORS["end"])
        [dropped, *_] = await server.history(thread_id)
        assert said(dropped) == ("update", 2, [])


async def test_a_copy_is_what_it_is_of(target: str) -> None:
    """No other update is a fork, and where a command leads none takes of an older checkpoint: what
    a run's command has changed in a copy of the past, its values or what is next, has no way."""
    async with Server(target) as server:
        to = [DOORS[name] for name in ("input", "start", "node", "nothing")]
        thread_id = await thread(server, "loop", *to)
        known = {s["checkpoint_id"]: s for s in await server.history(thread_id)}
        for name, update in DOORS.items():
            for at, of in known.items():
                before = {s["checkpoint_id"] for s in await server.history(thread_id)}
                await branch(server, thread_id, update, at)
                history = await server.history(thread_id)
                forks = [
                    s
                    for s in history
                    if s["checkpoint_id"] not in before and s["metadata"]["source"] == "fork"
                ]
                assert len(forks) == name.startswith("copy")
                for fork in forks:
                    assert (fork["values"], fork["next"]) == (of["values"], of["next"])
                    assert fork["parent_checkpoint_id"] == of["parent_checkpoint_id"]
        at = next(own for own, state in known.items() if state["next"] == ["turn"])
        await branch(server, thread_id, {**DOORS["command"], "values": None}, at)
        [made, *_] = await server.history(thread_id)
        assert made["values"] == known[at]["values"]  # the command was not even looked at


async def test_nothing_is_next_that_the_graph_lacks(target: str) -> None:
    """Whatever commands name: of a node that is called otherwise there, no checkpoint tells."""
    gotos: list[Any] = ["nowhere", ["turn", "nowhere"], {"node": "nowhere", "input": None}]
    async with Server(target) as server:
        thread_id = await thread(server, "loop", DOORS["input"], DOORS["start"])
        for goto in gotos:
            await append(server, thread_id, {"command": {"goto": goto}, "as_node": "turn"})
            [made, *_] = await server.history(thread_id)
            assert "nowhere" not in made["next"]
        unknown = {"values": {}, "as_node": "nowhere"}
        assert await append(server, thread_id, unknown) == 400
