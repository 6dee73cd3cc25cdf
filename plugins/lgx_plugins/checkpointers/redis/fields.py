"""Parts of documents: the ids, numbers and texts in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, UnsetType

from lgx import CheckpointWrite, RawCheckpoint, ThreadError, raw, split_object
from lgx_plugins.checkpointers.rows.digests import RowDigest

__all__ = ["add_document", "dumped", "metadata_of", "milliseconds", "number_in", "with_ids"]


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
    """A document under these ids; the same bytes where it has them already."""
    fields = split_object(Raw(text), "a document of Redis")
    changed = False
    for name, value in ids.items():
        held = fields.get(name)
        if held is None or msgspec.json.decode(held) != value:
            fields[name] = raw(value)
            changed = True
    return bytes(raw(fields)) if changed else text


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
    """A number in a record's further fields."""
    if isinstance(record.extra, UnsetType) or name not in record.extra:
        return None
    try:
        return msgspec.json.decode(record.extra[name], type=int)
    except msgspec.MsgspecError:
        shown = bytes(record.extra[name])[:40]
        raise ThreadError(f"its field {name!r} is {shown!r}, and no whole number") from None


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
