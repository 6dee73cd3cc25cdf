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
    "EXTRA_KINDS",
    "Assistant",
    "Checkpoint",
    "Cron",
    "Json",
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
