"""A database that a sink writes to: locked, made, and changed in whole transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lgx import UsageError
from lgx_plugins.blocking import run_to_end
from lgx_plugins.files import sync_directory
from lgx_plugins.locks import TargetLock
from lgx_plugins.sqlite.connection import (
    connect,
    create_file,
    file_size,
    open_to_read,
    writable,
)
from lgx_plugins.sqlite.failures import explained

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Target"]


class Target:
    """One connection to a database; `open` or `open_dry` comes first, `close` last."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        """
        Args:
            path: absolute, and of what may become a file: see `check_target`.
            busy_seconds: how long a statement waits for another program's lock.
        """
        self._path = path
        self._busy_seconds = busy_seconds
        self._lock = TargetLock(path)
        self._connection: aiosqlite.Connection | None = None
        self._turn = asyncio.Lock()

    @property
    def opened(self) -> bool:
        return self._connection is not None

    @property
    def connection(self) -> aiosqlite.Connection:
        assert self._connection is not None, "written before begin, or in a dry run"
        return self._connection

    async def open(self) -> aiosqlite.Connection:
        """Takes the lock, makes the file where there is none, and opens it to write.

        Raises:
            LgxError: another run writes to it, or it cannot be written.
        """
        path = self._path
        self._lock.acquire()
        if not path.exists():
            create_file(path)
            sync_directory(path.parent)
        if not (writable(path) and writable(path.parent)):
            raise UsageError(
                f"{str(path)!r} cannot be written: the file or its directory is read-only; "
                "change its mode, or write elsewhere"
            )
        self._connection = await connect(path, mode="rw", busy_seconds=self._busy_seconds)
        with explained(path):
            await self._connection.execute_fetchall("PRAGMA journal_mode = WAL")
            await self._connection.execute_fetchall("PRAGMA synchronous = FULL")
        return self._connection

    async def open_dry(self) -> aiosqlite.Connection | None:
        """Opens it to read alone, without the lock; None where nothing is there yet.

        Raises:
            LgxError: it cannot be read.
        """
        if not file_size(self._path):
            return None
        self._connection = await open_to_read(self._path, self._busy_seconds)
        return self._connection

    async def close(self) -> None:
        """Frees connection and lock, also when it is cancelled. May be called again."""
        await run_to_end(self._close())

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                with explained(self._path):
                    await connection.close()
        finally:
            self._lock.release()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """All or nothing, and durable; one at a time."""
        connection = self.connection
        async with self._turn:
            with explained(self._path):
                try:
                    await connection.execute("BEGIN IMMEDIATE")
                    yield connection
                    await connection.execute("COMMIT")
                except BaseException:
                    # It does nothing where a full disk ended the transaction by itself.
                    await run_to_end(connection.rollback())
                    raise
