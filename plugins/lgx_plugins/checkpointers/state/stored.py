"""A checkpoint as what LangGraph reads of it, from whichever form its row has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import RawCheckpoint, ThreadError
from lgx_plugins.checkpointers.rows.forms import stored_metadata
from lgx_plugins.checkpointers.rows.parts import take_apart
from lgx_plugins.checkpointers.rows.values import Values
from lgx_plugins.checkpointers.state.rendering import Opener, Typed

__all__ = ["SENDS", "Stored", "named", "read", "version_text"]

SENDS = "__pregel_tasks"
"""The channel of what nodes sent."""

_SENDS_IN_CHANNELS = 4

_object = msgspec.json.Decoder(dict[str, Any])


class Stored(Struct, kw_only=True):
    """What a checkpoint says.

    Attributes:
        version: of its format, `v`.
        versions: of channels; `seen`: those that each node has seen.
        values: of channels that have one.
        sends: of formats before 4 those that lie among the writes of the parent's tasks, which
            are put in by whoever has these.
        updated: names of the channels that the step before has changed; None where it is not told.
        metadata: its bytes; `facts`: what they say, nothing where they are no object.
    """

    version: int
    ts: str | None
    versions: dict[str, Any]
    seen: dict[str, dict[str, Any]]
    values: dict[str, Typed]
    metadata: bytes | None
    facts: Mapping[str, Any]
    sends: Sequence[Typed] = ()
    updated: Any = None

    @property
    def step(self) -> int:
        """Of the tasks that are due."""
        step = self.facts.get("step", -1)
        return step + 1 if type(step) is int else 0

    @property
    def sends_apart(self) -> bool:
        """Whether the format is one that has its sends in no channel."""
        return self.version < _SENDS_IN_CHANNELS


def named(record: RawCheckpoint) -> str:
    """As it is called in messages."""
    where = f" of namespace {record.checkpoint_ns!r}" if record.checkpoint_ns else ""
    return f"checkpoint {record.checkpoint_id!r}{where}"


def read(record: RawCheckpoint, values: Values, opener: Opener) -> Stored:
    """
    Args:
        values: those of the thread, where the checkpoint's own lie apart.

    Raises:
        ThreadError: it cannot be read; the message says why.
    """
    what = named(record)
    if isinstance(record.document, UnsetType):
        return _of_whole(record, opener, what)
    return _of_split(record, values, what)


def _of_whole(record: RawCheckpoint, opener: Opener, what: str) -> Stored:
    if record.blob is None:
        raise ThreadError(f"{what} has no document; look at what wrote it")
    kind, blob = opener.opened((record.type, record.blob), what)
    parts = take_apart(kind or "", blob or b"", what)
    fields, versions = _decoded(parts.fields, what), _decoded(parts.versions, what)
    found = {channel: (parts.kind, bytes(value)) for channel, value in parts.values.items()}
    stored = _stored(record, fields, versions, what)
    stored.values.update(found)
    if parts.sends is not None and stored.sends_apart:
        stored.values.setdefault(SENDS, (parts.kind, bytes(parts.sends)))
    return stored


def _decoded(parts: Mapping[str, Raw], what: str) -> dict[str, Any]:
    try:
        return {key: msgspec.json.decode(value) for key, value in parts.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ThreadError(f"{what} is no JSON object that can be read: {error}") from None


def _of_split(record: RawCheckpoint, values: Values, what: str) -> Stored:
    assert not isinstance(record.document, UnsetType)
    try:
        fields = _object.decode(record.document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"{what} is no JSON object that can be read: {error}") from None
    versions, inline = fields.get("channel_versions") or {}, fields.get("channel_values") or {}
    if not isinstance(versions, dict) or not isinstance(inline, dict):
        raise ThreadError(f"{what} is malformed: its channels are no object")
    stored = _stored(record, fields, versions, what)
    for channel, value in inline.items():
        stored.values[channel] = ("json", msgspec.json.encode(value))
    for channel, version in versions.items():
        typed = values.find((record.checkpoint_ns, channel, version_text(version)))
        if typed is not None and typed[0] != "empty":
            stored.values[channel] = typed
    return stored


def _stored(
    record: RawCheckpoint, fields: Mapping[str, Any], versions: dict[str, Any], what: str
) -> Stored:
    seen = fields.get("versions_seen") or {}
    if not isinstance(seen, dict) or not all(isinstance(one, dict) for one in seen.values()):
        raise ThreadError(f"{what} is malformed: what its nodes have seen is no object")
    version, ts = fields.get("v"), fields.get("ts")
    metadata = stored_metadata(record)
    return Stored(
        version=version if type(version) is int else 1,
        ts=ts if type(ts) is str else None,
        versions=versions,
        seen=seen,
        values={},
        metadata=metadata,
        facts=_facts(metadata),
        updated=fields.get("updated_channels"),
    )


def _facts(metadata: bytes | None) -> Mapping[str, Any]:
    if metadata is None:
        return {}
    try:
        return _object.decode(metadata)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def version_text(version: object) -> str:
    """A version as PostgreSQL gives it as text."""
    if isinstance(version, bool):
        return "true" if version else "false"
    return str(version)
