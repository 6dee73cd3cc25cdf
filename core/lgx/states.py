"""The API's state objects as checkpoint records, and back."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import jsontext
from lgx.codec import build, raw, text_of
from lgx.errors import ThreadError
from lgx.records import Checkpoint

__all__ = ["decode_history", "state_to_checkpoint", "to_state"]


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
    checkpoint_id = place.checkpoint_id if place else text_of(fields, "checkpoint_id")
    if checkpoint_id is None:
        raise ThreadError(f"a state of thread {thread_id!r} has no checkpoint id")
    namespace = place.checkpoint_ns if place else (text_of(fields, "checkpoint_ns") or "")
    parent = _place(fields.get("parent_checkpoint"))
    parent_id = parent.checkpoint_id if parent else text_of(fields, "parent_checkpoint_id")
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
