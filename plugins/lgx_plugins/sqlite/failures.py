"""SQLite's errors as lgx's: one sentence with the file's name and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lgx import FatalError, IntegrityError, LgxError, ThreadError, UsageError

__all__ = ["explain", "explained"]

_WHY = {
    sqlite3.SQLITE_BUSY: "is locked by another program; end its transaction (or close it), then "
    "run again: what was committed stands, and the run goes on from there",
    sqlite3.SQLITE_LOCKED: "is locked by another connection; close it, then run again",
    sqlite3.SQLITE_FULL: "has no space left; free some on its disk, then run again: what was "
    "committed stands, and the run goes on from there",
    sqlite3.SQLITE_IOERR: "could not be read or written (disk I/O error): its disk is full or "
    "failing, or a limit on file sizes was reached; see to that, then run again",
    sqlite3.SQLITE_READONLY: "cannot be written: the file or its directory is read-only; change "
    "its mode, or write elsewhere",
    sqlite3.SQLITE_PERM: "cannot be opened: permission denied; change its mode",
    sqlite3.SQLITE_AUTH: "cannot be opened: permission denied; change its mode",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; see that it is a file that you may read (and "
    "write), and that its directory lets SQLite create files beside it",
}


def explain(error: sqlite3.Error | OverflowError, path: Path) -> LgxError:
    """What to raise in place of an error of SQLite's. An error in lgx's own SQL stays a bug."""
    name = repr(str(path))
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if isinstance(error, OverflowError) and "INTEGER" in str(error):
        return ThreadError(
            "a number is larger than the 64 bits that SQLite can hold; "
            "move it into an archive or an ndjson file"
        )
    if primary == sqlite3.SQLITE_TOOBIG or isinstance(error, OverflowError):
        return ThreadError(
            "a record is larger than the 1000000000 bytes that SQLite can hold; "
            "move its thread into an archive or an ndjson file"
        )
    if primary == sqlite3.SQLITE_NOTADB:
        return UsageError(f"{name} is not a SQLite database; name another file")
    if primary == sqlite3.SQLITE_CORRUPT:
        return IntegrityError(
            f"{name} is damaged ({error}); restore it from a backup, or repair a copy with: "
            "sqlite3 FILE .recover"
        )
    if primary in _WHY:
        return FatalError(f"{name} {_WHY[primary]}")
    if primary is None:
        raise error
    return FatalError(f"{name} cannot be used: {str(error).lower()}; look at its tables")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors in its block into lgx's."""
    try:
        yield
    except (sqlite3.Error, OverflowError) as error:
        raise explain(error, path) from error
