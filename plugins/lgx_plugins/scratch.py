"""Scratch space: what does not fit into memory, in temporary files that have no name."""

from __future__ import annotations

import os
import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lgx import FatalError
from lgx_plugins.files import explain_os_error

__all__ = ["Scratch", "ScratchDatabase"]

_HEAD = struct.Struct("<QQ")  # the chain before the piece; the size of the piece
_KEEP = 4 << 20  # bytes that may stay in memory
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


class Scratch:
    """Pieces of bytes that are linked to chains, so that memory holds one number a chain.

    A number names a chain by its last piece; 0 is the empty chain. Closed by its maker. All
    of it raises FatalError where the disk that holds temporary files is full or missing.
    """

    def __init__(self) -> None:
        self._new()

    def _new(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_KEEP, prefix="lgx-scratch-")  # noqa: SIM115 -- closed by close()
        self._end = 0

    def append(self, data: bytes, chain: int = 0) -> int:
        """Puts a piece at the end of a chain; the longer chain."""
        begin = self._end
        with _on_disk():
            self._file.seek(self._end)
            self._file.write(_HEAD.pack(chain, len(data)))
            self._file.write(data)
        self._end += _HEAD.size + len(data)
        return begin + 1

    def last(self, chain: int) -> bytes:
        """The last piece of a chain that is not empty."""
        with _on_disk():
            size = self._head(chain)[1]
            return self._file.read(size)

    def pieces(self, chain: int) -> list[int]:
        """The chain up to each of its pieces, the first piece's first: see `last`."""
        found = []
        with _on_disk():
            while chain:
                found.append(chain)
                chain = self._head(chain)[0]
        found.reverse()
        return found

    def _head(self, chain: int) -> tuple[int, int]:
        self._file.seek(chain - 1)
        before, size = _HEAD.unpack(self._file.read(_HEAD.size))
        return before, size

    def clear(self) -> None:
        """Forgets everything, and gives the disk back."""
        self.close()
        self._new()

    def close(self) -> None:
        """May be called again."""
        with suppress(OSError):  # of a last flush to a full disk: nobody wants it
            self._file.close()


class ScratchDatabase:
    """A private SQLite database: in memory while it is small, then in a file without a name.

    Used from any thread, by one at a time. What goes wrong in it (the disk that holds
    temporary files is full or missing) is a FatalError that says so; then it can only be
    closed.
    """

    def __init__(self, schema: str, cache: int = 2 << 20) -> None:
        """Args:
        schema: the statement that creates its table.
        cache: bytes that may stay in memory.
        """
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        try:
            self.execute("PRAGMA journal_mode = OFF")
            self.execute("PRAGMA synchronous = OFF")
            self.execute("PRAGMA temp_store = FILE")
            self.execute(f"PRAGMA cache_size = -{cache >> 10}")
            self.execute(schema)
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement that gives no rows; how many rows it changed."""
        with _room():
            return self._database.execute(sql, values).rowcount

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a query gives: ask for no more than memory is to hold."""
        with _room():
            return self._database.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row that a query gives."""
        return next(iter(self.rows(sql, values)), None)

    def insert(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs a statement for each of many rows, in one transaction."""
        with self.together(), _room():
            self._database.executemany(sql, rows)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Makes one transaction of the statements in its block, which is faster."""
        self.execute("BEGIN")
        yield
        self.execute("COMMIT")

    def close(self) -> None:
        """May be called again."""
        self._database.close()


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, _temporary_directory()) from error


@contextmanager
def _room() -> Iterator[None]:
    """Any other error of SQLite's is one in lgx's own SQL, and stays a bug."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _NO_ROOM:
            raise
        raise FatalError(
            f"a temporary database cannot be kept ({error}): see that there is free room in the "
            f"temporary directory {_temporary_directory()!r}, or set TMPDIR to another one"
        ) from error


def _temporary_directory() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # there is none that can be written to
        return os.environ.get("TMPDIR", "/tmp")  # noqa: S108 -- only named
