"""What updates cannot tell of tasks: the questions that they asked, and how they failed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import Checkpoint
from lgx_plugins.checkpointers.rebuilding.target import GraphTarget

__all__ = ["Asked", "put_questions", "unplaced"]

_NOTHING = (b"null", b"[]", b'""')


class _Interrupt(Struct):
    value: Raw = Raw(b"null")
    id: str | None = None
    response_schema: dict[str, Any] | None = None


class _Task(Struct):
    name: str = ""
    id: str | None = None
    error: Raw = Raw(b"null")
    interrupts: list[_Interrupt] = []
    result: Raw = Raw(b"null")
    checkpoint: Raw = Raw(b"null")


class Asked(Struct):
    """What became of them.

    Attributes:
        later: of the newest checkpoint, the names of the tasks whose question is not the first
            that they ask.
        inside: of it the names of those in which a graph of their own asks.
        unplaced: how many tasks of all checkpoints that asked or failed were not found again.
    """

    later: list[str] = []
    inside: list[str] = []
    unplaced: int = 0


_tasks = msgspec.json.Decoder(list[_Task])


async def put_questions(
    records: Iterable[Checkpoint], ids: Sequence[str], target: GraphTarget
) -> Asked:
    """Puts them at the tasks of a thread that was rebuilt.

    The answers that a waiting task had got before are told nowhere: its node runs from the
    beginning, and an answer to a later question would be taken for that to the first. Such a
    question is not put; the next run asks from the first on.

    Args:
        records: the source's checkpoints, oldest first.
        ids: what stands for each of them.
    """
    found = Asked()
    for number, (record, checkpoint_id) in enumerate(zip(records, ids, strict=True), 1):
        if _of_interest(record):
            await _put(record, checkpoint_id, target, found, newest=number == len(ids))
    return found


def unplaced(records: Iterable[Checkpoint]) -> Asked:
    """What there is to say where nothing tells which checkpoint stands for which of these."""
    return Asked(unplaced=sum(len(_of_interest(record)) for record in records))


def _of_interest(record: Checkpoint) -> list[_Task]:
    """The tasks that asked or failed."""
    if isinstance(record.tasks, UnsetType):
        return []
    text = bytes(record.tasks)
    if text.count(b'"interrupts"') == text.count(b'"interrupts":[]') and (
        text.count(b'"error"') == text.count(b'"error":null')
    ):
        return []
    return [task for task in _decoded(text) if task.interrupts or bytes(task.error) not in _NOTHING]


def _decoded(text: bytes) -> list[_Task]:
    try:
        return _tasks.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []  # of another shape than servers give: nothing is known of it


async def _put(
    record: Checkpoint, checkpoint_id: str, target: GraphTarget, found: Asked, *, newest: bool
) -> None:
    theirs = await target.tasks(checkpoint_id)
    there = Counter(name for name, _ in theirs)
    assert not isinstance(record.tasks, UnsetType), "it was looked into"
    mine = _decoded(bytes(record.tasks))
    named = Counter(task.name for task in mine)
    for task in mine:
        if not task.interrupts and bytes(task.error) in _NOTHING:
            continue
        if (task.name, task.id) in theirs:
            place = task.id
        elif there[task.name] == named[task.name] == 1:
            place = next(one for name, one in theirs if name == task.name)
        else:
            found.unplaced += 1
            continue
        assert place is not None
        waits = newest and bytes(task.result) == b"null"
        writes = _error(task)
        asked = [_question(one, task, place) for one in task.interrupts]
        if asked and waits and not all(first for _, first in asked):
            inside = bytes(task.checkpoint) != b"null"
            (found.inside if inside else found.later).append(task.name)
        elif asked:
            writes.append(("__interrupt__", tuple(one for one, _ in asked)))
        await target.put_writes(checkpoint_id, writes, place)


def _error(task: _Task) -> list[tuple[str, Any]]:
    if bytes(task.error) in _NOTHING:
        return []
    error = msgspec.json.decode(task.error)
    return [("__error__", error if isinstance(error, str) else json.dumps(error))]


def _question(asked: _Interrupt, task: _Task, place: str) -> tuple[Any, bool]:
    """As LangGraph keeps it, and whether it is the first of its task, as far as its id tells."""
    from langgraph.types import Interrupt

    value = msgspec.json.decode(asked.value)
    first = Interrupt.from_ns(value, f"{task.name}:{task.id}").id
    mine = Interrupt.from_ns(value, f"{task.name}:{place}").id
    more = {} if asked.response_schema is None else {"response_schema": asked.response_schema}
    if asked.id is None or asked.id == first:
        return Interrupt(value=value, id=mine, **more), True
    return Interrupt(value=value, id=asked.id, **more), False
