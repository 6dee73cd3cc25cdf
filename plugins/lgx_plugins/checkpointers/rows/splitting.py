"""From whole to split: the values are cut out of a checkpoint's document as the bytes they are.

What stays in the document is what JSONB gives back as it was put in: None, booleans, whole
numbers of 64 bits and plain text. All else, fractions too, becomes blobs, each once.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Raw, Struct

from lgx import ChannelBlob, Loss, RawCheckpoint, ThreadError, raw
from lgx_plugins.checkpointers.rows.encryption import Cipher, is_encrypted
from lgx_plugins.checkpointers.rows.parts import VALUES, VERSIONS, send_by_channel, take_apart
from lgx_plugins.checkpointers.rows.seen import Seen
from lgx_plugins.checkpointers.serde.scanning import BINARY, EXTENSION, SCALAR, TEXT, token_at

__all__ = ["Split", "Splitter"]

_LONGEST_INLINE = 1 << 24
"""Bytes of text: no JSONB string holds 256 MB, and each checkpoint repeats what is inline."""

_TRUE = Raw(b"true")
_SNAPSHOT = 7  # the extension of a DeltaChannel's snapshot
_INT64 = range(-(1 << 63), 1 << 63)


class Split(Struct, frozen=True):
    """What a whole checkpoint becomes.

    Attributes:
        record: in split form.
        blobs: those that no checkpoint of the thread had before it.
        losses: values that no split form can hold.
    """

    record: RawCheckpoint
    blobs: list[ChannelBlob]
    losses: list[Loss]


class Splitter:
    """Of the checkpoints of one thread, in any order. Closed by its maker."""

    def __init__(self, thread_id: str, cipher: Cipher) -> None:
        self._thread_id = thread_id
        self._cipher = cipher
        self._seen = Seen()

    def close(self) -> None:
        self._seen.close()

    def split(self, record: RawCheckpoint) -> Split:
        """
        Args:
            record: in whole form.

        Raises:
            ThreadError: its document is of a kind that cannot be taken apart, or is damaged; or
                two checkpoints have different values under one version of a channel.
        """
        what = f"checkpoint {record.checkpoint_id!r} of namespace {record.checkpoint_ns!r}"
        kind, document = record.type, record.blob
        if kind is None or document is None:
            raise ThreadError(f"{what} has no document, or none whose type is known")
        sealed = is_encrypted(kind)
        if sealed:
            kind, document = self._cipher.open(kind, document, what)
        parts = take_apart(kind, document, what)
        if parts.sends is not None:
            send_by_channel(parts, what)
        blobs: list[ChannelBlob] = []
        losses: list[Loss] = []
        inline: dict[str, Raw] = {}
        for channel, value in parts.values.items():
            one = (_of_json if parts.kind == "json" else _of_msgpack)(value)
            version = _version_text(parts.versions.get(channel), channel, what)
            if version is None:
                if one.inline is None:
                    losses.append(_unversioned(self._thread_id, channel, what))
                else:
                    inline[channel] = one.inline
                continue
            if one.snapshot:
                inline[channel] = _TRUE
            elif one.inline is not None and not sealed:
                inline[channel] = one.inline
                continue
            place = (record.checkpoint_ns, channel, version)
            if self._seen.add(place, value, what):
                type_, blob = one.type, bytes(one.blob)
                if sealed:
                    type_, blob = self._cipher.seal(type_, blob, what)
                blobs.append(
                    ChannelBlob(
                        thread_id=self._thread_id,
                        checkpoint_ns=record.checkpoint_ns,
                        channel=channel,
                        version=version,
                        type=type_,
                        blob=blob,
                    )
                )
        fields = {**parts.fields, VALUES: raw(inline), VERSIONS: raw(parts.versions)}
        split = msgspec.structs.replace(record, type=None, blob=None, document=raw(fields))
        return Split(split, blobs, losses)


# -- values ----------------------------------------------------------------------------


class _Value(Struct):
    """
    Attributes:
        inline: the value as JSON, where it may stand in the document.
        type, blob: of a value that stands alone, as LangGraph's serializer has them.
        snapshot: whether it is that of a DeltaChannel.
    """

    inline: Raw | None
    type: str
    blob: memoryview
    snapshot: bool = False


def _of_msgpack(value: memoryview) -> _Value:
    try:
        kind, _, body, end, item = token_at(value, 0, len(value))
    except ThreadError:  # a text that is not UTF-8 goes its way as the bytes it is
        return _Value(None, "msgpack", value)
    if kind == BINARY:
        return _Value(None, "bytes", value[body:end])
    inline = None
    if kind == SCALAR:
        if item is None or isinstance(item, bool) or (isinstance(item, int) and item in _INT64):
            inline = raw(item)
    elif kind == TEXT and end - body <= _LONGEST_INLINE and "\0" not in item:
        inline = raw(item)
    return _Value(inline, "msgpack", value, snapshot=kind == EXTENSION and item == _SNAPSHOT)


def _of_json(value: memoryview) -> _Value:
    return _Value(_inline_json(value), "json", value)


def _inline_json(value: memoryview) -> Raw | None:
    text = bytes(value).strip()
    if text in (b"null", b"true", b"false"):
        return Raw(text)
    if text.startswith(b'"'):
        if len(text) > _LONGEST_INLINE:
            return None
        decoded: str = json.loads(text)
        try:
            decoded.encode()
        except UnicodeEncodeError:
            return None
        return None if "\0" in decoded else Raw(text)
    if text.lstrip(b"-").isdigit() and text != b"-0":
        return Raw(text) if len(text) < 21 and int(text) in _INT64 else None
    return None


def _version_text(version: Raw | None, channel: str, what: str) -> str | None:
    """The version as JSONB gives it as text."""
    if version is None:
        return None
    decoded: Any = msgspec.json.decode(version)
    if decoded is None:
        return None
    if isinstance(decoded, str):
        return decoded
    if isinstance(decoded, int | float) and not isinstance(decoded, bool):
        text = bytes(version).decode()
        if text.lower().strip("0123456789.-") == "" and text != "-0":
            return text
    raise ThreadError(
        f"{what} has for channel {channel!r} the version {decoded!r}, and a version is a text or "
        "a number"
    )


def _unversioned(thread_id: str, channel: str, what: str) -> Loss:
    return Loss(
        what=f"value of channel {channel!r} in {what}",
        why="it has no version there, and values of its kind are kept by their versions",
        thread_id=thread_id,
        holdable=False,
    )
