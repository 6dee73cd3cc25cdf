"""The two forms of a checkpoint, and what a stored row becomes in a record."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import (
    ChannelBlob,
    CheckpointWrite,
    Json,
    RawCheckpoint,
    Record,
    ThreadError,
)
from lgx_plugins.checkpointers.rows.redisform import is_redis, others, plain

__all__ = [
    "KINDS",
    "PATHLESS",
    "Metadata",
    "Row",
    "check_row",
    "is_split",
    "metadata_of",
    "stored_metadata",
    "text_of",
]

KINDS = frozenset({RawCheckpoint.kind, ChannelBlob.kind, CheckpointWrite.kind})
"""The kinds of which a checkpointer's thread consists."""

PATHLESS = frozenset({"task_id", "idx", "channel", "type", "blob"})
"""What a `CheckpointWrite` is beside its keys where tasks have no paths."""

Row: TypeAlias = RawCheckpoint | ChannelBlob | CheckpointWrite

_raw = msgspec.json.Decoder(Raw)


class Metadata(Struct, frozen=True):
    """The two fields of a `RawCheckpoint` that hold its metadata, of which one is set at most."""

    text: Json = UNSET
    blob: bytes | None = None


def metadata_of(stored: bytes | None) -> Metadata:
    """Stored metadata as a record holds it: as JSON where it is JSON that keeps its bytes on a
    line, else as the bytes that it is. None is the absence of any."""
    if stored is None:
        return Metadata()
    if b"\n" in stored or b"\r" in stored:
        return Metadata(blob=stored)
    try:
        stored.decode()
        text = _raw.decode(stored)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Metadata(blob=stored)
    if len(text) != len(stored):  # white space around it would be lost
        return Metadata(blob=stored)
    return Metadata(text=Raw(stored))


def stored_metadata(record: RawCheckpoint) -> bytes | None:
    """The metadata's bytes; None where there is none."""
    if not isinstance(record.metadata, UnsetType):
        return bytes(record.metadata)
    return record.metadata_blob


def is_split(record: RawCheckpoint) -> bool:
    """Whether the values of its channels lie in `ChannelBlob`s."""
    return not isinstance(record.document, UnsetType)


def check_row(record: Record, thread_id: str, *, documents: bool = False) -> Row:
    """The record, if it is a row of that thread; of a document of Redis, what it says.

    Args:
        documents: of those, as they stand there.

    Raises:
        ThreadError: it is of another kind, of another thread, or has fields that no table has.
    """
    if not isinstance(record, RawCheckpoint | ChannelBlob | CheckpointWrite):
        raise ThreadError(
            f"a record of kind {record.kind!r} came, which a checkpointer's tables have no place "
            "for; nothing of the thread was written"
        )
    if record.thread_id != thread_id:
        raise ThreadError(
            f"a {record.kind} of thread {record.thread_id!r} came with thread {thread_id!r}; "
            "nothing of it was written"
        )
    extra = record.extra
    if not isinstance(record, ChannelBlob):
        if documents and is_redis(record):
            extra = others(record)
        else:
            record = plain(record)
            extra = record.extra
    if extra:
        raise ThreadError(
            f"a {record.kind} came with the fields {', '.join(map(repr, extra))}, which a "
            "checkpointer's tables have no place for; nothing of the thread was written"
        )
    return record


def text_of(cell: object, what: str) -> str:
    """The text in a cell that was fetched as bytes.

    Raises:
        ThreadError: it is none; `what` names it.
    """
    if not isinstance(cell, bytes):
        raise ThreadError(f"{what} is {'missing' if cell is None else f'{cell!r}, and no text'}")
    try:
        return cell.decode()
    except UnicodeDecodeError:
        raise ThreadError(f"{what} is no UTF-8: {cell[:80]!r}") from None
