"""Writing parts: records of whole threads into compressed files of bounded size."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, UnsetType

from lgx import Bundle, FatalError, Thread, ThreadError, UnknownRecord, decode_line
from lgx_plugins.archive.index import Entry, Frame, IndexHead, encode_index
from lgx_plugins.archive.manifest import PartInfo
from lgx_plugins.archive.store import NewFile, Store

if TYPE_CHECKING:
    import zstandard

__all__ = ["FRAME_BYTES", "BatchWriter", "Compressor", "describe_thread"]

FRAME_BYTES = 2 << 20
"""Small threads share frames of about this size; a larger thread has frames of its own."""

_WINDOW_LOG = 24
_CHUNK = 1 << 18
_SMALL_METADATA = 2048
_CHECKPOINT = b'{"kind":"checkpoint"'
_KIND = re.compile(rb'\{"kind":"([^"\\]+)"')


class Compressor:
    """zstd with matches over long distances, kept for a run: its tables are large."""

    def __init__(self, level: int) -> None:
        import zstandard

        parameters = zstandard.ZstdCompressionParameters.from_level(
            level, window_log=_WINDOW_LOG, enable_ldm=True, write_checksum=True
        )
        self._zstd = zstandard.ZstdCompressor(compression_params=parameters)

    def compress(self, data: bytes) -> bytes:
        """A whole frame."""
        return self._zstd.compress(data)

    def stream(self) -> zstandard.ZstdCompressionObj:
        """A frame that grows."""
        return self._zstd.compressobj()


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
        self._open: _Part | None = None
        self._created: list[str] = []
        self.parts: list[PartInfo] = []
        self.indexes: list[tuple[PartInfo, IndexHead, list[Entry]]] = []

    def add(self, entry: Entry, bundle: Bundle) -> None:
        """Writes all records of a thread, which `describe_thread` made the entry of."""
        if bundle.size <= self._part_bytes:
            part = self._part(bundle.size)
            if bundle.size < self._frame_bytes:
                part.add_small(entry, bundle.lines())
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
                msgspec.structs.replace(entry, piece=piece), lines.piece(), hasher, lines
            )
            piece += 1
        self._roll()

    def add_deleted(self, thread_id: str, line: bytes) -> None:
        """Writes the tombstone of a thread."""
        entry = Entry(thread_id=thread_id, bytes=0, sha256="", deleted=True, outcome="deleted")
        self._part(len(line)).add_small(entry, [line])

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

    def discard(self) -> bool:
        """Removes what a failed batch wrote; False where some of it may have stayed."""
        if self._open is not None:
            self._open.file.discard()
            self._open = None
        try:
            self._store.remove(self._created, durable=False)
        except FatalError:  # the error that led here is the one to tell
            return False
        return True

    def _part(self, size: int) -> _Part:
        """The open part, or a new one where `size` more bytes would be too many for it."""
        part = self._open
        if part is not None and part.bytes and part.bytes + size > self._part_bytes:
            self._roll()
            part = None
        if self._open is None:
            part = self._open = _Part(self._store.create(), self._compressor, self._frame_bytes)
        assert part is not None
        return part

    def _roll(self) -> None:
        part, number = self._open, len(self.parts)
        if part is None:
            return
        part.end_frame()
        digest = part.digest.hexdigest()
        name = f"{self._batch:08d}-{number:04d}-{digest[:16]}"
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
        file = self._store.create()
        try:
            file.write(index)
            file.commit(info.index_name)
        finally:
            file.discard()
        self.parts.append(info)
        self.indexes.append((info, head, part.entries))


class _Part:
    """A part that is being written."""

    def __init__(self, file: NewFile, compressor: Compressor, frame_bytes: int) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self.size = 0
        self.bytes = 0
        self.frames: list[Frame] = []
        self.entries: list[Entry] = []
        self.records: Counter[str] = Counter()
        self._compressor = compressor
        self._frame_bytes = frame_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def add_small(self, entry: Entry, lines: Iterable[bytes]) -> None:
        """Adds a thread to the frame that small threads share."""
        listed = list(lines)
        data = b"".join([line + b"\n" for line in listed])
        self._count(listed)
        self.entries.append(
            msgspec.structs.replace(
                entry,
                frame=len(self.frames),
                offset=self._pending_bytes,
                bytes=len(data),
                records=len(listed),
                sha256=hashlib.sha256(data).hexdigest()[:32],
            )
        )
        self._append(data)

    def add_loose(self, line: bytes) -> None:
        """Adds a record that no entry describes."""
        self._count([line])
        self._append(line + b"\n")

    def add_large(
        self,
        entry: Entry,
        lines: Iterable[bytes],
        hasher: hashlib._Hash,
        pieces: _Pieces | None = None,
    ) -> None:
        """Adds a thread, or a piece of one, in a frame of its own."""
        self.end_frame()
        stream = self._compressor.stream()
        offset, total, records = self.size, 0, 0
        for chunk in _chunks(lines):
            data = b"\n".join(chunk) + b"\n"
            self._count(chunk)
            hasher.update(data)
            self._write(stream.compress(data))
            total += len(data)
            records += len(chunk)
        self._write(stream.flush())
        self.entries.append(
            msgspec.structs.replace(
                entry,
                frame=len(self.frames),
                bytes=total,
                records=records,
                sha256=hasher.hexdigest()[:32],
                last=pieces is None or pieces.done,
            )
        )
        self.bytes += total
        self.frames.append(Frame(offset, self.size - offset, total))

    def end_frame(self) -> None:
        """Compresses what waits for its frame to fill."""
        if not self._pending:
            return
        offset = self.size
        self._write(self._compressor.compress(b"".join(self._pending)))
        self.frames.append(Frame(offset, self.size - offset, self._pending_bytes))
        self._pending.clear()
        self._pending_bytes = 0

    def _append(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)
        self.bytes += len(data)
        if self._pending_bytes >= self._frame_bytes:
            self.end_frame()

    def _count(self, lines: list[bytes]) -> None:
        for line in lines:
            if line.startswith(_CHECKPOINT):
                self.records["checkpoint"] += 1
            else:
                self.records[_kind(line)] += 1

    def _write(self, data: bytes) -> None:
        if data:
            self.digest.update(data)
            self.size += len(data)
            self.file.write(data)


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


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _kind(line: bytes) -> str:
    match = _KIND.match(line)
    if match:
        return match[1].decode()
    try:
        record = decode_line(line)
    except ThreadError:
        return "unknown"
    return record.name if isinstance(record, UnknownRecord) else record.kind


def describe_thread(bundle: Bundle) -> Entry:
    """What an index says of a thread, but for its place.

    Raises:
        ThreadError: its first record is not JSON.
    """
    first = next(iter(bundle.lines()), b"")
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


def _is_plain(metadata: Raw) -> bool:
    """Whether it is small, and what every strict decoder accepts."""
    if len(memoryview(metadata)) > _SMALL_METADATA:
        return False
    try:
        msgspec.json.decode(metadata)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return True
