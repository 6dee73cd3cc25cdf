"""The ledger: digests of everything that one side holds, in a private file without a name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from lgx.errors import FatalError
from lgx.verification.entries import Entry, Row
from lgx.verification.fingerprint import Fingerprint, Head
from lgx.verification.identities import kept_id
from lgx.verification.shapes import Shapes

__all__ = ["Ledger"]

_CACHE = 8 << 20  # bytes of the file that stay in memory
_PAGE = 500  # threads that are looked up together

_SCHEMA = (
    """CREATE TABLE thread (
      number INTEGER PRIMARY KEY, id BLOB, kept BLOB, origin BLOB, mark BLOB, fidelity TEXT,
      source TEXT, graph BLOB, unfinished INT, status TEXT, shape INT, digests BLOB, settled BLOB
    )""",
    "CREATE INDEX thread_id ON thread (id)",
    "CREATE INDEX thread_kept ON thread (kept) WHERE kept IS NOT NULL",
    "CREATE INDEX thread_origin ON thread (origin) WHERE origin IS NOT NULL",
    """CREATE TABLE record (
      thread INT, kind TEXT, place BLOB, id BLOB, copy INT, step BLOB, source TEXT, parent BLOB,
      due BLOB, shape INT, digests BLOB, settled BLOB, PRIMARY KEY (thread, kind, place, id, copy)
    ) WITHOUT ROWID""",
)
_ADD_THREAD = "INSERT INTO thread VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_RECORD = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ENTRY = (
    "SELECT id, number, origin, mark, fidelity, source, graph, unfinished, status, shape, "
    "digests, settled FROM thread "
)
_THREADS = f"{_ENTRY} WHERE (id, number) > (?, ?) ORDER BY id, number LIMIT ?"
_RECORD = (
    "SELECT kind, place, id, copy, step, source, parent, due, shape, digests, settled FROM record "
)
_RECORDS = f"{_RECORD} WHERE thread = ? ORDER BY kind, place, id, copy"
_ROOT = "WHERE thread = ? AND kind = 'checkpoint' AND place = x'' AND id"
_STATE = f"{_RECORD} {_ROOT} = ?"
_IDS = f"SELECT id FROM record {_ROOT} > x'' ORDER BY id LIMIT ?"  # noqa: S608
_BEFORE = f"SELECT count(*) FROM record {_ROOT} < ?"  # noqa: S608
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


class Ledger:
    """One side's. Used by one task at a time; closed by its maker.

    What the disk refuses is a FatalError.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        with self._room(), TemporaryDirectory(prefix="lgx-verify-", dir=directory) as folder:
            path = Path(folder) / "ledger"
            path.touch(mode=0o600)
            # Unlinked as soon as it is open: nothing is left behind, however the process ends.
            self._database = sqlite3.connect(path, isolation_level=None)
            try:
                for pragma in (
                    "journal_mode = MEMORY",
                    "synchronous = OFF",
                    "locking_mode = EXCLUSIVE",
                ):
                    self._database.execute(f"PRAGMA {pragma}")
                self._database.execute(f"PRAGMA cache_size = -{_CACHE >> 10}")
                for statement in _SCHEMA:
                    self._database.execute(statement)
                self._shapes = Shapes(self._database)
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """May be called again."""
        self._database.close()

    # -- taking in --------------------------------------------------------------------

    @contextmanager
    def together(self) -> Iterator[None]:
        """Keeps all that is added in its block, or nothing of it where that raises."""
        with self._room():
            self._database.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._shapes.forget()
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def add_thread(self, found: Entry) -> None:
        """Keeps a thread, under a number of its own from 1."""
        shape = None if found.names is None else self._shapes.number("thread", found.names)
        kept = kept_id(found.id)
        self._database.execute(
            _ADD_THREAD,
            (
                *(found.number, found.id, None if kept == found.id else kept, found.origin),
                *(found.mark, found.fidelity, found.source, found.graph, found.unfinished),
                *(found.status, shape, found.digests, _packed(found.settled)),
            ),
        )

    def forget_extras(self, kind: str) -> None:
        """Forgets the deployment's records of a kind."""
        self._database.execute("DELETE FROM record WHERE thread = 0 AND kind = ?", (kind,))

    def add_record(self, thread: int, found: Fingerprint, head: Head) -> None:
        """Keeps a record of a thread, or with 0 of the deployment."""
        shape = self._shapes.number(found.kind, found.names)
        copy = 0
        while True:
            try:
                self._database.execute(
                    _ADD_RECORD,
                    (
                        *(thread, found.kind, found.place, found.id, copy, head.step),
                        *(head.source, head.parent, head.due),
                        *(shape, found.digests, _packed(found.settled)),
                    ),
                )
                return
            except sqlite3.IntegrityError:
                ((copy,),) = self._database.execute(
                    "SELECT max(copy) + 1 FROM record WHERE thread = ? AND kind = ? AND place = ? "
                    "AND id = ?",
                    (thread, found.kind, found.place, found.id),
                )

    def last(self) -> int:
        """The highest number of a thread so far; 0 where there is none."""
        with self._room():
            ((number,),) = self._database.execute("SELECT coalesce(max(number), 0) FROM thread")
        return int(number)

    # -- giving out -------------------------------------------------------------------

    def keep(self, ids: frozenset[bytes]) -> None:
        """Forgets all threads but these."""
        for entry in self.entries():
            if entry.id not in ids:
                with self._room():
                    self._database.execute("DELETE FROM record WHERE thread = ?", (entry.number,))
                    self._database.execute("DELETE FROM thread WHERE number = ?", (entry.number,))

    def named(self, own: bytes) -> Entry | None:
        """The thread of that id, or of one that labels have in that form."""
        where = "WHERE id = ? OR kept = ? ORDER BY id = ? DESC, number LIMIT 1"
        return self._first(where, own, own, own)

    def made_of(self, origin: bytes, source: str) -> Entry | None:
        """The thread that had that id where it came from; of several that of this source, if it
        is among them."""
        order = "ORDER BY source = ? DESC, id, number LIMIT 1"
        return self._first(f"WHERE origin = ? {order}", kept_id(origin), source)

    def rebuilt_from(self, source: str) -> bool:
        """Whether there is a thread that was rebuilt from there."""
        return self._first("WHERE source = ? LIMIT 1", source) is not None

    def _first(self, where: str, *values: object) -> Entry | None:
        with self._room():
            row = self._database.execute(_ENTRY + where, values).fetchone()
        return None if row is None else self._entry(row)

    def entries(self) -> Iterator[Entry]:
        """All threads by the bytes of their ids; those that share one together."""
        at = (b"", -1)
        while True:
            with self._room():
                page = self._database.execute(_THREADS, (*at, _PAGE)).fetchall()
            for row in page:
                yield self._entry(row)
            if len(page) < _PAGE:
                return
            at = page[-1][:2]

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        own, number, origin, mark, fidelity, source, graph, unfinished, *rest = row
        status, shape, digests, settled = rest
        return Entry(
            *(own, number, origin, mark, fidelity, source, graph, bool(unfinished), status),
            None if shape is None else self._shapes.names(shape),
            digests,
            _unpacked(settled),
        )

    def groups(self) -> Iterator[tuple[bytes, list[Entry]]]:
        """The threads of each id, which should be one."""
        for own, same in groupby(self.entries(), key=attrgetter("id")):
            yield own, list(same)

    def rows(self, number: int) -> Iterator[Row]:
        """The records of a thread, or with 0 those of the deployment: by kind, place and id."""
        with self._room():
            for row in self._database.execute(_RECORDS, (number,)):
                yield self._row(row)

    def state(self, number: int, own: bytes) -> Row | None:
        """A checkpoint of the root namespace of a thread, by its id."""
        with self._room():
            row = self._database.execute(_STATE, (number, own)).fetchone()
            return None if row is None else self._row(row)

    def ids(self, number: int, most: int) -> list[bytes]:
        """The first checkpoints of the root namespace of a thread."""
        with self._room():
            return [own for (own,) in self._database.execute(_IDS, (number, most))]

    def before(self, number: int, own: bytes) -> int:
        """How many checkpoints of the root namespace of a thread have a smaller id."""
        with self._room():
            ((count,),) = self._database.execute(_BEFORE, (number, own))
        return int(count)

    def _row(self, row: tuple[Any, ...]) -> Row:
        kind, place, own, copy, step, source, parent, due, shape, digests, settled = row
        head = Head(step, source, parent, due)
        names = self._shapes.names(shape)
        return Row(kind, place, own, copy, head, names, digests, _unpacked(settled))

    def shapes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each list of names that a record of that kind has; the threads' own are `thread`."""
        with self._room():
            yield from self._shapes

    def count(self, kind: str, *, elsewhere: bool = False) -> int:
        """How many records there are of a kind; `elsewhere`: than in the root namespace."""
        where = " AND place != x''" if elsewhere else ""
        with self._room():
            ((count,),) = self._database.execute(
                f"SELECT count(*) FROM record WHERE kind = ?{where}",  # noqa: S608
                (kind,),
            )
        return int(count)

    def kinds(self) -> list[str]:
        """The kinds of records that are there, but threads."""
        with self._room():
            rows = self._database.execute("SELECT DISTINCT kind FROM record ORDER BY kind")
            return [kind for (kind,) in rows]

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Any other error of SQLite's is one in the SQL above, and stays a bug."""
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:
            known = isinstance(error, OSError) or error.sqlite_errorcode & 0xFF in _NO_ROOM
            if not known:
                raise
            raise FatalError(
                f"the digests cannot be kept on disk ({error}); see that there is room in "
                f"{self._directory or 'the temporary directory'}, or name another place with "
                "--spool-dir"
            ) from error


def _packed(settled: dict[str, bytes]) -> bytes | None:
    return msgspec.msgpack.encode(settled) if settled else None


def _unpacked(packed: bytes | None) -> dict[str, bytes]:
    return msgspec.msgpack.decode(packed, type=dict[str, bytes]) if packed else {}
