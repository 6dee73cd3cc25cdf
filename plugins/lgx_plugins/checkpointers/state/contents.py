"""Checkpoints as what they say, whatever form they are in: for comparing layouts.

Every value of every channel and write is there in neutral form, so that types count; what one
layout keeps in another way (where a value lies, which checkpoints share it, the order in a set)
does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from lgx import Checkpoint, RawCheckpoint, Record, Thread, ThreadError
from lgx_plugins.checkpointers.serde import TAG
from lgx_plugins.checkpointers.serde.text import encode_tree, parse
from lgx_plugins.checkpointers.state.rendering import Opener, Typed
from lgx_plugins.checkpointers.state.rows import Rows
from lgx_plugins.checkpointers.state.sharing import Shared
from lgx_plugins.checkpointers.state.stored import SENDS, Stored, named, read
from lgx_plugins.checkpointers.state.writes import Write

__all__ = ["PATHLESS", "contents"]

_FIELDS = (
    *("channel_versions", "versions_seen", "updated_channels"),
    *("format", "pending_writes", "metadata_is"),
)
_PATHS = "task_paths"

PATHLESS: Mapping[str, frozenset[str]] = {
    Checkpoint.kind: frozenset(
        {
            *("parent_checkpoint_id", "created_at", "values", "next", "tasks", "metadata"),
            *("interrupts", "checkpoint", "parent_checkpoint", *_FIELDS),
        }
    )
}
"""For `coverage`, of places that keep no paths of tasks."""

_SETS = ("set", "frozenset")


def contents(rows: Rows, opener: Opener) -> Iterator[Record]:
    """A bare thread, and a `Checkpoint` for each that came, with what lgx adds in `extra`.

    Raises:
        ThreadError: something cannot be read.
    """
    yield Thread(thread_id=rows.thread_id)
    with closing(Shared(opener)) as shared:
        for record in rows.checkpoints():
            shared.learn(record, read(record, rows.values, opener))
        for record in rows.checkpoints():
            stored = read(record, rows.values, opener)
            shared.complete(record, stored)
            yield _content(record, stored, rows, opener)


def _content(record: RawCheckpoint, stored: Stored, rows: Rows, opener: Opener) -> Checkpoint:
    what = named(record)
    writes = rows.writes(record.checkpoint_ns, record.checkpoint_id)
    values = {
        channel: _neutral(typed, opener, f"channel {channel!r} of {what}")
        for channel, typed in stored.values.items()
    }
    versions = dict(stored.versions)
    if stored.sends_apart:
        # Forms before 4 have them among the writes of the parent, or in the document.
        versions.pop(SENDS, None)
        sends = _sends(record, stored, rows)
        if sends:
            parts = [_neutral(typed, opener, f"a send to {what}") for typed in sends]
            values[SENDS] = b"[%s]" % b",".join(parts)
    extra = {
        "channel_versions": _told(versions, what),
        "versions_seen": _told(stored.seen, what),
        "format": _told(stored.version, what),
        "pending_writes": Raw(_writes(writes, opener, what)),
        _PATHS: Raw(encode_tree(sorted({(one.task_id, one.path or "") for one in writes}))),
    }
    if stored.updated is not None:
        extra["updated_channels"] = _told(stored.updated, what)
    metadata = _metadata(stored)
    if metadata is UNSET and stored.metadata is not None:
        extra["metadata_is"] = Raw(encode_tree(stored.metadata))
    return Checkpoint(
        thread_id=record.thread_id,
        checkpoint_ns=record.checkpoint_ns,
        checkpoint_id=record.checkpoint_id,
        parent_checkpoint_id=record.parent_checkpoint_id,
        created_at=stored.ts,
        values=Raw(_object(values)),
        metadata=metadata,
        extra=extra,
    )


def _told(tree: Any, what: str) -> Raw:
    try:
        return Raw(encode_tree(tree))
    except TypeError as error:
        raise ThreadError(f"{what} cannot be compared with others: {error}") from None


def _sends(record: RawCheckpoint, stored: Stored, rows: Rows) -> Sequence[Typed]:
    if SENDS in stored.values or not record.parent_checkpoint_id:
        return ()
    before = rows.writes(record.checkpoint_ns, record.parent_checkpoint_id)
    return [write.typed for write in before if write.channel == SENDS]


def _writes(writes: Sequence[Write], opener: Opener, what: str) -> bytes:
    """By task and place in it: what the order of the paths is, only some know."""
    counts: dict[str, int] = {}
    found = []
    for write in writes:
        number = counts[write.task_id] = counts.get(write.task_id, 0) + 1
        value = _neutral(write.typed, opener, f"a write to {what}")
        head = encode_tree([write.task_id, write.channel])
        found.append((write.task_id, number, b"%s,%s]" % (head[:-1], value)))
    return b"[%s]" % b",".join(text for _, _, text in sorted(found))


def _neutral(typed: Typed, opener: Opener, what: str) -> bytes:
    """The neutral form, with the members of sets in an order that depends on nothing else."""
    neutral = opener.neutral(typed, what)
    if b'"set"' in neutral or b'"frozenset"' in neutral or b'"bytearray"' in neutral:
        return encode_tree(_settled(parse(neutral)))
    return neutral


def _settled(tree: Any) -> Any:
    if type(tree) is list:
        return [_settled(item) for item in tree]
    if type(tree) is not dict:
        return tree
    found = {key: _settled(value) for key, value in tree.items()}
    if found.get(TAG) in _SETS and type(found.get("value")) is list:
        found["value"] = sorted(found["value"], key=lambda one: json.dumps(one, sort_keys=True))
    if found.get(TAG) == "bytearray":
        found[TAG] = "bytes"  # within a document it is no other
    return found


def _object(members: Mapping[str, bytes]) -> bytes:
    return b"{%s}" % b",".join(b"%s:%s" % (encode_tree(k), v) for k, v in members.items())


def _metadata(stored: Stored) -> Any:
    if stored.metadata is None:
        return UNSET
    try:
        parts = msgspec.json.decode(stored.metadata, type=dict[str, Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return UNSET
    return Raw(msgspec.json.encode(parts))
