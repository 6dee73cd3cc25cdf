"""Identities: what tells a record from the others of its thread, or of its deployment."""

from __future__ import annotations

import msgspec

from lgx.records import (
    Assistant,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    Cron,
    RawCheckpoint,
    Record,
    Run,
    StoreItem,
    Thread,
)

__all__ = ["IDENTITY", "id_bytes", "kept_id", "place_of", "text_of_id"]

IDENTITY: dict[type[Record], tuple[str, ...]] = {
    Thread: ("thread_id",),
    Checkpoint: ("thread_id", "checkpoint_ns", "checkpoint_id"),
    RawCheckpoint: ("thread_id", "checkpoint_ns", "checkpoint_id"),
    ChannelBlob: ("thread_id", "checkpoint_ns", "channel", "version"),
    CheckpointWrite: ("thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx"),
    Run: ("thread_id", "run_id"),
    Assistant: ("assistant_id", "version"),
    Cron: ("cron_id",),
    StoreItem: ("namespace", "key"),
}
"""The fields that make it. Of other records nothing is known to tell them apart."""

_encode = msgspec.json.Encoder().encode


def id_bytes(text: str) -> bytes:
    """An id as bytes, by which it is sorted; it may be any string."""
    return text.encode("utf-8", "surrogatepass")


def text_of_id(own: bytes) -> str:
    """The id that `id_bytes` was given."""
    return own.decode("utf-8", "surrogatepass")


def kept_id(own: bytes) -> bytes:
    """An id as a server keeps it in the label of a copy, which can hold no NUL."""
    return own.replace(b"\0", "\ufffd".encode())


def place_of(record: Record) -> tuple[bytes, bytes]:
    """Where a record stands, and its id there, by which records are ordered."""
    if isinstance(record, Checkpoint | RawCheckpoint):
        return id_bytes(record.checkpoint_ns), id_bytes(record.checkpoint_id)
    if isinstance(record, ChannelBlob):
        return id_bytes(record.checkpoint_ns), _encode((record.channel, record.version))
    if isinstance(record, CheckpointWrite):
        own = record.checkpoint_id, record.task_id, record.idx
        return id_bytes(record.checkpoint_ns), _encode(own)
    if isinstance(record, Run):
        return b"", id_bytes(record.run_id)
    if isinstance(record, Assistant):
        return id_bytes(record.assistant_id), b"%010d" % record.version
    if isinstance(record, Cron):
        return b"", id_bytes(record.cron_id)
    if isinstance(record, StoreItem):
        return _encode(record.namespace), id_bytes(record.key)
    assert isinstance(record, Thread)
    return b"", b""
