"""What a checkpointer lists, as records: its objects, serialized as it serializes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from lgx import CheckpointWrite, RawCheckpoint
from lgx_plugins.checkpointers.rows.digests import RowDigest
from lgx_plugins.checkpointers.rows.forms import metadata_of, stored_metadata
from lgx_plugins.checkpointers.serde import has_sets, meaning

__all__ = [
    "Listed",
    "Place",
    "Unplaced",
    "listed",
    "numbered",
    "parent_of",
    "place_of",
    "settled",
    "unsealed",
]

Write: TypeAlias = tuple[str, str, Any]
"""What a checkpointer tells of a write: task, channel and value."""


class Unplaced(ValueError):  # noqa: N818 -- a finding
    """A checkpoint that says not whose it is."""


class Place(Struct, frozen=True):
    thread_id: str
    ns: str
    checkpoint_id: str


class Listed(Struct, frozen=True):
    """One checkpoint of a list.

    Attributes:
        losses: what of it has no form in records: what, and why.
    """

    checkpoint: RawCheckpoint
    writes: Sequence[CheckpointWrite]
    digest: bytes
    losses: Sequence[tuple[str, str]]


def place_of(item: Any) -> Place:
    """
    Raises:
        Unplaced: its config names no thread.
    """
    given = item.config.get("configurable") or {}
    thread_id = given.get("thread_id")
    ns = given.get("checkpoint_ns") or ""
    checkpoint_id = given.get("checkpoint_id") or item.checkpoint.get("id")
    return Place(
        _text(thread_id, "the id of its thread"),
        _text(ns, "its namespace"),
        _text(checkpoint_id, "its id"),
    )


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise Unplaced(f"{what} is {value!r}, and no text")
    return value


def listed(item: Any, place: Place, serde: Any) -> Listed:
    """Raises whatever the serializer raises."""
    losses: list[tuple[str, str]] = []
    type_, blob = serde.dumps_typed(item.checkpoint)
    metadata = metadata_of(_metadata(item.metadata, losses))
    checkpoint = RawCheckpoint(
        thread_id=place.thread_id,
        checkpoint_ns=place.ns,
        checkpoint_id=place.checkpoint_id,
        parent_checkpoint_id=parent_of(item),
        type=type_,
        blob=bytes(blob),
        metadata=metadata.text,
        metadata_blob=metadata.blob,
    )
    writes = []
    for task_id, idx, channel, value, path in _writes(item.pending_writes or (), losses):
        kind, data = serde.dumps_typed(value)
        writes.append(
            CheckpointWrite(
                thread_id=place.thread_id,
                checkpoint_ns=place.ns,
                checkpoint_id=place.checkpoint_id,
                task_id=task_id,
                idx=idx,
                channel=channel,
                type=kind,
                blob=bytes(data),
                task_path=path,
            )
        )
    return Listed(checkpoint, writes, _digest(checkpoint, writes, item, serde), losses)


def _digest(
    checkpoint: RawCheckpoint, writes: Sequence[CheckpointWrite], item: Any, serde: Any
) -> bytes:
    """Of keys and bytes. Bytes that are others each time (a set in another order, a value that
    was encrypted anew) count as what they mean."""
    inner = unsealed(serde)
    state = (checkpoint.type, checkpoint.blob)
    values = [(write.type, write.blob) for write in writes]
    if inner is not serde:
        state = inner.dumps_typed(item.checkpoint)
        ordered = _writes(item.pending_writes or (), [])
        values = [inner.dumps_typed(value) for _, _, _, value, _ in ordered]
    digest = RowDigest()
    digest.add(
        "checkpoint",
        (
            checkpoint.checkpoint_ns,
            checkpoint.checkpoint_id,
            checkpoint.parent_checkpoint_id,
            state[0],
            settled(*state),
            stored_metadata(checkpoint),
        ),
    )
    for write, (kind, data) in zip(writes, values, strict=True):
        cells = (write.task_id, write.idx, write.channel, kind, settled(kind, data))
        digest.add("write", (*cells, write.task_path))
    return digest.text().encode()


def unsealed(serde: Any) -> Any:
    """What writes the same without encryption, which makes other bytes each time."""
    from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

    return serde.serde if isinstance(serde, EncryptedSerializer) else serde


def settled(type_: str | None, blob: bytes | None) -> bytes | None:
    """The bytes, or what they mean where the same value has others each time."""
    if type_ == "msgpack" and blob and has_sets(blob):
        return meaning(blob)
    return None if blob is None else bytes(blob)


def parent_of(item: Any) -> str | None:
    given = (item.parent_config or {}).get("configurable") or {}
    return given.get("checkpoint_id") or None


# -- metadata ------------------------------------------------------------------------------


def _metadata(metadata: Any, losses: list[tuple[str, str]]) -> bytes | None:
    if metadata is None:
        return None
    plain = {}
    for key, value in dict(metadata).items():
        why = _why_not("", value) if isinstance(key, str) else f"its key is a {_kind(key)}"
        if why is None:
            plain[key] = value
        else:
            losses.append((f"metadata {key!r}", f"{why}, which JSON has no form for"))
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _why_not(where: str, value: Any) -> str | None:
    """What in a value JSON would not give back; tuples it gives back as LangGraph does."""
    if value is None or type(value) in (str, int, float, bool):
        return None
    if type(value) in (list, tuple):
        found = (_why_not(f"{where}[{at}]", one) for at, one in enumerate(value))
        return next((why for why in found if why), None)
    if type(value) is dict:
        for key, one in value.items():
            if type(key) is not str:
                return f"a key at {where or 'its top'} is a {_kind(key)}"
            why = _why_not(f"{where}.{key}", one)
            if why:
                return why
        return None
    return f"{f'what is at {where}' if where else 'it'} is a {_kind(value)}"


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


# -- writes --------------------------------------------------------------------------------

Numbered: TypeAlias = tuple[str, int, str, Any, str | None]
"""Task, idx, channel, value and the stand-in for a path."""


def _writes(pending: Sequence[Write], losses: list[tuple[str, str]]) -> list[Numbered]:
    found: dict[tuple[str, int], Numbered] = {}
    for task_id, idx, channel, value, path in numbered(pending):
        if (task_id, idx) in found:
            losses.append(
                (
                    f"a write of task {task_id!r} to {channel!r}",
                    "the checkpointer gives two of a kind of which a task has one",
                )
            )
            continue
        found[task_id, idx] = (task_id, idx, channel, value, path)
    return sorted(found.values(), key=lambda one: (one[4] or "", one[0], one[1]))


def numbered(pending: Sequence[Write]) -> Iterator[Numbered]:
    """The writes with the numbers that LangGraph gives them: special channels have one of their
    own, the others are counted by task.

    They are replayed in the order of (path of the task, task, idx), and the paths are not told.
    Where the order without them would be another one, each task gets a path that keeps it.
    """
    from langgraph.checkpoint.base import WRITES_IDX_MAP

    tasks: dict[str, int] = {}
    for task_id, *_ in pending:
        tasks.setdefault(task_id, len(tasks))
    in_order = list(tasks) == sorted(tasks)
    counts: dict[str, int] = {}
    for task_id, channel, value in pending:
        idx = WRITES_IDX_MAP.get(channel)
        if idx is None:
            idx = counts.get(task_id, 0)
            counts[task_id] = idx + 1
        yield task_id, idx, channel, value, None if in_order else f"~lgx, {tasks[task_id]:010}"
