"""Records: typed envelopes around JSON that stays the bytes it came as.

A record's identity (ids, namespace, times) is typed; its bulk (values, tasks,
metadata) is `msgspec.Raw`, parsed only by those who ask. A field that the
source did not send is `UNSET`, which differs from null and is not written. Fields
that lgx does not know are kept in `extra` and written at the top level again.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

__all__ = [
    "ANY_KIND",
    "CHECKPOINT_KINDS",
    "EXTRA_KINDS",
    "Assistant",
    "ChannelBlob",
    "Checkpoint",
    "CheckpointWrite",
    "Cron",
    "Json",
    "RawCheckpoint",
    "Record",
    "Run",
    "StoreItem",
    "Thread",
    "Tombstone",
    "UnknownRecord",
]

Json: TypeAlias = Raw | UnsetType
"""The text of one JSON value, or UNSET where the source sent none."""

Extra: TypeAlias = dict[str, Raw] | UnsetType

EXTRA_KINDS = ("assistant", "cron", "store_item")
"""Kinds that belong to a deployment rather than to a thread, in the order of restoring:
assistants before the threads, the others after them."""

CHECKPOINT_KINDS = frozenset({"checkpoint", "raw_checkpoint"})
"""Kinds of which one record is one checkpoint."""

ANY_KIND = frozenset({"*"})
"""What a sink declares in `accepts` when it holds every kind, unknown ones included."""


class Record(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind"):
    """One typed piece of state. `kind` is a class attribute and the tag on the wire.

    Not tracked by the garbage collector: what a record holds cannot refer back to it.
    """

    kind: ClassVar[str]


class Thread(Record, frozen=True, kw_only=True, gc=False, tag="thread"):
    """A thread as `GET /threads/{id}` gives it; times are ISO 8601."""

    kind: ClassVar[str] = "thread"

    thread_id: str
    created_at: str | None = None
    updated_at: str | None = None
    status: str | None = None
    metadata: Json = UNSET
    values: Json = UNSET
    interrupts: Json = UNSET
    config: Json = UNSET
    extra: Extra = UNSET


class Checkpoint(Record, frozen=True, kw_only=True, gc=False, tag="checkpoint"):
    """The API's view of one state: an element of a thread's history.

    The root namespace is `""`; a subgraph's is `node:task_id`, nested ones joined by `|`.
    A checkpoint is identified by thread, namespace and id together.
    """

    kind: ClassVar[str] = "checkpoint"

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None = None
    created_at: str | None = None
    values: Json = UNSET
    next: Json = UNSET
    tasks: Json = UNSET
    metadata: Json = UNSET
    interrupts: Json = UNSET
    extra: Extra = UNSET


class _Row(
    Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True
):
    """A row of a checkpointer. Bytes are base64 on the wire."""


class RawCheckpoint(_Row, frozen=True, kw_only=True, gc=False, tag="raw_checkpoint"):
    """A checkpoint as a checkpointer keeps it, in the bytes that LangGraph wrote.

    In one of two forms. *Whole*: `blob` is the checkpoint with the values of its channels,
    serialized as `type` says. *Split*: `document` is the checkpoint as JSON, with small values
    in its `channel_values`; each other value is a `ChannelBlob` of the same namespace, under the
    version that the document's `channel_versions` has for its channel.

    `metadata_blob` is the metadata where it is no JSON that could stand in `metadata`.
    """

    kind: ClassVar[str] = "raw_checkpoint"

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None = None
    type: str | None = None
    blob: bytes | None = None
    document: Json = UNSET
    metadata: Json = UNSET
    metadata_blob: bytes | None = None
    extra: Extra = UNSET


class ChannelBlob(_Row, frozen=True, kw_only=True, gc=False, tag="channel_blob"):
    """One version of a channel's value, in the bytes that LangGraph wrote; checkpoints in split
    form share it. `blob` is None where the channel was empty."""

    kind: ClassVar[str] = "channel_blob"

    thread_id: str
    checkpoint_ns: str
    channel: str
    version: str
    type: str
    blob: bytes | None = None
    extra: Extra = UNSET


class CheckpointWrite(_Row, frozen=True, kw_only=True, gc=False, tag="checkpoint_write"):
    """What one task wrote to one channel at a checkpoint, in the bytes that LangGraph wrote.

    `idx` counts a task's writes; below zero it stands for errors, interrupts and the like.
    `task_path` is None where it was kept without one.
    """

    kind: ClassVar[str] = "checkpoint_write"

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    task_id: str
    idx: int
    channel: str
    type: str | None = None
    blob: bytes | None = None
    task_path: str | None = None
    extra: Extra = UNSET


class Run(Record, frozen=True, kw_only=True, gc=False, tag="run"):
    """A run of a thread: its input, status and times; not restorable through the API."""

    kind: ClassVar[str] = "run"

    thread_id: str
    run_id: str
    created_at: str | None = None
    status: str | None = None
    extra: Extra = UNSET


class Assistant(Record, frozen=True, kw_only=True, gc=False, tag="assistant"):
    """One version of an assistant; `latest` marks the version that is in force."""

    kind: ClassVar[str] = "assistant"

    assistant_id: str
    version: int
    latest: bool = True
    graph_id: str | None = None
    extra: Extra = UNSET


class Cron(Record, frozen=True, kw_only=True, gc=False, tag="cron"):
    """A scheduled run; its payload may hold secrets of its owner."""

    kind: ClassVar[str] = "cron"

    cron_id: str
    extra: Extra = UNSET


class StoreItem(Record, frozen=True, kw_only=True, gc=False, tag="store_item"):
    """An item of the long-term store; identified by namespace and key together."""

    kind: ClassVar[str] = "store_item"

    namespace: tuple[str, ...]
    key: str
    value: Json = UNSET
    created_at: str | None = None
    updated_at: str | None = None
    extra: Extra = UNSET


class Tombstone(Record, frozen=True, kw_only=True, gc=False, tag="tombstone"):
    """The mark of a thread that was removed from the place that holds it."""

    kind: ClassVar[str] = "tombstone"

    thread_id: str
    deleted_at: str


class UnknownRecord(Record, frozen=True, kw_only=True, gc=False):
    """A record of a kind that this version of lgx does not know, kept whole.

    `body` is the object as it stood in the file, its `kind` included.
    """

    name: str
    thread_id: str | None
    body: Raw

    @property
    def kind(self) -> str:  # type: ignore[override]  # the one class of many kinds
        return self.name
