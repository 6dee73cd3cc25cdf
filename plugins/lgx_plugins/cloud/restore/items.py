"""What the target's store holds, in a few bytes for each item, and those on disk."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from types import TracebackType

import msgspec
from msgspec import Struct, UnsetType

from lgx import FatalError, StoreItem, canonical, parse_time

__all__ = ["HeldItem", "HeldItems", "digest_of", "since_of"]


class HeldItem(Struct, frozen=True, gc=False):
    """An item of the target: digest of what it holds, and since when it has held it."""

    digest: bytes
    since: float | None


class HeldItems:
    """Items by namespace and key, however many: in a database of SQLite's own temporary kind."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=OFF",
            "PRAGMA cache_size=-2048",
            "CREATE TABLE items (key BLOB PRIMARY KEY, digest BLOB, since REAL) WITHOUT ROWID",
        ):
            self._execute(statement)

    def __enter__(self) -> HeldItems:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise FatalError(
                f"cannot remember the target's items in the temporary directory: {error}; free "
                "room there, or name another one by TMPDIR"
            ) from error

    def add(self, item: StoreItem) -> None:
        values = _key(item), digest_of(item), since_of(item)
        self._execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", *values)

    def find(self, item: StoreItem) -> HeldItem | None:
        """What stands there under an item's namespace and key."""
        found = self._execute("SELECT digest, since FROM items WHERE key = ?", _key(item))
        row = found.fetchone()
        return None if row is None else HeldItem(*row)


def digest_of(item: StoreItem) -> bytes:
    """Of its value."""
    value = b"" if isinstance(item.value, UnsetType) else canonical(bytes(item.value))
    return blake2b(value, digest_size=16).digest()


def since_of(item: StoreItem) -> float | None:
    """When it was changed last; None where that is not told."""
    if item.updated_at is None:
        return None
    try:
        return parse_time(item.updated_at).timestamp()
    except ValueError:
        return None


def _key(item: StoreItem) -> bytes:
    return blake2b(msgspec.json.encode((item.namespace, item.key)), digest_size=16).digest()
