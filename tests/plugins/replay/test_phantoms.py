"""Tasks that a history shows as due, and that did not run: a join whose rows hold what came later.

A checkpointer that writes behind the run's back may keep under a join's old version what has
arrived since. LangGraph's own history shows its node as due then, beside those that it waits for.
"""

from __future__ import annotations

import json
from typing import Any

from langgraph.graph import START
from msgspec import Raw, structs

from lgx import Bundle, Thread, raw
from lgx.testing import make_bundle, make_context
from lgx_plugins.replay import Memory, replay_thread

from .local import THREAD, LocalTarget, Place
from .zoo import State, graph, says


def build() -> Any:
    edges: list[tuple[Any, str]] = [(START, "p"), ("p", "a"), ("p", "b"), (["a", "b"], "j")]
    return graph(State, {node: says(node) for _, node in edges}, edges)


async def thread(*, ran: bool) -> Bundle:
    """Run twice, the second time with the join as due beside what it waits for; `ran`: and with
    a result of its own there."""
    source = Place(build(), barriers=True)
    for word in ("one", "two"):
        await source.graph.ainvoke({"log": [word]}, source.head())
    states = await source.states()
    at = next(n for n, one in enumerate(states) if json.loads(bytes(one.next)) == ["a", "b"])  # type: ignore[arg-type]
    tasks = json.loads(bytes(states[at].tasks))  # type: ignore[arg-type]
    join = {**tasks[0], "id": "j", "name": "j", "path": ["__pregel_pull", "j"], "result": None}
    if ran:
        join["result"] = {"log": ["j"]}
    states[at] = structs.replace(
        states[at], next=Raw(b'["a","b","j"]'), tasks=Raw(json.dumps([*tasks, join]).encode())
    )
    records = [Thread(thread_id=THREAD, metadata=raw({"graph_id": "g"})), *reversed(states)]
    return make_bundle(make_context(), records)


async def test_a_task_that_did_not_run_is_told_and_is_no_failure() -> None:
    """No request makes it, and nothing but what a history shows hangs on it."""
    there = Place(build(), barriers=True)
    target = LocalTarget(there)

    outcome = await replay_thread(await thread(ran=False), target, Memory().of("g"))

    assert outcome.exact
    assert [(loss.what, loss.holdable) for loss in outcome.losses] == [
        ("tasks that are shown as due and did not run", False)
    ]
    values = [json.loads(bytes(one.values)) for one in await there.states(target.thread_id)]  # type: ignore[arg-type]
    assert values[0]["log"] == ["one", "p", "a", "b", "j", "two", "p", "a", "b", "j"]


async def test_a_task_that_ran_is_due_on_the_copy() -> None:
    """Where it has a result, the copy is made to have it due, too."""
    outcome = await replay_thread(
        await thread(ran=True), LocalTarget(Place(build(), barriers=True)), Memory().of("g")
    )

    assert outcome.exact
    assert outcome.losses == ()
