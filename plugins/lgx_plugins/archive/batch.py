"""Writing a batch: whole threads into parts of bounded size, which count only together."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec
from msgspec import UNSET, Raw, UnsetType

from lgx import Bundle, FatalError, LgxError, Thread, decode_line
from lgx_plugins.archive.index import Entry, IndexHead, encode_index
from lgx_plugins.archive.manifest import PartInfo
from lgx_plugins.archive.part import DIGEST_DIGITS, FRAME_BYTES, Compressor, Part
from lgx_plugins.archive.store import Store

__all__ = ["BatchWriter", "describe_thread", "digest_thread"]

_SMALL_METADATA = 2048


class BatchWriter:
    """Writes the parts of one batch. Blocks; nothing counts before the journal says so."""

    def __init__(
        self,
        store: Store,
        compressor: Compressor,
        *,
        batch: int,
        written_at: str,
        source: str,
        part_bytes: int,
        extras: str | None = None,
        whole: bool = True,
    ) -> None:
        self._store = store
        self._compressor = compressor
        self._batch = batch
        self.written_at = written_at
        self._source = source
        self._part_bytes = part_bytes
        self._frame_bytes = min(FRAME_BYTES, part_bytes)
        self._extras = extras
        self._whole = whole
        self._open: Part | None = None
        self._created: list[str] = []
        self.parts: list[PartInfo] = []
        self.indexes: list[tuple[PartInfo, IndexHead, list[Entry]]] = []

    def add(self, entry: Entry, bundle: Bundle) -> None:
        """Writes all records of a thread, which `describe_thread` made the entry of."""
        if bundle.size <= self._part_bytes:
            part = self._part(bundle.size)
            if bundle.size < self._frame_bytes:
                part.add_small(entry, b"".join(bundle.blocks()), len(bundle), bundle.checkpoints)
            else:
                part.add_large(entry, bundle.lines(), hashlib.sha256())
            return
        self._add_pieces(entry, bundle)

    def _add_pieces(self, entry: Entry, bundle: Bundle) -> None:
        hasher = hashlib.sha256()
        lines = _Pieces(bundle.lines(), self._part_bytes)
        piece = 0
        while not lines.done:
            self._roll()
            self._part(0).add_large(
                msgspec.structs.replace(entry, piece=piece),
                lines.piece(),
                hasher,
                lambda: lines.done,
            )
            piece += 1
        self._roll()

    def add_deleted(self, thread_id: str, line: bytes) -> None:
        """Writes the tombstone of a thread."""
        entry = Entry(thread_id=thread_id, bytes=0, sha256="", deleted=True, outcome="deleted")
        self._part(len(line) + 1).add_small(entry, line + b"\n", 1, 0)

    def add_extras(self, lines: Iterable[bytes]) -> None:
        """Writes records that belong to no thread."""
        for line in lines:
            self._part(len(line) + 1).add_loose(line)

    def finish(self) -> None:
        """Brings everything to the disk under final names; then `parts` is complete.

        There is at least one part, if an empty one: extras may be replaced by nothing.
        """
        if not self.parts:
            self._part(0)
        self._roll()
        self._store.settle()

    def discard(self) -> bool:
        """Removes what a failed batch wrote; False where some of it may have stayed."""
        if self._open is not None:
            self._open.file.discard()
            self._open = None
        with suppress(LgxError):  # files on their way have to arrive before they can be removed
            self._store.settle()
        try:
            self._store.remove(self._created, durable=False)
        except FatalError:  # the error that led here is the one to tell
            return False
        return True

    def _part(self, size: int) -> Part:
        """The open part, or a new one where `size` more bytes would be too many for it."""
        part = self._open
        if part is not None and part.bytes and part.bytes + size > self._part_bytes:
            self._roll()
            part = None
        if self._open is None:
            stem = self._stem(secrets.token_hex(8)) if self._store.names_first else None
            file = self._store.create(stem and PartInfo.data_name_of(stem))
            part = self._open = Part(file, stem, self._compressor, self._frame_bytes)
        assert part is not None
        return part

    def _roll(self) -> None:
        part = self._open
        if part is None:
            return
        part.finish()
        digest = part.digest.hexdigest()
        name = part.stem or self._stem(digest[:16])
        head = IndexHead(part=name, frames=tuple(part.frames))
        index = encode_index(head, part.entries)
        info = PartInfo(
            name=name,
            batch=self._batch,
            written_at=self.written_at,
            source=self._source,
            size=part.size,
            sha256=digest,
            index_size=len(index),
            index_sha256=hashlib.sha256(index).hexdigest(),
            bytes=part.bytes,
            threads=len(part.entries),
            records=dict(part.records),
            extras=self._extras,
            whole=self._whole,
        )
        self._created += [info.data_name, info.index_name]
        part.file.commit(info.data_name)
        self._open = None
        file = self._store.create(info.index_name)
        try:
            file.write(index)
            file.commit(info.index_name)
        finally:
            file.discard()
        self.parts.append(info)
        self.indexes.append((info, head, part.entries))

    def _stem(self, digits: str) -> str:
        return f"{self._batch:08d}-{len(self.parts):04d}-{digits}"


class _Pieces:
    """Lines, cut into pieces of bounded size; a line that is larger has one to itself."""

    def __init__(self, lines: Iterator[bytes], limit: int) -> None:
        self._lines = lines
        self._limit = limit
        self._next = next(lines, None)

    @property
    def done(self) -> bool:
        return self._next is None

    def piece(self) -> Iterator[bytes]:
        """The lines of the next piece; read to its end before anything else is asked."""
        size = 0
        while self._next is not None and (not size or size + len(self._next) < self._limit):
            line = self._next
            size += len(line) + 1
            self._next = next(self._lines, None)
            yield line


def describe_thread(bundle: Bundle) -> Entry:
    """What an index says of a thread, but for its place.

    Raises:
        ThreadError: its first record is not JSON.
    """
    first = next(iter(bundle.blocks()), b"").split(b"\n", 1)[0]
    record = decode_line(first) if first.startswith(b'{"kind":"thread"') else None
    thread = record if isinstance(record, Thread) else Thread(thread_id=bundle.thread_id)
    mark = bundle.mark
    plain = isinstance(thread.metadata, UnsetType) or _is_plain(thread.metadata)
    return Entry(
        thread_id=bundle.thread_id,
        bytes=0,
        sha256="",
        checkpoints=mark.checkpoints if mark else bundle.checkpoints,
        mark=(mark.version, mark.fingerprint) if mark else None,
        outcome=bundle.outcome,
        losses=bundle.losses,
        updated_at=thread.updated_at,
        status=thread.status,
        metadata=thread.metadata if plain else UNSET,
        metadata_left_out=not plain,
    )


def digest_thread(bundle: Bundle) -> str:
    """The digest that the last entry of a thread has when it is written."""
    digest = hashlib.sha256()
    for block in bundle.blocks():
        digest.update(block)
    return digest.hexdigest()[:DIGEST_DIGITS]


def _is_plain(metadata: Raw) -> bool:
    """Whether it is small, and what every strict decoder accepts."""
    if len(memoryview(metadata)) > _SMALL_METADATA:
        return False
    try:
        msgspec.json.decode(metadata)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return True
