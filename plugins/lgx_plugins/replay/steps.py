"""A root checkpoint as replay needs it: cut out of a record, its bulk left as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct, UnsetType

from lgx import Checkpoint, Json, Record, ThreadError, split_array, split_object

__all__ = ["END", "ROOT", "Step", "Task", "Values", "root_checkpoints", "step_of", "values_of"]

Values: TypeAlias = dict[str, Raw]
"""A state by channel. One that is no object has the single channel `ROOT`."""

ROOT = "__root__"

END = "__end__"
"""Where a graph ends; an update can be made as it, and no task runs there."""

_NULL = Raw(b"null")
_MOST = 1 << 53  # steps that anybody counts


class Task(Struct, frozen=True, gc=False):
    """One task of a checkpoint.

    Attributes:
        pushed: whether a `Send` made it, and not an edge.
        order: sorts tasks as a superstep applies what they wrote.
        result: what it wrote, by channel; None where it did not finish.
    """

    name: str
    pushed: bool
    order: str
    result: Values | None

    @property
    def writes(self) -> tuple[tuple[str, Raw], ...] | None:
        """What it wrote, one by one: a channel that it wrote several times comes so often."""
        if self.result is None:
            return None
        found: list[tuple[str, Raw]] = []
        for channel, value in self.result.items():
            found += ((channel, write) for write in _parted(value))
        return tuple(found)


class Step(Struct, frozen=True):
    """One checkpoint of the root namespace; `index` counts them from the oldest as 0.

    Attributes:
        told: whether the record says what was due; older files say nothing of it.
    """

    index: int
    source: str
    values: Values
    next: tuple[str, ...]
    tasks: tuple[Task, ...]
    told: bool = True


class _Task(Struct, gc=False):
    name: str = ""
    path: Raw = Raw(b"[]")
    result: Raw = _NULL


class _Metadata(Struct, gc=False):
    source: str | None = None
    step: Annotated[int, Meta(ge=-_MOST, le=_MOST)] | None = None


_tasks_decoder = msgspec.json.Decoder(list[_Task])
_metadata_decoder = msgspec.json.Decoder(_Metadata)
_names_decoder = msgspec.json.Decoder(tuple[str, ...])
_path_decoder = msgspec.json.Decoder(tuple[object, ...])
_object_decoder = msgspec.json.Decoder(dict[str, Raw])


def root_checkpoints(records: Iterable[Record]) -> Iterator[Checkpoint]:
    """Those records that replay rebuilds."""
    for record in records:
        if isinstance(record, Checkpoint) and record.checkpoint_ns == "":
            yield record


def step_of(record: Checkpoint, index: int) -> Step:
    """
    Raises:
        ThreadError: the record is not what an API gives.
    """
    return Step(
        index=index,
        source=metadata_of(record)[0],
        values=values_of(record.values),
        next=next_of(record),
        tasks=tasks_of(record),
        told=not isinstance(record.tasks, UnsetType),
    )


def metadata_of(record: Checkpoint) -> tuple[str, int | None]:
    """Where a checkpoint comes from (`input`, `loop`, `update`, `fork`, or nothing), and its
    number."""
    if isinstance(record.metadata, UnsetType):
        return "", None
    try:
        found = _metadata_decoder.decode(record.metadata)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        fields = split_object(record.metadata)
        try:
            found = msgspec.convert(
                {
                    key: msgspec.json.decode(fields[key])
                    for key in ("source", "step")
                    if key in fields
                },
                _Metadata,
            )
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise _malformed(record, "metadata", error) from error
    return found.source or "", found.step


def next_of(record: Checkpoint) -> tuple[str, ...]:
    """The names of the nodes that would run next."""
    if isinstance(record.next, UnsetType):
        return ()
    try:
        return _names_decoder.decode(record.next)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _malformed(record, "next", error) from error


def tasks_of(record: Checkpoint) -> tuple[Task, ...]:
    """The tasks of a checkpoint, in the order given."""
    if isinstance(record.tasks, UnsetType):
        return ()
    try:
        try:
            found = _tasks_decoder.decode(record.tasks)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            found = [_slow_task(item) for item in split_array(record.tasks, "the tasks")]
        return tuple(map(_task, found))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, _NoTaskError) as error:
        raise _malformed(record, "tasks", error) from error


class _NoTaskError(Exception):
    """What is called so runs nowhere."""


def _task(task: _Task) -> Task:
    if task.name == END:
        raise _NoTaskError(f"no task is named {END!r}")
    path = _path_decoder.decode(task.path)
    pushed = path[:1] == ("__pregel_push",)
    result = None if task.result == _NULL else values_of(task.result)
    return Task(task.name, pushed, _path_text(path), result)


def _slow_task(item: Raw) -> _Task:
    fields = split_object(item, "a task")
    return _Task(
        name=msgspec.json.decode(fields.get("name", Raw(b'""')), type=str),
        path=fields.get("path", Raw(b"[]")),
        result=fields.get("result", Raw(b"null")),
    )


def values_of(text: Json) -> Values:
    """A state, or what a task wrote, by channel."""
    if isinstance(text, UnsetType) or text == _NULL:
        return {}
    if bytes(memoryview(text)[:1]) != b"{":
        return {ROOT: text}
    try:
        return _object_decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return split_object(text, "a state")


def _malformed(record: Checkpoint, field: str, error: Exception) -> ThreadError:
    return ThreadError(
        f"the {field} of checkpoint {record.checkpoint_id!r} are not what an API gives: {error}"
    )


def _parted(value: Raw) -> list[Raw]:
    """The writes that a result holds as `{"$writes": […]}`, or the one that it is."""
    if bytes(memoryview(value)[:12]) != b'{"$writes":[':
        return [value]
    fields = split_object(value)
    return split_array(fields["$writes"]) if len(fields) == 1 else [value]


def _path_text(path: object) -> str:
    if isinstance(path, list | tuple):
        return "~" + ", ".join(_path_text(part) for part in path)
    if isinstance(path, int) and not isinstance(path, bool):
        return f"{path:010d}"
    return str(path)
