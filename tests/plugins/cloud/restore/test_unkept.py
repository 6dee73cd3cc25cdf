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


async def test_fields_that_nobody_knows_are_told_once() -> None:
    """Those that servers give by themselves are none of them, nor what says nothing."""
    known = {"checkpoint": raw({"checkpoint_id": "c"}), "parent_checkpoint": raw(None)}
    plain, odd = state(1), state(2)
    plain = msgspec.structs.replace(plain, extra=known)
    odd = msgspec.structs.replace(odd, extra={**known, "mood": raw("good"), "void": raw(None)})
    thread = Thread(thread_id="t", extra={"state_updated_at": raw("now"), "ttl": raw({"a": 1})})
    context, unkept = make_context(), Unkept()

    unkept.tell(make_bundle(context, [thread, plain]), context)
    assert list(context.notes) == []
    for _ in range(2):
        unkept.tell(make_bundle(context, [thread, plain, odd]), context)

    ((_, message),) = context.notes
    assert message == (
        "fields that lgx does not know are not brought over, as no server takes them: mood of "
        "checkpoints"
    )
    own = msgspec.structs.replace(thread, extra={"tenant": raw(1), "rank": raw(2)})
    unkept = Unkept()
    unkept.tell(make_bundle(context, [own, plain]), context)
    assert list(context.notes)[-1][1].endswith(": rank, tenant of threads")
