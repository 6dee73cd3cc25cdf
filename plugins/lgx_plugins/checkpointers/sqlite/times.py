"""When a checkpoint was made, which only its document says."""

from __future__ import annotations

import msgspec

from lgx import ThreadError
from lgx_plugins.checkpointers.rows.encryption import is_encrypted

__all__ = ["time_of"]


class _Dated(msgspec.Struct):
    ts: str | None = None


_json = msgspec.json.Decoder(_Dated)


def time_of(type_: bytes | None, blob: bytes | None) -> str | None:
    """Its `ts`, found without decoding the values.

    Raises:
        ThreadError: it cannot be told.
    """
    name = (type_ or b"").decode("utf-8", "replace")
    if is_encrypted(name):
        raise ThreadError(
            "the time of its latest checkpoint is encrypted, so that no window of time can be "
            "applied to it; leave out --since and --until"
        )
    try:
        if name == "json":
            return _json.decode(blob or b"").ts
        if name == "msgpack":
            return _of_msgpack(blob or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable(type(error).__name__) from error
    raise _unreadable(f"type {name!r}")


def _of_msgpack(blob: bytes) -> str | None:
    import msgpack

    unpacker = msgpack.Unpacker(max_buffer_size=max(len(blob), 1), strict_map_key=False)
    unpacker.feed(blob)
    try:
        for _ in range(unpacker.read_map_header()):
            if unpacker.unpack() == "ts":
                found = unpacker.unpack()
                return found if isinstance(found, str) else None
            unpacker.skip()
    except msgpack.UnpackException as error:
        raise ValueError(type(error).__name__) from error
    return None


def _unreadable(why: str) -> ThreadError:
    return ThreadError(
        f"its latest checkpoint does not tell its time ({why}), so that no window of time can be "
        "applied to it; leave out --since and --until"
    )
