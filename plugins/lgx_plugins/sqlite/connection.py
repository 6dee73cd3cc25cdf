"""Opening a database, and cursors whose chunks are bounded in bytes."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lgx import UsageError
from lgx_plugins.blocking import run_to_end
from lgx_plugins.files import check_target, explain_os_error, refuse_path, refuse_target
from lgx_plugins.sqlite.failures import explained

if TYPE_CHECKING:
    import aiosqlite

__all__ = [
    "CHUNK_BYTES",
    "connect",
    "create_file",
    "file_size",
    "open_to_read",
    "state",
    "tables",
    "unguarded",
    "writable",
]

_MAGIC = b"SQLite format 3\0"

CHUNK_BYTES = 1 << 20
"""Rows travel in chunks of about this size: memory depends on the largest row alone."""


class _Cursor(sqlite3.Cursor):
    """Ends a chunk where its size is reached: rows may be of any size, and a count of them
    bounds nothing."""

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        rows: list[Any] = []
        held = 0
        while len(rows) < (size or 1) and held < CHUNK_BYTES:
            row = self.fetchone()
            if row is None:
                break
            rows.append(row)
            held += sum(len(cell) for cell in row if isinstance(cell, bytes))
        return rows


class _Connection(sqlite3.Connection):
    """Gives such cursors, and text as bytes: it may be anything, and is checked where used."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.text_factory = bytes

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return self.cursor(_Cursor).execute(sql, parameters)


async def connect(
    path: Path, *, mode: str, busy_seconds: float, immutable: bool = False
) -> aiosqlite.Connection:
    """Opens an existing database; transactions are begun and ended by hand.

    Args:
        path: absolute.
        mode: `ro` or `rw`; neither creates a file.
        busy_seconds: how long a statement waits for another program's lock.
        immutable: nobody writes to it: read it without the files that WAL needs beside it.

    Raises:
        LgxError: it is not there, not a database, or may not be opened.
    """
    import aiosqlite

    uri = f"file:{quote(os.fsencode(path))}?mode={mode}"
    if immutable:
        uri += "&immutable=1"
    if _header(path)[:16] not in (b"", _MAGIC):
        # SQLite takes a file of a few bytes for an empty database, and writes over it.
        raise UsageError(f"{str(path)!r} is not a SQLite database; name another file")
    connection = aiosqlite.connect(
        uri,
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        factory=_Connection,
        iter_chunk_size=1000,
    )
    try:
        with explained(path):
            await run_to_end(_opened(connection))
            # All rows are fetched: a statement left in the middle is an open transaction.
            await connection.execute_fetchall("PRAGMA foreign_keys = ON")
            await connection.execute_fetchall("SELECT count(*) FROM sqlite_master")
    except BaseException:
        await connection.close()
        raise
    return connection


async def _opened(connection: aiosqlite.Connection) -> None:
    await connection


async def open_to_read(path: Path, busy_seconds: float) -> aiosqlite.Connection:
    """Opens a database that nothing shall be written to, and leaves nothing beside it.

    Reading in WAL mode needs two files, which SQLite creates, and which a connection that may
    only read does not remove: where they are not there, it is one that may write, and is
    told not to. See `unguarded` for who may not write.

    Raises:
        LgxError: as `connect`.
    """
    if unguarded(path):
        return await connect(path, mode="ro", busy_seconds=busy_seconds, immutable=True)
    if _wal(path).exists() or not _in_wal_mode(path):
        return await connect(path, mode="ro", busy_seconds=busy_seconds)
    connection = await connect(path, mode="rw", busy_seconds=busy_seconds)
    try:
        await connection.execute_fetchall("PRAGMA query_only = ON")
    except BaseException:
        await connection.close()
        raise
    return connection


def unguarded(path: Path) -> bool:
    """Whether it can only be read as one that does not change: SQLite would need files beside
    it that cannot be created, or that would bar its owner. Watch its `state` meanwhile."""
    return (
        _in_wal_mode(path)
        and not _wal(path).exists()
        and not (writable(path) and writable(path.parent))
    )


def writable(path: Path) -> bool:
    """Whether the file or directory may be written to."""
    return os.access(path, os.W_OK, effective_ids=True)


def file_size(path: Path) -> int:
    """In bytes; 0 where there is no file."""
    return path.stat().st_size if path.exists() else 0


def state(path: Path) -> object:
    """Equal as long as nobody writes to the database."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, _wal(path).exists()


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _in_wal_mode(path: Path) -> bool:
    return _header(path)[18:] == b"\2\2"


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(20)
    except OSError as error:
        raise refuse_path(error, path) from error


def create_file(path: Path) -> None:
    """Creates an empty file of mode 0600, whatever the umask; one that exists stays as it is.

    SQLite gives the files that it keeps beside a database the same mode.
    """
    check_target(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise refuse_target(error, path) from error
    try:
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise explain_os_error(error, path) from error
    finally:
        os.close(descriptor)


async def tables(connection: aiosqlite.Connection) -> frozenset[bytes]:
    """The names of all tables and views, their ASCII letters in lower case."""
    rows = await connection.execute_fetchall(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
    )
    return frozenset(name.lower() for (name,) in rows)
