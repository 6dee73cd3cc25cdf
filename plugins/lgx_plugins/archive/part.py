"""One part that is being written: frames of compressed lines, and entries that find them."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lgx import ThreadError, decode_line
from lgx_plugins.archive.index import Entry, Frame
from lgx_plugins.archive.store import NewFile

if TYPE_CHECKING:
    import zstandard

__all__ = ["CHECKPOINT", "DIGEST_DIGITS", "FRAME_BYTES", "RAW_CHECKPOINT", "Compressor", "Part"]

FRAME_BYTES = 2 << 20
"""Small threads share frames of about this size; a larger thread has frames of its own."""

DIGEST_DIGITS = 32
"""Of a thread's SHA-256, in an index."""

_WINDOW_LOG = 24
_CHUNK = 1 << 18
CHECKPOINT = b'{"kind":"checkpoint"'
RAW_CHECKPOINT = b'{"kind":"raw_checkpoint"'
_THREAD = b'{"kind":"thread"'
_WORKERS = 2
_LIGHT = 9  # the tables of higher levels are too large to have them twice
_KIND = re.compile(rb'\{"kind":"([^"\\]+)"')


class Compressor:
    """zstd, kept for a run: its tables are large. It works in threads of its own, beside the one
    that gathers what to compress.
    """

    def __init__(self, level: int) -> None:
        self._level = level
        workers = _WORKERS if level <= _LIGHT else 1
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="lgx-zstd")
        self._own = threading.local()
        self._long: zstandard.ZstdCompressor | None = None

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def frame(self, pieces: list[bytes]) -> Future[Packed]:
        """A whole frame of these pieces."""
        return self._pool.submit(self._frame, pieces)

    def _frame(self, pieces: list[bytes]) -> Packed:
        import zstandard

        # A compressor serves one thread at a time.
        maker: zstandard.ZstdCompressor | None = getattr(self._own, "maker", None)
        if maker is None:
            # No search over long distances: the tables remember all of a frame anyway.
            parameters = zstandard.ZstdCompressionParameters.from_level(
                self._level, source_size=2 * FRAME_BYTES, write_checksum=True
            )
            maker = self._own.maker = zstandard.ZstdCompressor(compression_params=parameters)
        digests = [hashlib.sha256(piece).hexdigest()[:DIGEST_DIGITS] for piece in pieces]
        return Packed(maker.compress(b"".join(pieces)), digests)

    def stream(self, chunks: Iterable[bytes], hasher: hashlib._Hash) -> Generator[bytes]:
        """A frame piece by piece, and the digest of what is in it; one chunk is compressed while
        the next is made. One stream at a time, read to its end or closed."""
        import zstandard

        if self._long is None:
            parameters = zstandard.ZstdCompressionParameters.from_level(
                self._level, window_log=_WINDOW_LOG, enable_ldm=True, write_checksum=True
            )
            self._long = zstandard.ZstdCompressor(compression_params=parameters)
        frame = self._long.compressobj()

        def take(chunk: bytes) -> bytes:
            hasher.update(chunk)
            return frame.compress(chunk)

        under_way: Future[bytes] | None = None
        try:
            for chunk in chunks:
                if under_way is not None:
                    yield under_way.result()
                under_way = self._pool.submit(take, chunk)
            if under_way is not None:
                yield under_way.result()
        finally:
            if under_way is not None:
                wait([under_way])
        yield frame.flush()


class Packed(NamedTuple):
    """A frame, and the first digits of the digest of each piece in it."""

    data: bytes
    digests: list[str]


class _Pending(NamedTuple):
    """A frame that is being compressed."""

    packed: Future[Packed]
    bytes: int
    entries: list[Entry | None]


class Part:
    """A part that is being written. Complete once `finish` was called."""

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
        self._under_way: deque[_Pending] = deque()
        self._pieces: list[bytes] = []
        self._described: list[Entry | None] = []
        self._filled = 0

    def add_small(self, entry: Entry, data: bytes, records: int, checkpoints: int) -> None:
        """Adds a thread to the frame that small threads share.

        Args:
            data: its lines.
            records: how many they are; and how many of them are checkpoints.
        """
        self._count(data, records, checkpoints)
        described = msgspec.structs.replace(
            entry,
            frame=len(self.frames) + len(self._under_way),
            offset=self._filled,
            bytes=len(data),
            records=records,
        )
        self._append(data, described)

    def add_loose(self, line: bytes) -> None:
        """Adds a record that no entry describes."""
        data = line + b"\n"
        self._count(data, 1, int(data.startswith(CHECKPOINT)))
        self._append(data, None)

    def add_large(
        self,
        entry: Entry,
        lines: Iterable[bytes],
        hasher: hashlib._Hash,
        ends: Callable[[], bool] = lambda: True,
    ) -> None:
        """Adds a thread, or a piece of one, in a frame of its own; once the lines are read,
        `ends` tells whether they were the last."""
        self.finish()
        offset, total, records = self.size, 0, 0

        def counted() -> Iterator[bytes]:
            nonlocal total, records
            for chunk in _chunks(lines):
                count = chunk.count(b"\n")
                total += len(chunk)
                records += count
                self._count(chunk, count, (b"\n" + chunk).count(b"\n" + CHECKPOINT))
                yield chunk

        with closing(self._compressor.stream(counted(), hasher)) as stream:
            for data in stream:
                self._write(data)
        self.entries.append(
            msgspec.structs.replace(
                entry,
                frame=len(self.frames),
                bytes=total,
                records=records,
                sha256=hasher.hexdigest()[:DIGEST_DIGITS],
                last=ends(),
            )
        )
        self.bytes += total
        self.frames.append(Frame(offset, self.size - offset, total))

    def finish(self) -> None:
        """Writes what waits for its frame to fill, and every frame under way."""
        self._end_frame()
        while self._under_way:
            self._take()

    def _append(self, data: bytes, entry: Entry | None) -> None:
        self._pieces.append(data)
        self._described.append(entry)
        self._filled += len(data)
        self.bytes += len(data)
        if self._filled >= self._frame_bytes:
            self._end_frame()

    def _end_frame(self) -> None:
        if not self._pieces:
            return
        while len(self._under_way) > _WORKERS:  # one waits, so that no worker has to
            self._take()
        packed = self._compressor.frame(self._pieces)
        self._under_way.append(_Pending(packed, self._filled, self._described))
        self._pieces, self._described, self._filled = [], [], 0

    def _take(self) -> None:
        """Writes the frame that was begun first."""
        pending = self._under_way.popleft()
        data, digests = pending.packed.result()
        self.frames.append(Frame(self.size, len(data), pending.bytes))
        self.entries += [
            msgspec.structs.replace(entry, sha256=digest)
            for entry, digest in zip(pending.entries, digests, strict=True)
            if entry is not None
        ]
        self._write(data)

    def _count(self, data: bytes, records: int, checkpoints: int) -> None:
        """Counts the kinds of these lines, which are looked at only where it is not clear."""
        if checkpoints:
            self.records["checkpoint"] += checkpoints
        if records - checkpoints == 1 and data.startswith(_THREAD):
            self.records["thread"] += 1
        elif records > checkpoints:
            lines = data.split(b"\n")[:-1]
            self.records.update(_kind(line) for line in lines if not line.startswith(CHECKPOINT))

    def _write(self, data: bytes) -> None:
        if data:
            self.digest.update(data)
            self.size += len(data)
            self.file.write(data)


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        chunk += (line, b"\n")
        size += len(line)
        if size >= _CHUNK:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


def _kind(line: bytes) -> str:
    match = _KIND.match(line)
    if match:
        return match[1].decode()
    try:
        record = decode_line(line)
    except ThreadError:
        return "unknown"
    return record.kind
