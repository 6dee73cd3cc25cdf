"""Where the subgraphs of a thread keep their states.

A task that runs a subgraph names its namespace: `node:task_id`, below another subgraph
`outer:task_id|inner:task_id`. A subgraph with a checkpointer of its own stores under the
names alone, without task ids, and some servers answer to one of the two forms only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct, UnsetType

from lgx import Checkpoint, ThreadError, split_array, split_object

__all__ = ["advertised", "forms"]

_MARK = b'"checkpoint_ns"'


class _Place(Struct, frozen=True):
    checkpoint_ns: str = ""


class _Task(Struct, frozen=True):
    checkpoint: _Place | None = None


_decoder = msgspec.json.Decoder(list[_Task])
_place_decoder = msgspec.json.Decoder(_Place | None)


def forms(namespace: str) -> tuple[str, ...]:
    """The namespaces to ask for where a task names this one."""
    bare = "|".join(part.partition(":")[0] for part in namespace.split("|"))
    return (bare, namespace) if bare != namespace else (namespace,)


def advertised(rows: Sequence[Checkpoint]) -> Iterator[str]:
    """The namespaces that the tasks of these checkpoints name; some of them again and again."""
    for row in rows:
        if isinstance(row.tasks, UnsetType):
            continue
        text = bytes(row.tasks)
        if _MARK in text:
            yield from _named(text)


def _named(tasks: bytes) -> Iterator[str]:
    try:
        for task in _decoder.decode(tasks):
            if task.checkpoint is not None and task.checkpoint.checkpoint_ns:
                yield task.checkpoint.checkpoint_ns
        return
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    # Deeply nested results, or an odd task among others: each by itself.
    try:
        for item in split_array(tasks):
            place = split_object(item).get("checkpoint")
            if place is None:
                continue
            found = _place_decoder.decode(place)
            if found is not None and found.checkpoint_ns:
                yield found.checkpoint_ns
    except (ThreadError, msgspec.MsgspecError, RecursionError):
        return
