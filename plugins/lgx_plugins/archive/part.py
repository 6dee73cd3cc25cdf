"""One part that is being written: frames of compressed lines, and entries that find them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from lgx import ThreadError, decode_line
from lgx_plugins.archive.index import Entry, Frame
from lgx_plugins.archive.store import NewFile

if TYPE_CHECKING:
    import zstandard

__all__ = ["CHECKPOINT", "FRAME_BYTES", "Compressor", "Part"]

FRAME_BYTES = 2 << 20
"""Small threads share frames of about this size; a larger thread has frames of its own."""

_WINDOW_LOG = 24
_CHUNK = 1 << 18
CHECKPOINT = b'{"kind":"checkpoint"'
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


class Part:
    """A part that is being written."""

    def __init__(
        self, file: NewFile, stem: str | None, compressor: Compressor, frame_bytes: int
    ) -> None:
        self.file = file
        self.stem = stem
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
        ends: Callable[[], bool] = lambda: True,
    ) -> None:
        """Adds a thread, or a piece of one, in a frame of its own; once the lines are read,
        `ends` tells whether they were the last."""
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
                last=ends(),
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
            if line.startswith(CHECKPOINT):
                self.records["checkpoint"] += 1
            else:
                self.records[_kind(line)] += 1

    def _write(self, data: bytes) -> None:
        if data:
            self.digest.update(data)
            self.size += len(data)
            self.file.write(data)


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
    return record.kind
