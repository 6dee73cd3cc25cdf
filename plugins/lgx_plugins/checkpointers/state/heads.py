"""A thread's own record, as far as its newest state tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import Checkpoint, Thread
from lgx_plugins.checkpointers.state.stored import Stored

__all__ = ["thread_of"]

_OF_CHECKPOINTS = frozenset(
    {
        *("source", "step", "parents", "writes", "score", "counters_since_delta_snapshot"),
        *("thread_id", "checkpoint_id", "checkpoint_ns", "run_id", "run_attempt"),
    }
)
_PREFIXES = ("langgraph_", "__pregel_")


_NULL = Raw(b"null")


class _Task(Struct):
    id: str
    error: Raw = _NULL
    interrupts: list[Raw] = []
    result: Raw = _NULL


_tasks = msgspec.json.Decoder(list[_Task])


def thread_of(state: Checkpoint, stored: Stored, created_at: str | None) -> Thread:
    """The thread whose newest state that is.

    Args:
        created_at: the time of its first checkpoint.
    """
    assert not isinstance(state.tasks, UnsetType)
    tasks = _tasks.decode(state.tasks)
    waiting = [task for task in tasks if task.result == _NULL]
    asked = {task.id: task.interrupts for task in waiting if task.interrupts}
    return Thread(
        thread_id=state.thread_id,
        created_at=created_at,
        updated_at=state.created_at,
        # Where all have written, and no checkpoint followed, one failed after it had.
        status=_status(waiting or tasks),
        metadata=Raw(msgspec.json.encode(_own(stored.facts))),
        values=state.values,
        interrupts=Raw(msgspec.json.encode(asked)),
    )


def _status(tasks: list[_Task]) -> Literal["error", "interrupted", "idle"]:
    """What a server would say after the last run."""
    if any(task.error != _NULL for task in tasks):
        return "error"
    return "interrupted" if any(task.result == _NULL for task in tasks) else "idle"


def _own(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What of a checkpoint's metadata was said of the run, and not of the checkpoint."""
    return {
        key: value
        for key, value in facts.items()
        if key not in _OF_CHECKPOINTS and not key.startswith(_PREFIXES)
    }
