"""Files and pipes as sources read them: from the first byte on, as often as wanted.

Compression is told by the first bytes, whatever the name says. What comes through a pipe is
kept in an unlinked temporary file, since nothing can be read out of a pipe twice.
"""

from __future__ import annotations

import asyncio
import io
import os
import select
import stat
import sys
import tempfile
import threading
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lgx import FatalError, IntegrityError, UsageError
from lgx_plugins.files import check_name, explain_os_error, refuse_path
from lgx_plugins.formats import check_source

__all__ = ["PIECE", "Input"]

PIECE = 1 << 20
"""About how many bytes a piece has."""

_PATIENCE = 0.25  # seconds after which a wait for a pipe looks whether it is still wanted
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"BZh": "compressed with bzip2; decompress it first",
    b"\xfd7zXZ\x00": "compressed with xz; decompress it first",
    b"SQLite format 3\x00": "a SQLite database: read it with --source sqlite",
    b"PK\x03\x04": "a ZIP archive; unpack it first",
    b"\xff\xfe": "UTF-16 text; convert it to UTF-8 first",
    b"\xfe\xff": "UTF-16 text; convert it to UTF-8 first",
}


class Input:
    """One file, or standard input where the path is `-`. Closed by its maker."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = "standard input" if str(path) == "-" else repr(str(path))
        self.cut: str | None = None
        """Why the compressed bytes end before their end; known once `pieces` has ended."""
        self._descriptor: int | None = None
        self._stdin: BinaryIO | None = None
        self._kept: BinaryIO | None = None
        self._kept_size = 0
        self._state: tuple[int, ...] = ()
        self._ended = False
        self._unwanted = threading.Event()
        self._reading = threading.Lock()

    def open(self) -> None:
        """Opens the file; reads nothing.

        Raises:
            UsageError: there is no such file, it is a directory or a terminal, or it may not
                be read.
            FatalError: it cannot be opened.
        """
        try:
            if str(self.path) == "-":
                self._open_stdin()
            else:
                check_name(self.path)
                self._descriptor = os.open(self.path, os.O_RDONLY)
            mode = 0
            if self._descriptor is not None:
                mode = os.fstat(self._descriptor).st_mode
                if stat.S_ISDIR(mode):
                    check_source(self.path, "")
                    raise UsageError(f"{self.name} is a directory; name a file")
                if os.isatty(self._descriptor):
                    raise UsageError(f"{self.name} is a terminal; pipe a file into it, or name one")
            if stat.S_ISREG(mode):
                self._state = self._look()
            else:
                self._kept = tempfile.TemporaryFile(prefix="lgx-input-")  # noqa: SIM115 -- closed by close()
        except OSError as error:
            self.close()
            raise refuse_path(error, self.path) from error
        except UsageError:
            self.close()
            raise

    def _open_stdin(self) -> None:
        try:
            self._descriptor = os.dup(sys.stdin.fileno())
        except (AttributeError, io.UnsupportedOperation, ValueError):
            # Another object stands in for standard input, as in a notebook or a test.
            self._stdin = getattr(sys.stdin, "buffer", None)
            if self._stdin is None:
                raise UsageError("there is no standard input to read; name a file") from None

    def close(self) -> None:
        """Closes everything; waits for a read that is under way. May be called again."""
        self._unwanted.set()
        with self._reading:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            if self._kept is not None:
                with suppress(OSError):  # of a last flush to a full disk: nobody wants it
                    self._kept.close()
                self._kept = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """All bytes, decompressed and without a byte order mark, from the first to the last.

        May be called again once the iterator before is done with. No piece is empty.

        Raises:
            FatalError: it cannot be read, or has changed since it was opened.
            IntegrityError: the compressed bytes are damaged.
        """
        self.cut = None
        source = self._decompressed()
        first = True
        while True:
            try:
                piece = await asyncio.to_thread(self._next, source)
            except asyncio.CancelledError:
                self._unwanted.set()
                raise
            if piece is None:
                return
            if first:
                first = False
                piece = piece.removeprefix(_BOM)
            if piece:
                yield piece

    def _next(self, source: Iterator[bytes]) -> bytes | None:
        with self._reading:
            try:
                return next(source, None)
            except OSError as error:
                raise explain_os_error(error, self.path) from error

    # -- decompressing -----------------------------------------------------------------

    def _decompressed(self) -> Iterator[bytes]:
        start = self._read(0, 16)
        for magic, what in _FOREIGN.items():
            if start.startswith(magic):
                raise UsageError(f"{self.name} is {what}")
        if start.startswith(b"\x1f\x8b"):
            yield from self._gunzip()
        elif start.startswith(b"\x28\xb5\x2f\xfd"):
            yield from self._unzstd()
        else:
            yield from self._raw(PIECE)
        if self._state and self._look() != self._state:
            raise FatalError(f"{self.name} was changed while it was read; run again")

    def _gunzip(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(31)
        for piece in self._raw(64 << 10):
            rest = piece
            while rest:
                if inflate.eof:  # another member follows, or padding
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    inflate = zlib.decompressobj(31)
                try:
                    yield from _given(inflate.decompress(rest, PIECE))
                    rest = inflate.unconsumed_tail or inflate.unused_data
                    while not rest and not inflate.eof:
                        more = inflate.decompress(b"", PIECE)
                        if not more:
                            break
                        yield more
                        rest = inflate.unconsumed_tail or inflate.unused_data
                except zlib.error as error:
                    raise self._damaged(error) from error
        if not inflate.eof:
            self.cut = "its gzip data end in the middle"

    def _unzstd(self) -> Iterator[bytes]:
        # A thousand bytes can stand for 32 MB, so no more than that is asked for at once.
        import zstandard

        maker = zstandard.ZstdDecompressor()
        frame = maker.decompressobj()
        gathered: list[bytes] = []
        size = 0
        for piece in self._raw(64 << 10):
            for begin in range(0, len(piece), 1024):
                rest = piece[begin : begin + 1024]
                while rest:
                    if frame.eof:
                        frame = maker.decompressobj()
                    try:
                        data = frame.decompress(rest)
                    except zstandard.ZstdError as error:
                        raise self._damaged(error) from error
                    rest = frame.unused_data if frame.eof else b""
                    gathered.append(data)
                    size += len(data)
                if size >= PIECE:
                    yield b"".join(gathered)
                    gathered, size = [], 0
        yield from _given(b"".join(gathered))
        if not frame.eof:
            self.cut = "its zstd data end in the middle"

    def _damaged(self, error: Exception) -> IntegrityError:
        return IntegrityError(
            f"the compressed bytes of {self.name} are damaged ({error}); use another copy of it"
        )

    # -- bytes as they are stored ------------------------------------------------------

    def _raw(self, size: int) -> Iterator[bytes]:
        position = 0
        while piece := self._read(position, size):
            yield piece
            position += len(piece)

    def _read(self, position: int, size: int) -> bytes:
        if self._kept is None:
            assert self._descriptor is not None, "read before open or after close"
            return os.pread(self._descriptor, size, position)
        while self._kept_size < position + size and not self._ended:
            self._receive()
        self._kept.seek(position)
        return self._kept.read(size)

    def _receive(self) -> None:
        """Moves what the pipe has into the temporary file."""
        assert self._kept is not None
        if self._stdin is not None:
            data = self._stdin.read(PIECE)
        else:
            assert self._descriptor is not None
            while not select.select([self._descriptor], [], [], _PATIENCE)[0]:
                if self._unwanted.is_set():
                    self._ended = True
                    return
            data = os.read(self._descriptor, PIECE)
        self._ended = not data
        try:
            self._kept.seek(self._kept_size)
            self._kept.write(data)
        except OSError as error:
            raise explain_os_error(error, tempfile.gettempdir()) from error
        self._kept_size += len(data)

    def _look(self) -> tuple[int, ...]:
        assert self._descriptor is not None
        found = os.fstat(self._descriptor)
        return (found.st_size, found.st_mtime_ns)


def _given(data: bytes) -> Iterator[bytes]:
    if data:
        yield data
