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

__all__ = ["Split", "Splitter"]

_LONGEST_INLINE = 1 << 24
"""Bytes of text: no JSONB string holds 256 MB, and each checkpoint repeats what is inline."""

_NULL = Raw(b"null")
_TRUE = Raw(b"true")
_WORDS = {0xC0: _NULL, 0xC2: Raw(b"false"), 0xC3: _TRUE}
_INTEGERS = frozenset((*range(0x80), *range(0xE0, 0x100), *range(0xCC, 0xD0), *range(0xD0, 0xD4)))
_TEXT_HEADS = {0xD9: 2, 0xDA: 3, 0xDB: 5, **dict.fromkeys(range(0xA0, 0xC0), 1)}
_BIN_HEADS = {0xC4: 2, 0xC5: 3, 0xC6: 5}
_EXT_CODES = {0xC7: 2, 0xC8: 3, 0xC9: 5, **dict.fromkeys(range(0xD4, 0xD9), 1)}
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
            kept = _inline(parts.kind, value)
            version = _version_text(parts.versions.get(channel), channel, what)
            if version is None:
                if kept is None:
                    losses.append(_unversioned(self._thread_id, channel, what))
                else:
                    inline[channel] = kept
                continue
            snapshot = _is_snapshot(parts.kind, value)
            if snapshot:
                inline[channel] = _TRUE
            elif kept is not None and not sealed:
                inline[channel] = kept
                continue
            place = (record.checkpoint_ns, channel, version)
            if self._seen.add(place, value, what):
                type_, blob = _as_blob(parts.kind, value)
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


def _inline(kind: str, value: memoryview) -> Raw | None:
    """The value as JSON, where it may stand in the document."""
    return _inline_json(value) if kind == "json" else _inline_msgpack(value)


def _inline_msgpack(value: memoryview) -> Raw | None:
    first = value[0]
    if first in _WORDS:
        return _WORDS[first]
    head = _TEXT_HEADS.get(first)
    if head is not None:
        text = value[head:]
        if len(text) > _LONGEST_INLINE or 0 in bytes(text):
            return None
        try:
            return raw(str(text, "utf-8"))
        except UnicodeDecodeError:
            return None
    if first in _INTEGERS:
        number = first if first < 0x80 else _integer(value)
        return raw(number) if number in _INT64 else None
    return None


def _integer(value: memoryview) -> int:
    first = value[0]
    if first >= 0xE0:
        return first - 0x100
    return int.from_bytes(value[1:], "big", signed=first >= 0xD0)


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


def _is_snapshot(kind: str, value: memoryview) -> bool:
    head = _EXT_CODES.get(value[0]) if kind == "msgpack" else None
    return head is not None and value[head] == _SNAPSHOT


def _as_blob(kind: str, value: memoryview) -> tuple[str, bytes]:
    """The type and bytes of a value that stands alone, as LangGraph's serializer has them."""
    if kind == "msgpack" and (head := _BIN_HEADS.get(value[0])) is not None:
        return "bytes", bytes(value[head:])
    return kind, bytes(value)


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
