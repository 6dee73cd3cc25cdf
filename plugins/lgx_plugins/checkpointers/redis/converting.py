"""Bundles as documents, one at a time."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from lgx import (
    Bundle,
    ChannelBlob,
    CheckpointWrite,
    Loss,
    RawCheckpoint,
    Thread,
    ThreadError,
)
from lgx_plugins.checkpointers.redis.expiry import Expiry
from lgx_plugins.checkpointers.redis.fields import (
    add_document,
    decoded,
    dumped,
    metadata_of,
    metadata_text,
    milliseconds,
    number_in,
    with_ids,
)
from lgx_plugins.checkpointers.redis.keys import Keys
from lgx_plugins.checkpointers.rows.digests import RowDigest
from lgx_plugins.checkpointers.rows.encryption import Cipher, is_encrypted
from lgx_plugins.checkpointers.rows.forms import check_row, is_split, stored_metadata
from lgx_plugins.checkpointers.rows.joining import Joiner
from lgx_plugins.checkpointers.rows.parts import take_apart
from lgx_plugins.checkpointers.rows.redisform import EXPIRES, SCORE, SHALLOW, is_redis
from lgx_plugins.checkpointers.serde.redisdump import LOOKALIKE, Dump, may_look_marked
from lgx_plugins.ids import id_digest

__all__ = ["Converted", "Document"]

_FIRST = ("v", "id", "ts")
_SENDS_IN_CHANNELS = 4
_MANY = 20
_LOST = (
    "RedisSaver's serializer has no form for it: the value stands there as plain JSON "
    "(--sink-allow-lossy)"
)
_MAYBE = ", unless it is a dataclass"
_DOUBTFUL = (
    "RedisSaver makes dataclasses again, and of a namedtuple's fields a dict; which it is, only "
    "importing it would tell"
)


class Document(Struct, frozen=True):
    """A document for a key.

    Attributes:
        registry: the key of the sorted set that names it, of a write; and its score there.
        latest: of a checkpoint, the key of the pointer to the latest of its namespace; None where
            the saver keeps none.
        expires: in milliseconds of Unix time.
    """

    key: bytes
    text: bytes
    checkpoint_id: str
    registry: bytes | None = None
    score: int = 0
    latest: bytes | None = None
    expires: int | None = None


class Converted:
    """One bundle on its way; what was learnt of it once `documents` is through.

    Attributes:
        lost: channels and types of values that RedisSaver will not load as what they were.
        doubtful: of those that it may load so; see `Dump`.
        renumbered: whether versions that are whole numbers became texts.
        expiry: what of it Redis will remove, and what it would have.
    """

    def __init__(self, bundle: Bundle, joiner: Joiner, cipher: Cipher, keys: Keys) -> None:
        self.bundle = bundle
        self.lost: dict[tuple[str, str], None] = {}
        self.doubtful: dict[tuple[str, str], None] = {}
        self.renumbered = False
        self.expiry = Expiry()
        self._joiner = joiner
        self._cipher = cipher
        self._keys = keys
        self._digest = RowDigest()
        self._unused = 0
        self._written: set[bytes] = set()
        self._shallow: set[str] = set()
        self._sending: set[bytes] = set()

    def documents(self) -> Iterator[Document]:
        """
        Raises:
            ThreadError: something in it has no place in Redis.
        """
        self.lost.clear()
        self.doubtful.clear()
        self._digest, self.expiry, self._unused = RowDigest(), Expiry(), 0
        self._look_through()
        for record in self._records():
            one = self._document(record)
            if one.expires is None or self.expiry.takes(one.key, one.text, one.expires):
                add_document(self._digest, one.key, one.text)
                yield one
        self._unused = self._joiner.unused

    def digest(self) -> str:
        """Of the documents as they would be written."""
        for _ in self.documents():
            pass
        return self.written

    @property
    def written(self) -> str:
        """The same, of the documents that have come out of `documents`."""
        return self._digest.text()

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What Redis could not take of it."""
        found = [
            self._lost(f"the type {type_} in channel {channel!r}{how}", why)
            for types, how, why in ((self.lost, "", _LOST), (self.doubtful, _MAYBE, _DOUBTFUL))
            for channel, type_ in types
        ]
        if self._unused:
            why = "no checkpoint refers to them, and documents hold what their own checkpoint does"
            found.append(self._lost(f"{self._unused} values of channels", why))
        if self.expiry.late:
            why = "they expired before they were written, and Redis keeps nothing longer"
            found.append(self._lost(f"{self.expiry.late} documents", why))
        return tuple(found)

    def _lost(self, what: str, why: str) -> Loss:
        return Loss(what=what, why=why, thread_id=self.bundle.thread_id, holdable=False)

    def refusal(self) -> str:
        """Why it is not written, of what is lost."""
        shown = [f"channel {channel!r} ({type_})" for channel, type_ in [*self.lost][:_MANY]]
        more = f" and {len(self.lost) - _MANY} more" if len(self.lost) > _MANY else ""
        return (
            f"RedisSaver could not load all of it as what it is: {', '.join(shown)}{more}; "
            "--sink-allow-lossy writes it all the same, with these values as plain JSON"
        )

    # -- records -------------------------------------------------------------------------

    def _records(self) -> Iterator[RawCheckpoint | CheckpointWrite]:
        for record in self.bundle:
            if isinstance(record, Thread):
                continue
            found = check_row(record, self.bundle.thread_id, documents=True)
            if not isinstance(found, ChannelBlob):
                yield found

    def _look_through(self) -> None:
        """What has to be known before the first checkpoint: the values, and who has writes."""
        self._joiner.begin(self.bundle)
        self._written.clear()
        self._shallow.clear()
        self._sending.clear()
        for record in self.bundle:
            if isinstance(record, ChannelBlob):
                self._joiner.keep(record)
            elif isinstance(record, CheckpointWrite):
                place = id_digest(record.checkpoint_ns, record.checkpoint_id)
                self._written.add(place)
                if record.channel == "__pregel_tasks":
                    self._sending.add(place)
            elif isinstance(record, RawCheckpoint) and record.type == SHALLOW:
                self._shallow.add(record.checkpoint_ns)

    def _document(self, record: RawCheckpoint | CheckpointWrite) -> Document:
        if isinstance(record, CheckpointWrite):
            return self._of_write(record)
        return self._of_checkpoint(record)

    # -- writes --------------------------------------------------------------------------

    def _of_write(self, record: CheckpointWrite) -> Document:
        ns, own_id = record.checkpoint_ns, record.checkpoint_id
        shallow = ns in self._shallow
        thread, safe_ns, checkpoint_id = self._keys.safe(record.thread_id, ns, own_id)
        if shallow:
            thread, checkpoint_id = record.thread_id, own_id
        key = self._keys.write(thread, safe_ns, checkpoint_id, record.task_id, record.idx)
        registry = (
            self._keys.shallow_registry(thread, safe_ns)
            if shallow
            else self._keys.registry(thread, safe_ns, checkpoint_id)
        )
        if is_redis(record):
            ids = {"thread_id": thread, "checkpoint_ns": safe_ns, "checkpoint_id": checkpoint_id}
            text = with_ids(record.blob or b"", ids)
        else:
            kind, blob = self._opened(record.type, record.blob, f"write of {record.channel!r}")
            if kind not in ("msgpack", "json", "null", "bytes", "bytearray"):
                raise ThreadError(
                    f"a write of channel {record.channel!r} is of type {kind!r}, which RedisSaver "
                    "does not load"
                )
            if kind == "json" and may_look_marked(blob):
                self.lost[record.channel, LOOKALIKE] = None
            text = dumped(
                {
                    "thread_id": thread,
                    "checkpoint_ns": safe_ns,
                    "checkpoint_id": checkpoint_id,
                    "task_id": record.task_id,
                    "task_path": record.task_path or "",
                    "idx": record.idx,
                    "channel": record.channel,
                    "type": kind,
                    "blob": base64.b64encode(blob).decode(),
                }
            )
        score = number_in(record, SCORE)
        return Document(
            key,
            text,
            own_id,
            registry,
            max(record.idx, 0) if score is None else score,
            expires=number_in(record, EXPIRES),
        )

    def _opened(self, kind: str | None, blob: bytes | None, what: str) -> tuple[str, bytes]:
        if kind is None:
            raise ThreadError(f"a {what} has no type")
        if is_encrypted(kind):
            return self._cipher.open(kind, blob or b"", what)
        return kind, blob or b""

    # -- checkpoints ---------------------------------------------------------------------

    def _of_checkpoint(self, record: RawCheckpoint) -> Document:
        ns, own_id = record.checkpoint_ns, record.checkpoint_id
        if record.type == SHALLOW and is_redis(record):
            safe_ns = self._keys.safe("x", ns, "x")[1]
            ids = {"thread_id": record.thread_id, "checkpoint_ns": safe_ns}
            key = self._keys.shallow(record.thread_id, ns)
            text = with_ids(bytes(record.document), ids)  # type: ignore[arg-type]  # is_redis
            return Document(key, text, own_id, expires=number_in(record, EXPIRES))
        thread, safe_ns, checkpoint_id = self._keys.safe(record.thread_id, ns, own_id)
        key = self._keys.checkpoint(thread, safe_ns, checkpoint_id)
        if is_redis(record):
            ids = {"thread_id": thread, "checkpoint_ns": safe_ns, "checkpoint_id": checkpoint_id}
            text = with_ids(bytes(record.document), ids)  # type: ignore[arg-type]  # is_redis
        else:
            text = self._made(record, thread, safe_ns, checkpoint_id)
        latest = self._keys.latest(thread, safe_ns)
        return Document(key, text, own_id, latest=latest, expires=number_in(record, EXPIRES))

    def _made(self, record: RawCheckpoint, thread: str, ns: str, checkpoint_id: str) -> bytes:
        what = f"checkpoint {record.checkpoint_id!r} of namespace {record.checkpoint_ns!r}"
        whole = self._joiner.join(record) if is_split(record) else record
        if whole.type is None or whole.blob is None:
            raise ThreadError(f"{what} has no document, or none whose type is known")
        kind, blob = self._opened(whole.type, whole.blob, what)
        checkpoint = self._checkpoint(record, kind, blob, what)
        text = metadata_text(stored_metadata(record), what)
        if "\\u0000" in text:
            self.lost["metadata", "texts with NUL"] = None
        known = metadata_of(text, what)
        parent = record.parent_checkpoint_id
        fields = {
            "thread_id": thread,
            "run_id": str(known.get("run_id") or ""),
            "checkpoint_ns": ns,
            "checkpoint_id": checkpoint_id,
            "parent_checkpoint_id": parent or "",
            "checkpoint_ts": milliseconds(checkpoint.get("ts")),
            "checkpoint": checkpoint,
            "metadata": text,
            "has_writes": id_digest(record.checkpoint_ns, record.checkpoint_id) in self._written,
        }
        if "source" in known and "step" in known:
            fields |= {"source": known["source"], "step": known["step"]}
        return dumped(fields)

    def _checkpoint(
        self, record: RawCheckpoint, kind: str, blob: bytes, what: str
    ) -> dict[str, Any]:
        parts = take_apart(kind, blob, what)
        values: dict[str, Any] = {}
        for channel, value in parts.values.items():
            dump = Dump()
            try:
                values[channel] = dump.tree(parts.kind, bytes(value))
            except ThreadError as error:
                raise ThreadError(f"channel {channel!r} of {what}: {error}") from None
            self.lost.update(((channel, type_), None) for type_ in dump.lost)
            self.doubtful.update(((channel, type_), None) for type_ in dump.doubtful)
        fields = {name: decoded(one, f"{name} of {what}") for name, one in parts.fields.items()}
        versions = {
            name: decoded(one, f"version of {name} of {what}")
            for name, one in parts.versions.items()
        }
        parent = record.parent_checkpoint_id
        version = fields.get("v")
        old = isinstance(version, int) and version < _SENDS_IN_CHANNELS
        sent = parent and id_digest(record.checkpoint_ns, parent) in self._sending
        if parts.sends is not None or (old and sent and not is_split(record)):
            self.lost["__pregel_tasks", "sends of a checkpoint before version 4"] = None
        seen = fields.get("versions_seen")
        if isinstance(seen, dict):
            fields["versions_seen"] = {
                node: {name: self._version(one) for name, one in held.items()}
                if isinstance(held, dict)
                else held
                for node, held in seen.items()
            }
        first = {name: fields.pop(name) for name in _FIRST if name in fields}
        fields.pop("pending_sends", None)
        return {
            "type": fields.pop("type", "json"),
            **first,
            "channel_values": values,
            "channel_versions": {name: self._version(one) for name, one in versions.items()},
            **fields,
            "pending_sends": [],
        }

    def _version(self, version: Any) -> Any:
        """RedisSaver counts in texts, and compares what stands there with what it counts."""
        if isinstance(version, int) and not isinstance(version, bool):
            self.renumbered = True
            return f"{version:032}.{0:016}"
        return version if isinstance(version, str) or version is None else str(version)
