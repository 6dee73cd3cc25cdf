"""The third form of a thread: documents as RedisSaver keeps them.

A checkpoint's `document` is then all that stands under its key, not the checkpoint alone, and a
write's `blob` likewise; their type is one of those below. Whoever writes another checkpointer's
tables takes such records by `plain`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from lgx import CheckpointWrite, RawCheckpoint, ThreadError
from lgx_plugins.checkpointers.serde import redisjson

__all__ = [
    "EXPIRES",
    "FULL",
    "SCORE",
    "SHALLOW",
    "is_redis",
    "metadata_text",
    "opened",
    "others",
    "plain",
]

FULL, SHALLOW = "redis", "redis-shallow"
"""The types of such records, by the saver that wrote them."""

EXPIRES = "expires_at"
"""The field in `extra` that says when Redis removes the document, in milliseconds of Unix time."""

SCORE = "score"
"""The field in `extra` that says where a write stands in the sorted set of its checkpoint's, where
that is not its number."""

_text = msgspec.json.Decoder(str)


class _Document(msgspec.Struct):
    checkpoint: Raw


class _Write(msgspec.Struct):
    type: str
    blob: Any = ""


_document = msgspec.json.Decoder(_Document)
_write = msgspec.json.Decoder(_Write)


def is_redis(record: RawCheckpoint | CheckpointWrite) -> bool:
    """Whether it is a document of Redis as it stands there."""
    return record.type in (FULL, SHALLOW) and (
        isinstance(record, CheckpointWrite) or record.document is not UNSET
    )


def plain(record: RawCheckpoint | CheckpointWrite) -> RawCheckpoint | CheckpointWrite:
    """The record as a SqliteSaver would have it: the checkpoint whole, a write in msgpack.

    Raises:
        ThreadError: it is no document that a RedisSaver could load.
    """
    if not is_redis(record):
        return record
    extra = others(record)
    if isinstance(record, RawCheckpoint):
        return msgspec.structs.replace(
            record, type="msgpack", blob=_whole(record), document=UNSET, extra=extra
        )
    kind, blob = opened(record)
    if kind == "json":
        kind, blob = "msgpack", redisjson.of_write(blob)
    return msgspec.structs.replace(record, type=kind, blob=blob, extra=extra)


def opened(record: CheckpointWrite) -> tuple[str, bytes]:
    """The type and the bytes of a write's value.

    Raises:
        ThreadError: as `plain`.
    """
    what = f"write {record.idx} of task {record.task_id!r}"
    try:
        found = _write.decode(record.blob or b"")
        if isinstance(found.blob, str):
            return found.type, base64.b64decode(found.blob)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error) as error:
        raise ThreadError(f"{what} is no document as a RedisSaver writes it ({error})") from None
    raise ThreadError(f"{what} is no document as a RedisSaver writes it: its blob is no text")


def metadata_text(stored: Raw | UnsetType) -> bytes | None:
    """The metadata of a document; RedisSaver keeps it as a text that holds JSON, a
    ShallowRedisSaver as JSON."""
    if isinstance(stored, UnsetType):
        return None
    text = bytes(stored)
    return _text.decode(text).encode() if text.startswith(b'"') else text


def _whole(record: RawCheckpoint) -> bytes:
    import orjson

    what = f"checkpoint {record.checkpoint_id!r} of namespace {record.checkpoint_ns!r}"
    assert not isinstance(record.document, UnsetType)
    try:
        checkpoint = orjson.loads(bytes(_document.decode(record.document).checkpoint))
        if isinstance(checkpoint, str):  # so in early releases
            checkpoint = orjson.loads(checkpoint)
    except (msgspec.MsgspecError, ValueError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"{what} is no document as a RedisSaver writes it ({error})") from None
    if not isinstance(checkpoint, dict):
        raise ThreadError(f"{what} is no document as a RedisSaver writes it: it is no object")
    try:
        return redisjson.of_channels(checkpoint)
    except ThreadError as error:
        raise ThreadError(f"{what}: {error}") from None


def others(record: RawCheckpoint | CheckpointWrite) -> Any:
    """The further fields of a document's record that Redis knows nothing of."""
    if isinstance(record.extra, UnsetType):
        return UNSET
    return {key: one for key, one in record.extra.items() if key not in (EXPIRES, SCORE)} or UNSET
