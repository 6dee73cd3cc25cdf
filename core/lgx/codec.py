"""Records as lines of NDJSON.

    {"kind": "checkpoint", "thread_id": …, "checkpoint_ns": …, …}

A line is compact, valid UTF-8 and holds no newline. The bytes of bulk values are the
bytes that came in. What a fast, strict decoder refuses though it is legal (fields that
lgx does not know, nesting past a thousand, lone surrogates) takes a slower road.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import jsontext
from lgx.errors import ThreadError
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
    Tombstone,
    UnknownRecord,
)

__all__ = [
    "build",
    "decode_line",
    "encode_blocks",
    "encode_line",
    "encoded_size",
    "from_fields",
    "raw",
    "text_of",
    "to_fields",
]

_KINDS: tuple[type[Record], ...] = (
    Thread,
    Checkpoint,
    RawCheckpoint,
    ChannelBlob,
    CheckpointWrite,
    Run,
    Assistant,
    Cron,
    StoreItem,
    Tombstone,
)
_BY_KIND = {cls.kind: cls for cls in _KINDS}
_RESERVED = frozenset({"kind", "extra"})
_FLAT = frozenset(set(_KINDS) - {Tombstone})  # those that have `extra`

_ROWS: dict[bytes, msgspec.json.Decoder[Record]] = {
    cls.kind.encode(): msgspec.json.Decoder(cls)
    for cls in (RawCheckpoint, ChannelBlob, CheckpointWrite)
}
_KIND = b'{"kind":"'

_encoder = msgspec.json.Encoder()
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])

R = TypeVar("R", bound=Record)


def raw(value: object) -> Raw:
    """A Python value as the text of one JSON value."""
    return Raw(_encoder.encode(value))


def encode_line(record: Record) -> bytes:
    """One record as one line, without the newline at its end.

    Bulk values are not read again: whoever makes a `Raw` vouches that it is JSON.

    Raises:
        ThreadError: the record holds what is not UTF-8, or a newline that no JSON may hold.
    """
    try:
        line = _line(record)
    except UnicodeEncodeError as error:
        raise ThreadError(
            f"a {record.kind} record holds a lone surrogate in {error.object!r}, "
            "which no line can keep outside of bulk values"
        ) from None
    jsontext.check_utf8(line, "a record")
    if b"\n" in line or b"\r" in line:
        line = jsontext.compact(line)
    return line


def encode_blocks(records: Iterable[Record]) -> list[bytes]:
    """The lines of several records, many in one piece, each with a newline at its end.

    Raises:
        ThreadError: as `encode_line`.
    """
    blocks: list[bytes] = []
    plain: list[Record] = []  # without further fields: encoded together
    for record in records:
        if type(record) in _FLAT and record.extra is UNSET:  # type: ignore[attr-defined]
            plain.append(record)
            continue
        if plain:
            blocks.append(_encode_plain(plain))
            plain = []
        blocks.append(encode_line(record) + b"\n")
    if plain:
        blocks.append(_encode_plain(plain))
    return blocks


def encoded_size(records: Iterable[Record]) -> int | None:
    """About how many bytes the lines of rows of checkpointers take; None where the records are
    others, or where only `encode_line` can say what becomes of one."""
    size = 0
    try:
        for record in records:
            if type(record) is ChannelBlob:
                text = record.checkpoint_ns + record.channel + record.version + record.type
                bulk, names = len(record.blob or b""), 110
            elif type(record) is CheckpointWrite:
                text = record.checkpoint_ns + record.checkpoint_id + record.task_id
                text += record.channel + (record.type or "") + (record.task_path or "")
                bulk, names = len(record.blob or b""), 160
            elif type(record) is RawCheckpoint:
                text = record.checkpoint_ns + record.checkpoint_id
                text += (record.parent_checkpoint_id or "") + (record.type or "")
                text += _one_line(record.document) + _one_line(record.metadata)
                bulk, names = len(record.blob or b"") + len(record.metadata_blob or b""), 170
            else:
                return None
            if record.extra is not UNSET:
                return None
            text += record.thread_id
            size += names + bulk * 4 // 3 + (len(text) if text.isascii() else len(text.encode()))
    except (TypeError, ValueError):  # of another type, no UTF-8, a lone surrogate, a newline
        return None
    return size


def _one_line(value: Raw | UnsetType) -> str:
    if isinstance(value, UnsetType):
        return ""
    text = str(memoryview(value), "utf-8")
    if "\n" in text or "\r" in text:
        raise ValueError("it must be compacted")
    return text


def _encode_plain(records: list[Record]) -> bytes:
    try:
        block = _encoder.encode_lines(records)
    except UnicodeEncodeError:
        pass  # the slower road says which
    else:
        if _newlines(block, len(records)) and b"\r" not in block:
            jsontext.check_utf8(block, "a record")
            return block
    return b"".join([encode_line(record) + b"\n" for record in records])


def _newlines(block: bytes, count: int) -> bool:
    """Whether so many newlines are there; for lines of kilobytes, faster than `count()`."""
    at = -1
    for _ in range(count):
        at = block.find(b"\n", at + 1)
    return at == len(block) - 1


def _line(record: Record) -> bytes:
    if isinstance(record, UnknownRecord):
        return bytes(record.body)
    extra = getattr(record, "extra", UNSET)
    if isinstance(extra, UnsetType):
        return _encoder.encode(record)
    line = _encoder.encode(msgspec.structs.replace(record, extra=UNSET))
    return line[:-1] + b"," + _encoder.encode(extra)[1:] if extra else line


def decode_line(line: bytes | memoryview) -> Record:
    """The record of a line; a kind that lgx does not know becomes an `UnknownRecord`.

    Raises:
        ThreadError: the line is not a JSON object with a `kind`, or lacks an identity.
    """
    if isinstance(line, bytes) and line.startswith(_KIND):
        decoder = _ROWS.get(line[len(_KIND) : line.find(b'"', len(_KIND))])
        if decoder is not None:  # many, and mostly of the fields that are declared
            try:
                record = decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass  # the slower road keeps what it does not know, or says what is wrong
            else:
                if record.extra is UNSET:  # type: ignore[attr-defined]  # rows have it
                    jsontext.check_utf8(line, "a record")
                    return record
    return from_fields(jsontext.split_object(line, "a record"), line)


def from_fields(fields: dict[str, Raw], line: bytes | memoryview | None = None) -> Record:
    """A record from the top-level fields of its line; `line` is kept for unknown kinds."""
    kind = text_of(fields, "kind")
    if kind is None:
        raise ThreadError('a record has no "kind"; each line needs one, such as "checkpoint"')
    cls = _BY_KIND.get(kind)
    if cls is None:
        body = Raw(bytes(line)) if line is not None else raw(fields)
        return UnknownRecord(name=kind, thread_id=text_of(fields, "thread_id"), body=body)
    return build(cls, {key: value for key, value in fields.items() if key != "kind"})


def to_fields(record: Record) -> dict[str, Raw]:
    """The top-level fields of a record's line."""
    return jsontext.split_object(encode_line(record))


def build(cls: type[R], fields: dict[str, Raw]) -> R:
    """A record of a kind from raw fields; those that the kind does not declare go to `extra`."""
    known: dict[str, Any] = {}
    extra: dict[str, Raw] = {}
    plain = _plain_decoders(cls)
    for key, value in fields.items():
        if key == "kind":
            raise ThreadError(f"a {cls.kind} record cannot hold a field named 'kind'")
        if key not in plain:
            extra[key] = value
            continue
        decoder = plain[key]
        try:
            known[key] = value if decoder is None else decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ThreadError(
                f"field {key!r} of a {cls.kind} record is malformed: {error}"
            ) from error
    if extra:
        known["extra"] = extra
    try:
        return cls(**known)
    except TypeError as error:
        missing = str(error).rpartition("argument ")[2] or str(error)
        raise ThreadError(f"a {cls.kind} record lacks {missing}") from error


@cache
def _plain_decoders(cls: type[Struct]) -> dict[str, msgspec.json.Decoder[Any] | None]:
    """For each declared field the decoder of its type, None where it stays raw."""
    decoders: dict[str, msgspec.json.Decoder[Any] | None] = {}
    for field in msgspec.structs.fields(cls):
        if field.name in _RESERVED:
            continue
        is_raw = field.type == Raw | UnsetType
        decoders[field.name] = None if is_raw else msgspec.json.Decoder(field.type)
    return decoders


def text_of(fields: dict[str, Raw], key: str) -> str | None:
    """The text in a field; None where it is missing or something else."""
    value = fields.get(key)
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
