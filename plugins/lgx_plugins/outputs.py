"""Where file sinks write: a file that appears whole, or standard output."""

from __future__ import annotations

import io
import os
import select
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from lgx import FatalError, UsageError
from lgx_plugins.files import (
    AtomicFile,
    check_name,
    check_target,
    explain_os_error,
    remove_leftovers,
)
from lgx_plugins.locks import TargetLock

__all__ = ["Output"]

_GATHER = 1 << 20
_LARGE = 1 << 16  # copying it would cost more than writing it by itself


class Output:
    """Bytes on their way to a target; `.gz` and `.zst` at its end say how it is compressed.

    A file appears under its name by `commit`, whole, in place of what stood there; the path
    `-` is standard output, which gets everything at once. A symbolic link stays, and what it
    names is replaced. Not for several threads at once.
    """

    def __init__(self, path: Path) -> None:
        self.standard = str(path) == "-"
        self.path = path
        self._lock: TargetLock | None = None
        self._file: AtomicFile | _StandardOutput | None = None
        self._compress: Any = None  # zlib's or zstandard's: both have compress() and flush()
        self._waiting = bytearray()
        self.taken = 0
        """How many bytes were written, before compression."""

    def check(self) -> None:
        """Whether the target could be written, as far as can be told without trying.

        Raises:
            UsageError: it is a directory or device, or its folder is missing.
        """
        if not self.standard:
            check_name(self.path)
            self.path = self.path.resolve()
            check_target(self.path)

    def open(self) -> None:
        """Takes the target's lock and creates the temporary file.

        Raises:
            LockedError: another run writes there.
            UsageError, FatalError: it cannot be written.
        """
        self.check()
        if self.standard:
            self._file = _StandardOutput()
            return
        self._lock = TargetLock(self.path)
        self._lock.acquire()
        remove_leftovers(self.path)
        self._file = AtomicFile(self.path)
        if self.path.suffix == ".gz":
            self._compress = zlib.compressobj(6, zlib.DEFLATED, 31)
        elif self.path.suffix == ".zst":
            import zstandard

            self._compress = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()

    def write(self, data: bytes | bytearray) -> None:
        """Takes bytes; small pieces are gathered first.

        Raises:
            FatalError: the disk is full, or the reader of standard output has gone.
        """
        self.taken += len(data)
        if len(data) >= _LARGE:
            self.flush()
            self._put(data)
            return
        self._waiting += data
        if len(self._waiting) >= _GATHER:
            self.flush()

    def flush(self) -> None:
        """Passes on what was gathered."""
        if self._waiting:
            waiting, self._waiting = self._waiting, bytearray()
            self._put(waiting)

    def _put(self, data: bytes | bytearray) -> None:
        assert self._file is not None, "written before open or after commit"
        self._file.write(self._compress.compress(data) if self._compress else data)

    def commit(self) -> None:
        """Lets the file appear; called once, last.

        Raises:
            FatalError: it does not appear, or not durably.
        """
        self.flush()
        assert self._file is not None, "committed before open or twice"
        if self._compress:
            self._file.write(self._compress.flush())
        self._file.commit()
        self.close()

    def close(self) -> None:
        """Discards what was not committed, and gives the lock back. May be called again."""
        file, self._file = self._file, None
        if file is not None:
            file.discard()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


class _StandardOutput:
    """Standard output as bytes, past Python's buffers.

    A buffer that could not be written would be tried again, and fail again, when Python ends.
    """

    def __init__(self) -> None:
        self._buffer: BinaryIO | None = None
        self._descriptor: int | None = None
        try:
            sys.stdout.flush()
            self._descriptor = os.dup(sys.stdout.fileno())
        except (AttributeError, io.UnsupportedOperation, ValueError):
            # Another object stands in for standard output, as in a notebook or a test.
            self._buffer = getattr(sys.stdout, "buffer", None)
            if self._buffer is None:
                raise UsageError("standard output takes no bytes here; name a file") from None
        except OSError as error:
            raise _explain(error) from error

    def write(self, data: bytes | bytearray) -> None:
        if self._buffer is not None:
            self._buffer.write(data)
            return
        assert self._descriptor is not None
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:  # the pipe is full, and was made not to wait
                select.select([], [self._descriptor], [])
            except OSError as error:
                raise _explain(error) from error

    def commit(self) -> None:
        """Everything is written already."""

    def discard(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _explain(error: OSError) -> FatalError:
    if isinstance(error, BrokenPipeError):
        return FatalError("standard output was closed by its reader before everything was written")
    return explain_os_error(error, "standard output")
