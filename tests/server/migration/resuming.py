"""How a thread that waits would go on, tried on a copy of it that is gone afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .requests import Server, State

ANSWERS: dict[str, tuple[Any, ...]] = {
    "relay-one": ("yes",),
    "relay-two": ("first", "second"),
    "relay-beside": ({"a": ["é", None]},),
    "relay-series": ("a", "b"),
    "relay-inside": ("deep",),
    "relay-gate": (None,),
    "relay-forked": ("first", "second"),
}
"""What the source's waiting threads are to be told; None lets a thread go on without an answer."""


async def resume(url: str, thread_id: str, answers: Sequence[Any]) -> State:
    """The latest state after all answers were given; the thread stays as it is.

    Where several questions wait at once, they are answered in the order of their tasks. A
    thread that was rebuilt knows of nodes that are to run, not of their questions: where there
    are several, it is let run until they are asked again.
    """
    async with Server(url) as server:
        copy = (await server.post(f"/threads/{thread_id}/copy", None))["thread_id"]
        try:
            for answer in answers:
                await _answer(server, copy, answer)
            state: State = await server.get(f"/threads/{copy}/state")
            return state
        finally:
            await server.delete(f"/threads/{copy}")


async def _answer(server: Server, thread_id: str, answer: Any) -> None:
    state = await server.get(f"/threads/{thread_id}/state")
    asked = _questions(state)
    if len(state["next"]) > 1 and not asked:
        await _run(server, thread_id, {"input": None})
        asked = _questions(await server.get(f"/threads/{thread_id}/state"))
    if answer is None:
        await _run(server, thread_id, {"input": None})
    elif len(asked) > 1:
        await _run(server, thread_id, {"command": {"resume": {asked[0]: answer}}})
    else:
        await _run(server, thread_id, {"command": {"resume": answer}})


def _questions(state: State) -> list[str]:
    """The ids of the interrupts of tasks that have not finished."""
    waiting = [task for task in state["tasks"] if task["result"] is None]
    return [interrupt["id"] for task in waiting for interrupt in task["interrupts"]]


async def _run(server: Server, thread_id: str, body: dict[str, Any]) -> None:
    thread = await server.get(f"/threads/{thread_id}")
    graph = {"assistant_id": thread["metadata"]["graph_id"]}
    await server.post(f"/threads/{thread_id}/runs/wait", graph | body)
