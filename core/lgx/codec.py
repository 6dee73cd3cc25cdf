"""Records as lines of NDJSON, and the API's state objects as checkpoint records.

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
    Checkpoint,
    Cron,
    Record,
    Run,
    StoreItem,
    Thread,
    Tombstone,
    UnknownRecord,
)

__all__ = [
    "decode_history",
    "decode_line",
    "encode_blocks",
    "encode_line",
    "from_fields",
    "raw",
    "state_to_checkpoint",
    "to_fields",
    "to_state",
]

_KINDS: tuple[type[Record], ...] = (Thread, Checkpoint, Run, Assistant, Cron, StoreItem, Tombstone)
_BY_KIND = {cls.kind: cls for cls in _KINDS}
_RESERVED = frozenset({"kind", "extra"})
_FLAT = frozenset(set(_KINDS) - {Tombstone})  # those that have `extra`

_encoder = msgspec.json.Encoder()
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])

R = TypeVar("R", bound=Record)


def raw(value: object) -> Raw:
    """A Python value as the text of one JSON value."""
    return Raw(_encoder.encode(value))


# -- lines ---------------------------------------------------------------------------


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
    return from_fields(jsontext.split_object(line, "a record"), line)


def from_fields(fields: dict[str, Raw], line: bytes | memoryview | None = None) -> Record:
    """A record from the top-level fields of its line; `line` is kept for unknown kinds."""
    kind = _text(fields, "kind")
    if kind is None:
        raise ThreadError('a record has no "kind"; each line needs one, such as "checkpoint"')
    cls = _BY_KIND.get(kind)
    if cls is None:
        body = Raw(bytes(line)) if line is not None else raw(fields)
        return UnknownRecord(name=kind, thread_id=_text(fields, "thread_id"), body=body)
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


def _text(fields: dict[str, Raw], key: str) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


# -- the API's states ----------------------------------------------------------------


class _Place(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A `checkpoint` object that says nothing but where: all of it is in the record."""

    thread_id: str
    checkpoint_id: str
    checkpoint_ns: str = ""


class _State(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An element of a history as servers of today give it."""

    checkpoint: _Place
    parent_checkpoint: _Place | None = None
    created_at: str | None = None
    values: Raw | UnsetType = UNSET
    next: Raw | UnsetType = UNSET
    tasks: Raw | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    interrupts: Raw | UnsetType = UNSET
    checkpoint_id: str | None = None
    parent_checkpoint_id: str | None = None


_states_decoder = msgspec.json.Decoder(list[_State])


def decode_history(body: bytes, thread_id: str) -> list[Checkpoint]:
    """The checkpoints of a history answer, in the order given (the server's: newest first).

    Bulk values are cut out, not looked into: bytes in them that are not UTF-8 are found when
    the record is encoded.

    Raises:
        ThreadError: the body is not a JSON array of states.
    """
    if b"\n" in body:
        body = jsontext.compact(body)
    try:
        states = _states_decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _slowly(body, thread_id)
    rows = []
    for state in states:
        place, parent = state.checkpoint, state.parent_checkpoint
        parent_id = None if parent is None else parent.checkpoint_id
        if (
            place.thread_id != thread_id
            or state.checkpoint_id != place.checkpoint_id
            or state.parent_checkpoint_id != parent_id
            or (
                parent is not None
                and (parent.thread_id != thread_id or parent.checkpoint_ns != place.checkpoint_ns)
            )
        ):
            # Its places say something that the record alone would not give back.
            return _slowly(body, thread_id)
        rows.append(
            Checkpoint(
                thread_id=thread_id,
                checkpoint_ns=place.checkpoint_ns,
                checkpoint_id=place.checkpoint_id,
                parent_checkpoint_id=parent_id,
                created_at=state.created_at,
                values=state.values,
                next=state.next,
                tasks=state.tasks,
                metadata=state.metadata,
                interrupts=state.interrupts,
            )
        )
    return rows


def _slowly(body: bytes, thread_id: str) -> list[Checkpoint]:
    items = jsontext.split_array(body, f"the history of thread {thread_id!r}")
    return [state_to_checkpoint(item, thread_id) for item in items]


def state_to_checkpoint(item: Raw | bytes, thread_id: str) -> Checkpoint:
    """A checkpoint record from one state object, whatever further fields it has.

    `checkpoint` and `parent_checkpoint` are dropped where they follow from the record's
    own fields (`to_state` makes them again), and kept in `extra` where they say more.
    """
    fields = jsontext.split_object(item)
    place = _place(fields.get("checkpoint"))
    checkpoint_id = place.checkpoint_id if place else _text(fields, "checkpoint_id")
    if checkpoint_id is None:
        raise ThreadError(f"a state of thread {thread_id!r} has no checkpoint id")
    namespace = place.checkpoint_ns if place else (_text(fields, "checkpoint_ns") or "")
    parent = _place(fields.get("parent_checkpoint"))
    parent_id = parent.checkpoint_id if parent else _text(fields, "parent_checkpoint_id")
    fields |= {
        "thread_id": raw(thread_id),
        "checkpoint_ns": raw(namespace),
        "checkpoint_id": raw(checkpoint_id),
        "parent_checkpoint_id": raw(parent_id),
    }
    record = build(Checkpoint, fields)
    extra = dict(record.extra) if not isinstance(record.extra, UnsetType) else {}
    derived = _derived_places(record)
    for key in ("checkpoint", "parent_checkpoint"):
        if key in extra and _same_place(extra[key], derived[key]):
            del extra[key]
    return msgspec.structs.replace(record, extra=extra or UNSET)


def to_state(record: Checkpoint) -> dict[str, Raw]:
    """The state object that the API gives for a checkpoint, as fields, in its order."""
    fields: dict[str, Raw] = {}
    for key in ("values", "next", "tasks", "metadata"):
        value = getattr(record, key)
        if not isinstance(value, UnsetType):
            fields[key] = value
    fields["created_at"] = raw(record.created_at)
    fields |= {key: raw(value) for key, value in _derived_places(record).items()}
    if not isinstance(record.interrupts, UnsetType):
        fields["interrupts"] = record.interrupts
    fields["checkpoint_id"] = raw(record.checkpoint_id)
    fields["parent_checkpoint_id"] = raw(record.parent_checkpoint_id)
    if not isinstance(record.extra, UnsetType):
        fields |= record.extra
    return fields


class _LoosePlace(Struct, frozen=True):
    checkpoint_id: str
    checkpoint_ns: str = ""


def _place(value: Raw | None) -> _LoosePlace | None:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=_LoosePlace)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _derived_places(record: Checkpoint) -> dict[str, dict[str, str] | None]:
    def place(checkpoint_id: str | None) -> dict[str, str] | None:
        if checkpoint_id is None:
            return None
        return {
            "checkpoint_id": checkpoint_id,
            "thread_id": record.thread_id,
            "checkpoint_ns": record.checkpoint_ns,
        }

    return {
        "checkpoint": place(record.checkpoint_id),
        "parent_checkpoint": place(record.parent_checkpoint_id),
    }


def _same_place(text: Raw, derived: dict[str, str] | None) -> bool:
    try:
        return bool(msgspec.json.decode(text) == derived)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
