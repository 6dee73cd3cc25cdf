"""A record as digests of its fields: enough to say where two records differ, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx.canonical import canonical
from lgx.codec import encode_line
from lgx.errors import ThreadError
from lgx.jsontext import split_object
from lgx.records import Assistant, Checkpoint, Cron, Json, RawCheckpoint, Record, Thread
from lgx.verification.identities import IDENTITY, id_bytes, place_of
from lgx.verification.marks import cron_origin
from lgx.verification.messages import movable, moved

__all__ = [
    "EMPTY",
    "NOTHING",
    "SIZE",
    "UNWRITTEN",
    "Fingerprint",
    "Head",
    "digest_of",
    "field_of",
    "fingerprint",
    "head_of",
    "is_unknown",
    "shown",
]

SIZE = 16
"""Bytes of a digest."""

# The same small texts come again and again: [], null, the name of the graph.
_SMALL = 64  # bytes; no message is so small
_KEPT = 10_000

# What a name begins with, so that none can be taken for another, whatever data calls its keys:
# a field, one that lgx does not know, a channel, a key of a thread's metadata.
_FIELD, _EXTRA, _CHANNEL, _KEY = "fxvm"

_SPLIT: dict[type[Record], tuple[str, ...]] = {
    Thread: ("values", "metadata"),
    Checkpoint: ("values",),
    RawCheckpoint: ("metadata",),
}
_TIMES = ("created_at", "updated_at")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_encode = msgspec.json.Encoder().encode


class Fingerprint(Struct, frozen=True):
    """
    Attributes:
        kind, place, id: what identifies the record within its thread, or its deployment.
        names: of the fields and channels that it has, sorted; see `shown`.
        digests: SIZE bytes each, in the order of the names.
        settled: digests of channels that servers change by themselves, without that change.
    """

    kind: str
    place: bytes
    id: bytes
    names: tuple[str, ...]
    digests: bytes
    settled: dict[str, bytes] = {}


class Head(Struct, frozen=True):
    """What else has to be known of a record to compare it with a rebuilt one.

    Attributes:
        step, source: of a checkpoint's metadata; `source` of an assistant that the server made
            by itself is `system`.
        parent: id of the checkpoint that it was made of; of a cron that lgx made on a server,
            id of the one that it stands for.
        due: the names of the nodes that come next, sorted, as JSON; None where that is not told.
    """

    step: bytes | None = None
    source: str | None = None
    parent: bytes | None = None
    due: bytes | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing comes next."""
        return self.due == b"[]"


_NO_HEAD = Head()


class _Metadata(Struct):
    """Anybody may have put anything under these names."""

    step: Raw | UnsetType = UNSET
    source: Raw | UnsetType = UNSET
    created_by: Raw | UnsetType = UNSET


_NO_METADATA = _Metadata()
_metadata = msgspec.json.Decoder(_Metadata)
_names = msgspec.json.Decoder(list[str])


def field_of(name: str) -> str:
    """The field of the record that a name belongs to."""
    if name[0] == _CHANNEL:
        return "values"
    return "metadata" if name[0] == _KEY else name[1:]


def is_unknown(name: str) -> bool:
    """Whether it is that of a field which lgx does not know."""
    return name[0] == _EXTRA


def shown(name: str) -> str:
    """A name for people: `status`, `values.messages`."""
    return name[1:] if name[0] in (_FIELD, _EXTRA) else f"{field_of(name)}.{name[1:]}"


def fingerprint(record: Record) -> Fingerprint:
    """
    Raises:
        ThreadError: the record holds what is not JSON, or not UTF-8.
    """
    identity = IDENTITY.get(type(record))
    if identity is None:  # nothing tells such records apart but all of them
        whole = _digest(encode_line(record))
        return Fingerprint(record.kind, b"", whole, (_FIELD + "record",), whole)
    settled: dict[str, bytes] = {}
    found = sorted(_fields(record, identity, settled))
    names = tuple(name for name, _ in found)
    digests = b"".join(digest for _, digest in found)
    return Fingerprint(record.kind, *place_of(record), names, digests, settled)


def head_of(record: Record) -> Head:
    """
    Raises:
        ThreadError: as `fingerprint`.
    """
    if isinstance(record, Checkpoint):
        metadata = _look(record.metadata)
        parent = record.parent_checkpoint_id
        return Head(
            canonical(metadata.step) if isinstance(metadata.step, Raw) else None,
            _word(metadata.source),
            None if parent is None else id_bytes(parent),
            _due(bytes(record.next)) if isinstance(record.next, Raw) else None,
        )
    if isinstance(record, Assistant) and isinstance(record.extra, dict):
        made = _word(_look(record.extra.get("metadata", UNSET)).created_by) == "system"
        return Head(source="system" if made else None)
    if isinstance(record, Cron) and isinstance(record.extra, dict):
        origin = cron_origin(record.extra.get("metadata", UNSET))
        return Head(parent=None if origin is None else id_bytes(origin))
    return _NO_HEAD


def _look(metadata: Json) -> _Metadata:
    """What may be in there; nothing, where it is not of LangGraph's sort."""
    if isinstance(metadata, Raw):
        try:
            return _metadata.decode(metadata)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
    return _NO_METADATA


def _word(text: Json) -> str | None:
    """The text under a name, if it is one."""
    try:
        return msgspec.json.decode(text, type=str) if isinstance(text, Raw) else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


@lru_cache(1000)
def _due(text: bytes) -> bytes:
    try:
        return _encode(sorted(_names.decode(text)))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return canonical(text)


def _fields(
    record: Record, identity: tuple[str, ...], settled: dict[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    """Each field that is there, and its digest. A typed one that is None is not there."""
    split = _SPLIT.get(type(record), ())
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if value is UNSET or value is None or name in identity:
            continue
        if name == "extra":
            for key, text in value.items():
                yield _EXTRA + key, _digest(text)
        elif name in split:
            yield from _parts(name, value, settled)
        elif type(value) is bytes:  # of a checkpointer's row, by themselves: they may be many
            yield _FIELD + name, _hash(value)
        elif name in _TIMES:
            yield _FIELD + name, _hash(_moment(value).encode("utf-8", "surrogatepass"))
        else:
            yield _FIELD + name, _digest(value if type(value) is Raw else _text(value))


def _moment(text: str) -> str:
    """A time in one way of writing it: databases have their own. Any other text as it is."""
    if not _TIME.fullmatch(text):
        return text
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return when.isoformat(timespec="microseconds")


def _parts(name: str, value: Raw, settled: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """The members of an object, each by itself; any other value as one."""
    try:
        members = split_object(value)
    except ThreadError:
        members = None  # no object; or keys that no string can hold
    if not members:
        yield _FIELD + name, _digest(value)
        return
    for key, text in members.items():
        if name == "metadata":
            yield _KEY + key, _digest(text)
            continue
        if memoryview(text).nbytes <= _SMALL:
            yield _CHANNEL + key, _digest(text)
            continue
        form = canonical(text)
        yield _CHANNEL + key, _hash(form)
        if movable(form):
            settled[_CHANNEL + key] = _hash(moved(form))


def digest_of(text: str) -> bytes:
    """As a field that holds this text has it."""
    return _digest(_text(text))


def _text(value: object) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError:
        raise ThreadError(f"{value!r} holds a lone surrogate, which no text can keep") from None


def _digest(text: Raw | bytes) -> bytes:
    data = bytes(text)
    return _digest_again(data) if len(data) <= _SMALL else _hash(canonical(data))


@lru_cache(_KEPT)
def _digest_again(text: bytes) -> bytes:
    return _hash(canonical(text))


def _hash(form: bytes) -> bytes:
    return blake2b(form, digest_size=SIZE).digest()


NOTHING = frozenset(map(_hash, (b"null", b"{}")))
"""Digests of values and metadata in which there is nothing."""

UNWRITTEN = frozenset(map(_hash, map(canonical, (b"[]", b"{}", b'""', b"0", b"false"))))
"""Digests of what a graph shows of a channel with a reducer that nothing was written to."""

EMPTY = frozenset((None, *NOTHING, *map(_hash, (b"[]", b'""'))))
"""Digests of what a channel holds that was emptied; None: it is not there."""
