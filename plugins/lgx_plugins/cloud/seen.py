"""A set of keys that costs no memory: a million thread ids, or the checkpoints of one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from lgx import FatalError

__all__ = ["Seen"]


class Seen:
    """Keys that were met, in a database of SQLite's own temporary kind.

    It has no name, lies in the page cache while it is small, and is gone when it is closed.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._execute("PRAGMA journal_mode=OFF")
        self._execute("PRAGMA cache_size=-2048")
        self._execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self.count = 0

    def _execute(self, statement: str, *values: bytes) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise FatalError(
                f"cannot remember what was listed in the temporary directory: {error}; free "
                "room there, or name another one by TMPDIR"
            ) from error

    def add(self, key: str) -> bool:
        """Whether the key is new."""
        cursor = self._execute("INSERT OR IGNORE INTO seen VALUES (?)", key.encode())
        self.count += cursor.rowcount
        return cursor.rowcount == 1

    def holds(self, key: str) -> bool:
        found = self._execute("SELECT 1 FROM seen WHERE key = ?", key.encode())
        return found.fetchone() is not None

    def add_new(self, keys: Iterable[str]) -> list[str]:
        """Adds the keys, and says which of them are new."""
        self._execute("BEGIN")
        new = [key for key in keys if self.add(key)]
        self._execute("COMMIT")
        return new

    def close(self) -> None:
        self._db.close()
