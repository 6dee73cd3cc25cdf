"""Reading parts: each is compared with its digest before anything in it is believed."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from lgx import IntegrityError
from lgx_plugins.archive.index import MAX_WINDOW, Entry, Frame, IndexHead, decode_index
from lgx_plugins.archive.manifest import PartInfo
from lgx_plugins.archive.store import Files
from lgx_plugins.archive.threads import ThreadTable

__all__ = ["STREAM_BYTES", "PartReader", "build_table"]

STREAM_BYTES = 8 << 20
"""Frames up to this size are decompressed as a whole, larger ones piece by piece."""

_CHUNK = 1 << 20


class PartReader:
    """The files of an archive's parts. Blocks; used from any thread, by many at once."""

    def __init__(self, store: Files, parts: Sequence[PartInfo]) -> None:
        self._store = store
        self.parts = parts
        self._locks = [threading.Lock() for _ in parts]
        self._verified = [False] * len(parts)

    def verify(self, number: int) -> None:
        """Compares a part with its digest, once.

        Raises:
            IntegrityError: the file is not the one that was written.
        """
        with self._locks[number]:
            if self._verified[number]:
                return
            part = self.parts[number]
            digest, size = hashlib.sha256(), 0
            with self._store.open(part.data_name) as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
            if digest.hexdigest() != part.sha256 or size != part.size:
                raise self.damaged(number, "its SHA-256 does not match")
            self._verified[number] = True

    def _compare(self, number: int) -> None:
        """As `verify`, where that costs no more than the disk's cache."""
        if self._store.reads_twice:
            self.verify(number)

    def indexes(self, numbers: Sequence[int]) -> Iterator[tuple[IndexHead, list[Entry]]]:
        """The indexes of these parts, in their order; read ahead where the store gains by it."""
        at_once = self._store.reads_at_once
        if at_once == 1:
            yield from map(self.index, numbers)
            return
        ahead: deque[tuple[int, Future[bytes]]] = deque()
        with ThreadPoolExecutor(at_once, thread_name_prefix="lgx-index") as pool:
            try:
                for number in numbers:
                    ahead.append((number, pool.submit(self._index_data, number)))
                    if len(ahead) == at_once:
                        yield self._decoded(*ahead.popleft())
                while ahead:
                    yield self._decoded(*ahead.popleft())
            finally:
                for _, waiting in ahead:
                    waiting.cancel()

    def index(self, number: int) -> tuple[IndexHead, list[Entry]]:
        """A part's index, compared with its digest."""
        return decode_index(self._index_data(number), self.parts[number], self._store.place)

    def _decoded(self, number: int, data: Future[bytes]) -> tuple[IndexHead, list[Entry]]:
        return decode_index(data.result(), self.parts[number], self._store.place)

    def _index_data(self, number: int) -> bytes:
        part = self.parts[number]
        with self._store.open(part.index_name) as file:
            data = file.read(part.index_size + 1)
        if hashlib.sha256(data).hexdigest() != part.index_sha256:
            raise IntegrityError(
                f"index {part.index_name!r} of archive {self._store.place!r} is damaged: its "
                "SHA-256 does not match; restore it from a copy, or make a new backup to "
                "another path"
            )
        return data

    def frame(self, number: int, frame: Frame) -> bytes:
        """What a small frame holds."""
        import zstandard

        self._compare(number)
        with self._store.open(self.parts[number].data_name) as file:
            file.seek(frame.offset)
            data = file.read(frame.size)
        try:
            said = zstandard.frame_content_size(data)  # -1: the frame does not say
            if said in (-1, frame.bytes):
                decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
                text = decompressor.decompress(data, max_output_size=frame.bytes)
                if len(text) == frame.bytes:
                    return text
        except zstandard.ZstdError as error:
            raise self.damaged(number, str(error)) from error
        raise self.damaged(number, "a frame has another size than its index says")

    def stream(self, number: int, frame: Frame, start: int, size: int) -> Iterator[list[bytes]]:
        """Lines of a large frame, some at a time: `size` bytes from `start`, whole lines."""
        import zstandard

        self._compare(number)
        with self._store.open(self.parts[number].data_name) as file:
            file.seek(frame.offset)
            decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
            try:
                with decompressor.stream_reader(_Limited(file, frame.size)) as reader:  # type: ignore[arg-type]
                    yield from self._lines(number, reader, start, size)
            except zstandard.ZstdError as error:
                raise self.damaged(number, str(error)) from error

    def _lines(self, number: int, reader: BinaryIO, start: int, size: int) -> Iterator[list[bytes]]:
        while start:
            skipped = len(reader.read(min(start, _CHUNK)))
            if not skipped:
                raise self.damaged(number, "a frame ends early")
            start -= skipped
        begun: list[bytes] = []
        while size:
            chunk = reader.read(min(size, _CHUNK))
            if not chunk:
                raise self.damaged(number, "a frame ends early")
            size -= len(chunk)
            first, newline, rest = chunk.partition(b"\n")
            begun.append(first)
            if not newline:
                continue
            lines = [b"".join(begun), *rest.split(b"\n")]
            begun = [lines.pop()]
            yield lines
        if any(begun):
            raise self.damaged(number, "a thread ends in the middle of a line")

    def loose_lines(self, number: int) -> Iterator[list[bytes]]:
        """All lines of a part, some at a time."""
        head, _ = self.index(number)
        self.verify(number)
        for frame in head.frames:
            yield from self.stream(number, frame, 0, frame.bytes)

    def damaged(self, number: int, why: str) -> IntegrityError:
        """The error that names this part."""
        name = self.parts[number].data_name
        return IntegrityError(
            f"part {name!r} of archive {self._store.place!r} is damaged: {why}; "
            "restore it from a copy, or make a new backup to another path"
        )


class _Limited:
    """The next bytes of a file, as a file of their own."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def build_table(
    reader: PartReader, numbers: Sequence[int], *, marks_only: bool = False
) -> ThreadTable:
    """A table of the threads in some parts, which are given in the order of writing."""
    table = ThreadTable()
    try:
        for number, (head, entries) in zip(numbers, reader.indexes(numbers), strict=True):
            batch = reader.parts[number].batch
            table.add(number, batch, head, entries, marks_only=marks_only)
        table.build()
    except BaseException:
        table.close()
        raise
    return table
