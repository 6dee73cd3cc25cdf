"""A set of keys that costs no memory: a million thread ids, or the checkpoints of one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

__all__ = ["Seen"]


class Seen:
    """Keys that were met, in a database of SQLite's own temporary kind.

    It has no name, lies in the page cache while it is small, and is gone when it is closed.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA cache_size=-2048")
        self._db.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self.count = 0

    def add(self, key: str) -> bool:
        """Whether the key is new."""
        cursor = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key.encode(),))
        self.count += cursor.rowcount
        return cursor.rowcount == 1

    def holds(self, key: str) -> bool:
        found = self._db.execute("SELECT 1 FROM seen WHERE key = ?", (key.encode(),))
        return found.fetchone() is not None

    def add_new(self, keys: Iterable[str]) -> list[str]:
        """Adds the keys, and says which of them are new."""
        self._db.execute("BEGIN")
        new = [key for key in keys if self.add(key)]
        self._db.execute("COMMIT")
        return new

    def close(self) -> None:
        self._db.close()
