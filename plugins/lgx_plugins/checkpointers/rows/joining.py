"""Split form to whole: one document of a checkpoint and its channels' blobs.

The blobs' own bytes are spliced into the document; nothing is decoded that was not JSON. What
comes out is what SqliteSaver would write of the checkpoint that PostgresSaver reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw

from lgx import Bundle, ChannelBlob, CheckpointWrite, RawCheckpoint, ThreadError, decode_line
from lgx_plugins.checkpointers.rows.encryption import Cipher, is_encrypted
from lgx_plugins.checkpointers.rows.values import Key, Typed, Values, blobs_of, count_blobs

__all__ = ["Joiner"]

_TASKS = "__pregel_tasks"
_NAME = _TASKS.encode()
_SENDS_IN_CHANNELS = 4
"""The version of checkpoints from which on a step's sends are the value of a channel; before,
they are the writes of the parent's tasks."""

_FIELDS = (
    "v",
    "ts",
    "id",
    "channel_values",
    "channel_versions",
    "versions_seen",
    "pending_sends",
    "updated_channels",
)

_Document: TypeAlias = dict[str, Any]

_document = msgspec.json.Decoder(dict[str, Any])
_any = msgspec.json.Decoder(Any)
_raw = msgspec.json.Decoder(Raw)


class Joiner:
    """Joins the checkpoints of one thread after the other. Closed by its maker.

    `begin` each thread, then `keep` its blobs and `join` its checkpoints, best in that order: where
    a checkpoint comes before blobs of the thread, the bundle is read for those once more.
    """

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._values = Values()
        self._bundle: Bundle | None = None
        self._sends: dict[str, list[Typed]] | None = None
        self._damaged: dict[Key, str] = {}
        self._count = 0  # of the blobs that came
        self._complete = False

    def begin(self, bundle: Bundle) -> None:
        """Forgets the thread before. The bundle is read once more where its checkpoints are so
        old that their sends lie among the writes."""
        self._values.clear()
        self._damaged.clear()
        self._bundle = bundle
        self._sends = None
        self._count = 0
        self._complete = False

    def keep(self, blob: ChannelBlob) -> None:
        """Takes a value; memory holds little of a large thread's."""
        if self._complete:
            return
        self._count += 1
        key = self._values.keep(blob)
        if blob.type == "msgpack" and blob.blob is not None:
            # Once for all checkpoints that share it.
            damage = _damage(blob.blob)
            if damage is not None:
                self._damaged.setdefault(key, damage)

    @property
    def unused(self) -> int:
        """How many of the thread's values belong to none of the checkpoints so far."""
        return self._values.unused

    def join(self, record: RawCheckpoint) -> RawCheckpoint:
        """The checkpoint in whole form.

        Raises:
            ThreadError: no document can hold it, or it is encrypted and the key is missing.
        """
        name = f"checkpoint {record.checkpoint_id!r} of namespace {record.checkpoint_ns!r}"
        document = _decoded(record, name)
        versions = document.get("channel_versions") or {}
        values = document.get("channel_values") or {}
        if not isinstance(versions, dict) or not isinstance(values, dict):
            raise ThreadError(f"{name} is malformed: its channels are no object")
        typed = self._typed(record.checkpoint_ns, versions, name)
        sends = self._sends_of(document, record, name)
        if sends:
            document["channel_versions"] = {**versions, _TASKS: _highest(versions, name)}
        encrypted = any(is_encrypted(type_) for type_, _ in (*typed.values(), *sends))
        opened = {channel: self._opened(one, channel, name) for channel, one in typed.items()}
        opened_sends = [
            _sound(self._opened(one, _TASKS, name), f"a send to {name}") for one in sends
        ]
        type_, blob = _joined(document, values, opened, opened_sends, name)
        if encrypted:
            type_, blob = self._cipher.seal(type_, blob, name)
        return msgspec.structs.replace(record, type=type_, blob=blob, document=UNSET)

    def _typed(self, ns: str, versions: Mapping[str, object], name: str) -> dict[str, Typed]:
        """The blobs of a checkpoint by channel, in the order of its versions."""
        found: dict[str, Typed] = {}
        for channel, version in versions.items():
            key = (ns, channel, _text(version))
            value = self._values.find(key)
            if value is None and not self._complete:
                self._keep_all()
                value = self._values.find(key)
            if value is None or value[0] == "empty":
                continue
            if key in self._damaged:
                raise ThreadError(f"channel {channel!r} of {name} {self._damaged[key]}")
            found[channel] = value
        return found

    def _keep_all(self) -> None:
        """Takes the values that stand behind the checkpoint in hand."""
        assert self._bundle is not None, "joined before a thread was begun"
        if self._count != count_blobs(self._bundle):
            for blob in blobs_of(self._bundle):
                if not self._values.has((blob.checkpoint_ns, blob.channel, blob.version)):
                    self.keep(blob)
        self._complete = True

    def _opened(self, typed: Typed, channel: str, name: str) -> Typed:
        type_, blob = typed
        if not is_encrypted(type_):
            return typed
        what = f"channel {channel!r} of {name}"
        return _sound(self._cipher.open(type_, blob or b"", what), what)

    def _sends_of(self, document: _Document, record: RawCheckpoint, name: str) -> list[Typed]:
        version, parent = document.get("v"), record.parent_checkpoint_id
        if not isinstance(version, int) or version >= _SENDS_IN_CHANNELS or not parent:
            return []
        if self._sends is None:
            assert self._bundle is not None, "joined before a thread was begun"
            self._sends = _sends(self._bundle)
        return self._sends.get(parent, [])

    def close(self) -> None:
        """May be called again."""
        self._values.clear()


def _decoded(record: RawCheckpoint, name: str) -> _Document:
    assert not isinstance(record.document, msgspec.UnsetType), "it is whole already"
    try:
        return _document.decode(record.document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"{name} is no JSON object that can be read: {error}") from error


def _text(version: object) -> str:
    """A version as PostgreSQL gives it as text."""
    if isinstance(version, bool):
        return "true" if version else "false"
    return str(version)


def _highest(versions: Mapping[str, Any], name: str) -> object:
    """The version that LangGraph gives to sends which it finds among the writes."""
    if not versions:
        return f"{1:032}.{0:016}"
    try:
        return max(versions.values())
    except TypeError:
        raise ThreadError(
            f"{name} has versions of several types, and sends that need one; it cannot be read "
            "by LangGraph either"
        ) from None


def _sends(bundle: Bundle) -> dict[str, list[Typed]]:
    """The sends that each checkpoint's tasks made, by its id; few threads have them."""
    found: dict[str, list[tuple[tuple[str, str, int], Typed]]] = {}
    for block in bundle.blocks():
        if not _may_hold_sends(block):  # as in most of it, by far
            continue
        for line in filter(_may_hold_sends, block.split(b"\n")):
            record = decode_line(line)
            if isinstance(record, CheckpointWrite) and record.channel == _TASKS:
                order = (record.task_path or "", record.task_id, record.idx)
                one = (record.type or "", record.blob)
                found.setdefault(record.checkpoint_id, []).append((order, one))
    return {key: [one for _, one in sorted(rows)] for key, rows in found.items()}


def _may_hold_sends(text: bytes) -> bool:
    """Whether the name of their channel may be in it, also with letters that are escaped."""
    return _NAME in text or b"\\u00" in text


def _joined(
    document: _Document,
    values: _Document,
    typed: Mapping[str, Typed],
    sends: list[Typed],
    name: str,
) -> tuple[str, bytes]:
    """Type and bytes of the document with the values in it."""
    types = {type_ for type_, _ in (*typed.values(), *sends)}
    if "json" in types and types <= {"json", "null"}:
        spliced = {
            channel: _json(one, f"channel {channel!r} of {name}") for channel, one in typed.items()
        }
        whole = {**values, **spliced}
        if sends:
            whole[_TASKS] = [_json(one, f"a send to {name}") for one in sends]
        return "json", msgspec.json.encode(_in_order(document, whole))
    whole = dict(values)
    for channel, one in typed.items():
        whole[channel] = _msgpack(one, f"channel {channel!r} of {name}")
    if sends:
        whole[_TASKS] = [_msgpack(one, f"a send to {name}") for one in sends]
    return "msgpack", _packed(_in_order(document, whole), name)


def _in_order(document: _Document, values: _Document) -> _Document:
    """Fields in the order in which LangGraph makes them."""
    filled = {**document, "channel_values": values}
    known = {field: filled.pop(field) for field in _FIELDS if field in filled}
    return known | filled


def _packed(document: _Document, name: str) -> bytes:
    import ormsgpack

    try:
        return ormsgpack.packb(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise ThreadError(
            f"{name} holds a value that no msgpack document can ({str(error).lower()}); copy it "
            "into tables of the layout that it comes from, or into an archive"
        ) from error


def _json(typed: Typed, what: str) -> Raw | None:
    type_, blob = typed
    if type_ == "null":
        return None
    try:
        text = (blob or b"").decode()
        return Raw(bytes(_raw.decode(text)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"{what} is no JSON, as its type says: {error}") from error


def _msgpack(typed: Typed, what: str) -> object:
    """What stands for a value in a document that is packed."""
    type_, blob = typed
    if type_ == "null":
        return None
    if blob is None:
        raise ThreadError(f"{what} is of type {type_!r} and has no bytes")
    if type_ == "msgpack":
        import ormsgpack

        try:
            return ormsgpack.Fragment(blob)
        except ValueError as error:
            raise ThreadError(
                f"{what} is no msgpack that LangGraph could load ({str(error).lower()}); copy the "
                "thread into tables of the layout that it comes from, or into an archive"
            ) from None
    if type_ in ("bytes", "bytearray"):
        return blob
    if type_ == "json":
        return _plain(blob, what)
    raise ThreadError(
        f"{what} is of type {type_!r}, which no document of another layout can hold; copy the "
        "thread into tables of the layout that it comes from, or into an archive"
    )


def _plain(blob: bytes, what: str) -> object:
    """JSON beside values in msgpack: only where it stands for nothing but itself."""
    try:
        value = _any.decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"{what} is no JSON, as its type says: {error}") from error
    spelled = msgspec.json.encode(value) if b"\\u00" in blob else blob  # with no letter escaped
    if b'"lc"' in spelled:
        raise ThreadError(
            f"{what} holds an object in the older JSON form beside values in msgpack, which only "
            "LangGraph can bring into one document; copy the thread into tables of the layout "
            "that it comes from, or into an archive"
        )
    return value


def _sound(typed: Typed, what: str) -> Typed:
    type_, blob = typed
    damage = _damage(blob) if type_ == "msgpack" and blob is not None else None
    if damage is not None:
        raise ThreadError(f"{what} {damage}")
    return typed


def _damage(blob: bytes) -> str | None:
    """What is wrong with a value of msgpack, which would break all that comes after it in a
    document; None where it is one value and nothing else."""
    import msgpack

    unpacker = msgpack.Unpacker(max_buffer_size=max(len(blob), 1))
    unpacker.feed(blob)
    try:
        unpacker.skip()
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        return f"is no msgpack, as its type says ({type(error).__name__})"
    return None if unpacker.tell() == len(blob) else "has bytes after its end; it is damaged"
