"""Documents of whole checkpoints taken apart, as the bytes that their parts are."""

from __future__ import annotations

from math import isfinite

import msgspec
from msgspec import Raw, Struct

from lgx import ThreadError, raw, split_object

__all__ = ["VALUES", "VERSIONS", "Parts", "send_by_channel", "take_apart"]

VALUES, VERSIONS = "channel_values", "channel_versions"

_SENDS = "pending_sends"
_TASKS = "__pregel_tasks"
_SENDS_APART = 4
"""The version of checkpoints from which on what was sent is the value of a channel."""


class Parts(Struct):
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


def take_apart(kind: str, document: bytes, what: str) -> Parts:
    """
    Args:
        kind: of the document, as its row says.
        what: names the checkpoint in messages.

    Raises:
        ThreadError: it is of another type than msgpack and json, or no checkpoint.
    """
    if kind == "msgpack":
        return _of_msgpack(document, what)
    if kind == "json":
        return _of_json(document, what)
    raise ThreadError(
        f"{what} is a document of type {kind!r}, which lgx does not read; copy the thread between "
        "tables of one layout, or into an archive"
    )


def _of_msgpack(document: bytes, what: str) -> Parts:
    import msgpack

    view = memoryview(document)
    unpacker = msgpack.Unpacker(max_buffer_size=len(document), strict_map_key=False)
    unpacker.feed(document)
    parts = Parts("msgpack", {}, {}, {})
    try:
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            if key == VALUES:
                parts.values.clear()  # of two such fields the last counts, as for LangGraph
                for _ in range(unpacker.read_map_header()):
                    channel = unpacker.unpack()
                    if not isinstance(channel, str):
                        raise ThreadError(f"{what} has a channel {channel!r} whose name is no text")
                    begin = unpacker.tell()
                    unpacker.skip()
                    parts.values[channel] = view[begin : unpacker.tell()]
            elif key == _SENDS:
                parts.sends = None
                parts.fields.pop(key, None)
                begin = unpacker.tell()
                unpacker.skip()
                if document[begin] not in (0x90, 0xC0):  # none of them: as it is
                    parts.sends = view[begin : unpacker.tell()]
                else:
                    parts.fields[key] = Raw(b"[]" if document[begin] == 0x90 else b"null")
            elif key == VERSIONS:
                versions = unpacker.unpack() or {}
                if not all(isinstance(name, str) for name in versions):
                    raise ThreadError(f"{what} has versions of a channel whose name is no text")
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
            f"{what} cannot be taken apart: its document is no checkpoint in msgpack; "
            "copy it as it is, into tables of its own layout or an archive"
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


def _of_json(document: bytes, what: str) -> Parts:
    fields = split_object(document, what)
    values = split_object(fields.pop(VALUES, Raw(b"{}")), what)
    versions = split_object(fields.pop(VERSIONS, Raw(b"{}")), what)
    parts = Parts(
        "json", fields, {name: memoryview(bytes(one)) for name, one in values.items()}, versions
    )
    sends = fields.get(_SENDS)
    if sends is not None and bytes(sends).translate(None, b" \t\n\r") not in (b"[]", b"null"):
        parts.sends = memoryview(bytes(fields.pop(_SENDS)))
    return parts


def send_by_channel(parts: Parts, what: str) -> None:
    """Puts what was sent where later versions have it, as LangGraph does when it reads it.

    Raises:
        ThreadError: it is of a version that has it there already.
    """
    assert parts.sends is not None
    versions = {name: msgspec.json.decode(one) for name, one in parts.versions.items()}
    try:
        old = msgspec.json.decode(parts.fields.get("v", Raw(b"null"))) < _SENDS_APART
        newest = max(versions, key=lambda name: versions[name], default=None)
    except TypeError:  # of another type than all have
        old, newest = False, None
    if not old or _TASKS in parts.values:
        raise ThreadError(
            f"{what} keeps what was sent in the way of versions before 4, and is none"
        )
    parts.values[_TASKS] = parts.sends
    parts.versions[_TASKS] = raw(1) if newest is None else parts.versions[newest]
