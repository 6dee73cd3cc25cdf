"""Parts of documents: the ids, numbers and texts in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, UnsetType

from lgx import CheckpointWrite, RawCheckpoint, ThreadError, raw, split_object
from lgx_plugins.checkpointers.rows.digests import RowDigest

__all__ = [
    "add_document",
    "decoded",
    "dumped",
    "metadata_of",
    "metadata_text",
    "milliseconds",
    "number_in",
    "with_ids",
]

_NUMBERS = range(-(1 << 53), 1 << 53)


def add_document(digest: RowDigest, key: bytes, text: bytes) -> None:
    """Takes a document into a digest of what a thread is in Redis: servers may spell a number,
    or put keys, in another way than they were given.

    Raises:
        ThreadError: it is no JSON.
    """
    import orjson

    try:
        canonical = orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
    except (ValueError, TypeError, RecursionError) as error:
        raise ThreadError(f"a document of it is no JSON that Redis could hold: {error}") from None
    digest.add("document", (key, canonical))


def with_ids(text: bytes, ids: dict[str, str]) -> bytes:
    """A document under these ids; the same bytes where it has them already.

    Raises:
        ThreadError: it is no JSON that Redis could hold.
    """
    fields = split_object(Raw(text), "a document of Redis")
    changed = False
    for name, value in ids.items():
        held = fields.get(name)
        if held is None or decoded(held, f"field {name!r} of a document of Redis") != value:
            fields[name] = raw(value)
            changed = True
    return bytes(raw(fields)) if changed else text


def metadata_text(stored: bytes | None, what: str) -> str:
    """A checkpoint's metadata as the text that a document has of them.

    Raises:
        ThreadError: they are no text.
    """
    try:
        return "{}" if stored is None else stored.decode()
    except UnicodeDecodeError:
        raise ThreadError(
            f"the metadata of {what} is no UTF-8, which no JSON in Redis can hold; an archive or "
            "an ndjson file can"
        ) from None


def metadata_of(text: str, what: str) -> dict[str, Any]:
    """What a checkpoint's metadata say.

    Raises:
        ThreadError: they are no JSON.
    """
    try:
        found = msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, RecursionError):
        raise ThreadError(
            f"the metadata of {what} is no JSON, so RedisSaver could not load it"
        ) from None
    return found if isinstance(found, dict) else {}


def milliseconds(ts: object) -> float:
    """A checkpoint's time, in Unix time; 0 where it has none."""
    try:
        return datetime.fromisoformat(str(ts)).timestamp() * 1000
    except ValueError:
        return 0.0


def number_in(record: RawCheckpoint | CheckpointWrite, name: str) -> int | None:
    """A number in a record's further fields.

    Raises:
        ThreadError: it is none, or one that Redis does not take for a time or a score.
    """
    if isinstance(record.extra, UnsetType) or name not in record.extra:
        return None
    try:
        found = msgspec.json.decode(record.extra[name], type=int)
    except msgspec.MsgspecError:
        found = _NUMBERS.stop
    if found not in _NUMBERS:
        shown = bytes(record.extra[name])[:40]
        raise ThreadError(f"its field {name!r} is {shown!r}, and no whole number of 53 bits")
    return found


def decoded(part: Raw, what: str) -> Any:
    """A part of a document.

    Raises:
        ThreadError: JSON in Redis cannot hold it; `what` names it.
    """
    try:
        return msgspec.json.decode(part)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"the {what} is no JSON that Redis could hold ({error})") from None


def dumped(fields: dict[str, Any]) -> bytes:
    """A document's text.

    Raises:
        ThreadError: JSON cannot hold it.
    """
    import orjson

    try:
        return orjson.dumps(fields)
    except (TypeError, RecursionError) as error:
        raise ThreadError(f"a document of it cannot be written as JSON: {error}") from None
