"""What stands under a key, as the text that it is: which checkpoint or write it is."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import CheckpointWrite, RawCheckpoint, ThreadError
from lgx_plugins.checkpointers.redis.keys import Keys, from_id, from_text
from lgx_plugins.checkpointers.rows.forms import metadata_of
from lgx_plugins.checkpointers.rows.redisform import FULL, SHALLOW, metadata_text

__all__ = ["Place", "place_of", "record_of"]

_MOST = 1 << 31


class _Head(Struct):
    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None = None
    metadata: Raw | UnsetType = UNSET
    task_id: str | None = None
    task_path: str | None = None
    idx: int | None = None
    channel: str | None = None


_head = msgspec.json.Decoder(_Head)


class Place(Struct, frozen=True):
    """Where a document belongs.

    Attributes:
        form: of the saver that wrote it.
        task: None of a checkpoint.
        metadata: None of a write.
    """

    form: str
    thread_id: str
    ns: str
    checkpoint_id: str
    parent: str | None = None
    task: str | None = None
    path: str | None = None
    idx: int = 0
    channel: str = ""
    metadata: bytes | None = None


def place_of(key: bytes, text: bytes, keys: Keys) -> Place:
    """
    Raises:
        ThreadError: it is no document of a RedisSaver's.
    """
    try:
        head = _head.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"it is no document as a RedisSaver writes it ({error})") from None
    stored = (head.thread_id, head.checkpoint_ns, head.checkpoint_id)
    try:
        if head.task_id is not None or head.idx is not None:
            return _write(key, head, stored, keys)
        return _checkpoint(key, head, stored, keys)
    except ThreadError:
        raise
    except (TypeError, ValueError) as error:
        raise ThreadError(f"it is no document as a RedisSaver writes it ({error})") from None


def _checkpoint(key: bytes, head: _Head, stored: tuple[str, str, str], keys: Keys) -> Place:
    thread, ns, checkpoint_id = stored
    if key == keys.checkpoint(*stored):
        form = FULL
    elif key in (keys.shallow(thread, from_text(ns)), keys.shallow(thread, ns)):
        form = SHALLOW
    else:
        raise ThreadError("its key is not that of the checkpoint that it holds")
    return Place(
        form,
        from_id(thread) if form == FULL else thread,
        from_text(ns),
        from_id(checkpoint_id) if form == FULL else checkpoint_id,
        parent=from_id(head.parent_checkpoint_id or "") or None,
        metadata=metadata_text(head.metadata),
    )


def _write(key: bytes, head: _Head, stored: tuple[str, str, str], keys: Keys) -> Place:
    if head.task_id is None or head.idx is None or abs(head.idx) >= _MOST:
        raise ThreadError("it is a write without a task or a number")
    if key != keys.write(*stored, head.task_id, head.idx):
        safe = keys.write(stored[0], from_text(stored[1]), stored[2], head.task_id, head.idx)
        if key != safe:
            raise ThreadError("its key is not that of the write that it holds")
    thread, ns, checkpoint_id = stored
    return Place(
        FULL,
        from_id(thread),
        from_text(ns),
        from_id(checkpoint_id),
        task=head.task_id,
        path=head.task_path,
        idx=head.idx,
        channel=head.channel or "",
    )


def record_of(place: Place, text: bytes, extra: dict[str, Raw] | None) -> Any:
    """The record of a document, with its own text in it."""
    more: Any = extra or UNSET
    if place.task is None:
        metadata = metadata_of(place.metadata)
        return RawCheckpoint(
            thread_id=place.thread_id,
            checkpoint_ns=place.ns,
            checkpoint_id=place.checkpoint_id,
            parent_checkpoint_id=place.parent,
            type=place.form,
            document=Raw(text),
            metadata=metadata.text,
            metadata_blob=metadata.blob,
            extra=more,
        )
    return CheckpointWrite(
        thread_id=place.thread_id,
        checkpoint_ns=place.ns,
        checkpoint_id=place.checkpoint_id,
        task_id=place.task,
        idx=place.idx,
        channel=place.channel,
        type=FULL,
        blob=text,
        task_path=place.path,
        extra=more,
    )
