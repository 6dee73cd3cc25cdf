"""From whole to split: the values are cut out of a checkpoint's document as the bytes they are.

What stays in the document is what JSONB gives back as it was put in: None, booleans, whole
numbers of 64 bits and plain text. All else, fractions too, becomes blobs, each once.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from math import isfinite
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct

from lgx import ChannelBlob, Loss, RawCheckpoint, ThreadError, raw, split_object
from lgx_plugins.checkpointers.rows.encryption import Cipher, is_encrypted
from lgx_plugins.checkpointers.rows.meaning import has_sets, meaning
from lgx_plugins.ids import id_digest
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Split", "Splitter"]

_VALUES, _VERSIONS, _SENDS = "channel_values", "channel_versions", "pending_sends"
_TASKS = "__pregel_tasks"
_SENDS_APART = 4
"""The version of checkpoints from which on what was sent is the value of a channel."""

_LONGEST_INLINE = 1 << 24
"""Bytes of text: no JSONB string holds 256 MB, and each checkpoint repeats what is inline."""

_IN_MEMORY = 50_000
_SEEN = "CREATE TABLE seen (key BLOB PRIMARY KEY, held) WITHOUT ROWID"

_Key: TypeAlias = tuple[str, str, str]
_Held: TypeAlias = bytes
"""A hash of the bytes, and of their meaning where that is not the same."""

_QUICK = struct.Struct("<qQ")

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


class _Parts(Struct):
    """A document, taken apart.

    Attributes:
        fields: other than those below, as JSON.
        values: of channels, as their bytes.
        sends: of checkpoints before version 4, as one value; None where there are none.
    """

    kind: str
    fields: dict[str, Raw]
    values: dict[str, memoryview]
    versions: dict[str, Raw]
    sends: memoryview | None = None


class Splitter:
    """Of the checkpoints of one thread, in any order. Closed by its maker."""

    def __init__(self, thread_id: str, cipher: Cipher) -> None:
        self._thread_id = thread_id
        self._cipher = cipher
        self._seen = _Seen()

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
        parts = _take_apart(kind, document, what)
        if parts.sends is not None:
            _as_channel(parts, what)
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
        fields = {**parts.fields, _VALUES: raw(inline), _VERSIONS: raw(parts.versions)}
        split = msgspec.structs.replace(record, type=None, blob=None, document=raw(fields))
        return Split(split, blobs, losses)


# -- documents -------------------------------------------------------------------------


def _take_apart(kind: str, document: bytes, what: str) -> _Parts:
    if kind == "msgpack":
        return _of_msgpack(document, what)
    if kind == "json":
        return _of_json(document, what)
    raise ThreadError(
        f"{what} is a document of type {kind!r}, which lgx does not read; copy the thread between "
        "tables of one layout, or into an archive"
    )


def _of_msgpack(document: bytes, what: str) -> _Parts:
    import msgpack

    view = memoryview(document)
    unpacker = msgpack.Unpacker(max_buffer_size=len(document), strict_map_key=False)
    unpacker.feed(document)
    parts = _Parts("msgpack", {}, {}, {})
    try:
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            if key == _VALUES:
                for _ in range(unpacker.read_map_header()):
                    channel = unpacker.unpack()
                    if not isinstance(channel, str):
                        raise ThreadError(f"{what} has a channel {channel!r} whose name is no text")
                    begin = unpacker.tell()
                    unpacker.skip()
                    parts.values[channel] = view[begin : unpacker.tell()]
            elif key == _SENDS:
                begin = unpacker.tell()
                unpacker.skip()
                if document[begin] not in (0x90, 0xC0):  # none of them: as it is
                    parts.sends = view[begin : unpacker.tell()]
                else:
                    parts.fields[key] = Raw(b"[]" if document[begin] == 0x90 else b"null")
            elif key == _VERSIONS:
                versions = unpacker.unpack() or {}
                parts.versions = {name: _as_json(one, what) for name, one in versions.items()}
            elif isinstance(key, str):
                parts.fields[key] = _as_json(unpacker.unpack(), what)
            else:
                raise ThreadError(f"{what} has a field {key!r} whose name is no text")
        if unpacker.tell() != len(document):
            raise ThreadError(f"{what} is no document: something follows its end")
    except ThreadError:
        raise
    except Exception as error:  # of the decoder: whatever damaged bytes lead to
        raise ThreadError(
            f"{what} cannot be taken apart: its document is no checkpoint in msgpack "
            f"({type(error).__name__})"
        ) from error
    return parts


def _as_json(value: object, what: str) -> Raw:
    """What stands beside the values, which needs no more than JSON has.

    Raises:
        ThreadError: it has more.
    """
    if not _is_plain(value):
        raise ThreadError(
            f"{what} has outside of its values what JSON has no form for; copy the thread between "
            "tables of one layout, or into an archive"
        )
    return raw(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and _is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return type(value) in (str, int, bool, type(None)) or (type(value) is float and isfinite(value))


def _of_json(document: bytes, what: str) -> _Parts:
    fields = split_object(document, what)
    values = split_object(fields.pop(_VALUES, Raw(b"{}")), what)
    versions = split_object(fields.pop(_VERSIONS, Raw(b"{}")), what)
    parts = _Parts(
        "json", fields, {name: memoryview(bytes(one)) for name, one in values.items()}, versions
    )
    sends = fields.get(_SENDS)
    if sends is not None and bytes(sends).translate(None, b" \t\n\r") not in (b"[]", b"null"):
        parts.sends = memoryview(bytes(fields.pop(_SENDS)))
    return parts


def _as_channel(parts: _Parts, what: str) -> None:
    """Puts what was sent where later versions have it, as LangGraph does when it reads it."""
    assert parts.sends is not None
    versions = {name: msgspec.json.decode(one) for name, one in parts.versions.items()}
    try:
        old = msgspec.json.decode(parts.fields.get("v", _NULL)) < _SENDS_APART
        newest = max(versions, key=lambda name: versions[name], default=None)
    except TypeError:  # of another type than all have
        old, newest = False, None
    if not old or _TASKS in parts.values:
        raise ThreadError(
            f"{what} keeps what was sent in the way of versions before 4, and is none"
        )
    parts.values[_TASKS] = parts.sends
    parts.versions[_TASKS] = raw(1) if newest is None else parts.versions[newest]


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


class _Seen:
    """Which values came already, by namespace, channel and version; what is too much for memory
    lies on disk."""

    def __init__(self) -> None:
        self._recent: dict[_Key, _Held] = {}
        self._database: ScratchDatabase | None = None

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def add(self, key: _Key, value: memoryview, what: str) -> bool:
        """Whether it is the first one under that key.

        Raises:
            ThreadError: another value came under it.
        """
        quick = _QUICK.pack(hash(value), len(value))
        held = self._recent.get(key)
        if held is None and self._database is not None:
            found = self._database.row("SELECT held FROM seen WHERE key = ?", (id_digest(*key),))
            held = None if found is None else found[0]
        if held is not None:
            if held.startswith(quick) or (has_sets(value) and held.endswith(meaning(value))):
                return False
            _, channel, version = key
            raise ThreadError(
                f"{what} has another value of channel {channel!r} than a checkpoint before it, "
                f"under the same version {version!r}: versions that count up (of InMemorySaver, "
                "and of JavaScript) do so in branches of a thread; copy it between tables of one "
                "layout, or into an archive"
            )
        if len(self._recent) >= _IN_MEMORY:
            self._put_aside()
        self._recent[key] = quick + meaning(value) if has_sets(value) else quick
        return True

    def _put_aside(self) -> None:
        if self._database is None:
            self._database = ScratchDatabase(_SEEN)
        rows: Iterator[tuple[bytes, bytes]] = (
            (id_digest(*key), held) for key, held in self._recent.items()
        )
        self._database.insert("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)
        self._recent.clear()
