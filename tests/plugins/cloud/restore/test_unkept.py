"""What checkpoints say of runs is told once, where it is there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lgx import Checkpoint, Thread, raw
from lgx.testing import make_bundle, make_context
from lgx_plugins.cloud.restore.unkept import Unkept

PLAIN = {"source": "loop", "step": 1, "parents": {}, "run_id": "r", "thread_id": "t"}
DONE: dict[str, Any] = {
    "id": "i",
    "name": "a",
    "error": None,
    "interrupts": [],
    "result": {"error": "said"},
}
FAILED = {**DONE, "error": "ValueError()", "result": None}
ASKED = {**DONE, "interrupts": [{"value": "?"}], "result": None}


def state(number: int, tasks: Any = (), namespace: str = "", **metadata: Any) -> Checkpoint:
    return Checkpoint(
        thread_id="t",
        checkpoint_ns=namespace,
        checkpoint_id=f"c{number}",
        tasks=raw(list(tasks)),
        metadata=raw({**PLAIN, **metadata}),
    )


async def told(*threads: list[Checkpoint]) -> list[str]:
    """The notes that threads cause, one after the other."""
    context = make_context()
    unkept = Unkept()
    for states in threads:
        unkept.tell(make_bundle(context, [Thread(thread_id="t"), *states]), context)
    return [message for _, message in context.notes]


PAST = (
    "errors and interrupts of tasks in the past are not brought over: servers take from updates "
    "no more than what tasks have written"
)


@pytest.mark.parametrize("task", [FAILED, ASKED])
async def test_what_tasks_ended_in_is_told_once(task: Any) -> None:
    """Where they are not the newest: of those that wait the thread's own losses tell."""
    past = [state(1, [DONE, task]), state(2, [DONE])]

    assert await told(past, past) == [PAST]
    assert await told([state(1, [DONE]), state(2, [task])], [state(1, [task])]) == []
    assert await told([state(1, [task], namespace="sub"), state(2, [DONE])]) == []


async def test_the_metadata_of_checkpoints_is_told_once() -> None:
    """What servers take, and what they set themselves, is none of it."""
    more = [state(1, name="a", owner="b", zeal=1, graph_id="g")]

    assert await told([state(1)]) == []
    [note] = await told([state(1)], more, [state(1, other=2)])
    assert note.startswith("of the metadata of checkpoints servers take source, step and parents")
    assert note.endswith(": graph_id, name, owner …")


async def test_what_nobody_can_read_is_no_concern_here() -> None:
    """The thread fails where it is needed."""
    odd = msgspec.structs.replace(state(1), metadata=raw(5), tasks=raw({"error": "x"}))

    assert await told([odd, state(2)]) == []
