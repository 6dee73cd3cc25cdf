"""One moment of a database, read through one connection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lgx import FatalError, UsageError
from lgx_plugins.files import check_target
from lgx_plugins.formats import check_source
from lgx_plugins.sqlite.connection import open_to_read, state, unguarded
from lgx_plugins.sqlite.failures import explained

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Moment"]


class Moment:
    """What stood in a database when it was first read: a transaction, from `take` to `close`.

    A file that can only be read as one that does not change (see `unguarded`) is watched: call
    `check_unchanged` before anything that was read counts as whole.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        """
        Args:
            path: absolute.
            busy_seconds: how long a statement waits for another program's lock.
        """
        self._path = path
        self._busy_seconds = busy_seconds
        self._connection: aiosqlite.Connection | None = None
        self._state: object = None

    @property
    def connection(self) -> aiosqlite.Connection:
        assert self._connection is not None, "read before it was opened"
        return self._connection

    async def take(self) -> aiosqlite.Connection:
        """Opens the database, and begins the transaction; what is read first sets the moment.

        Raises:
            LgxError: it is not there, not a database, or cannot be read.
        """
        path = self._path
        check_source(path, "sqlite")
        check_target(path)
        if not path.exists():
            raise UsageError(f"there is no database {str(path)!r}; correct --source-path")
        self._state = state(path) if unguarded(path) else None
        connection = await open_to_read(path, self._busy_seconds)
        try:
            with explained(path):
                await connection.execute_fetchall("BEGIN")
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection

    async def close(self) -> None:
        """May be called again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with explained(self._path):
                await connection.close()

    def check_unchanged(self) -> None:
        """
        Raises:
            FatalError: somebody has written to a file that is not locked.
        """
        if self._state is not None and self._state != state(self._path):
            raise FatalError(
                f"{str(self._path)!r} was changed while it was read, and may not be locked by "
                "this user; run again as its owner, or read a copy"
            )
