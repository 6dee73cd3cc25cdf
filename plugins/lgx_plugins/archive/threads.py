"""All threads of an archive, made searchable: a private database that has no name on disk.

Built from the parts' indexes each time an archive is opened; it is no part of the archive.
Memory stays bounded whatever the number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import Json, Loss, Mark
from lgx_plugins.archive.index import Entry, IndexHead
from lgx_plugins.ids import id_bytes
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Place", "Summary", "ThreadTable"]

_PAGE = 1000
_CREATE = """
CREATE TABLE entry (
  id BLOB, batch INT, piece INT, part INT, frame_offset INT, frame_size INT, frame_bytes INT,
  start INT, bytes INT, records INT, sha256 TEXT, version TEXT, fingerprint TEXT,
  checkpoints INT, deleted INT, outcome TEXT, losses BLOB, updated_at TEXT, status TEXT,
  metadata BLOB, metadata_left_out INT
)"""
_INSERT = f"INSERT INTO entry VALUES ({','.join('?' * 21)})"  # noqa: S608 -- question marks only
_SUMMARY = """
SELECT id, batch, piece, sha256, bytes, deleted, outcome, updated_at, status,
       metadata, metadata_left_out, part, max(batch * 4294967296 + piece)
FROM entry WHERE """
_PLACES = """
SELECT part, frame_offset, frame_size, frame_bytes, start, bytes, records, sha256, outcome,
       losses
FROM entry WHERE id = ?1 AND batch = (SELECT max(batch) FROM entry WHERE id = ?1) AND NOT deleted
ORDER BY piece"""
_MARK = """
SELECT version, fingerprint, checkpoints FROM entry WHERE id = ? ORDER BY batch DESC, piece DESC
LIMIT 1"""

_PARTIAL = """
SELECT sha256, losses, version, deleted FROM entry WHERE id = ? ORDER BY batch DESC, piece DESC
LIMIT 1"""

_COUNT = """
SELECT count(*), count(version) FROM (
  SELECT version, deleted, max(batch * 4294967296 + piece) FROM entry GROUP BY id
) WHERE NOT deleted"""

_losses = msgspec.json.Decoder(tuple[Loss, ...])


class Summary(Struct, frozen=True):
    """The newest version of a thread, as far as listing needs it."""

    thread_id: str
    sha256: str
    bytes: int
    part: int
    updated_at: str | None
    status: str | None
    metadata: Json
    metadata_left_out: bool


class Place(Struct, frozen=True):
    """Where a piece of a thread stands: the part's number, its frame, and bytes in that."""

    part: int
    frame_offset: int
    frame_size: int
    frame_bytes: int
    start: int
    bytes: int
    records: int
    sha256: str
    outcome: str
    losses: tuple[Loss, ...]


class ThreadTable:
    """Entries of many indexes. Used from any thread, by one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = ScratchDatabase(_CREATE, cache=8 << 20)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def add(
        self,
        number: int,
        batch: int,
        head: IndexHead,
        entries: Iterable[Entry],
        *,
        marks_only: bool = False,
    ) -> None:
        """Takes the entries of one part in; later batches hide earlier ones.

        Args:
            number: by which `Place` will name the part.
            marks_only: leave out what only reading needs; `mark`, `partial` and `count`
                do without.
        """
        with self._lock:
            self._database.insert(_INSERT, _rows(number, batch, head, entries, marks_only))

    def build(self) -> None:
        """Sorts; called once, after the indexes that were there at the opening."""
        with self._lock:
            self._database.execute("CREATE INDEX by_id ON entry (id, batch, piece)")

    def mark(self, thread_id: str) -> Mark | None:
        """The mark of a thread that stands here whole."""
        with self._lock:
            row = self._database.row(_MARK, (id_bytes(thread_id),))
        if row is None or row[0] is None:
            return None
        return Mark(version=row[0], fingerprint=row[1], checkpoints=row[2])

    def partial(self, thread_id: str) -> tuple[str, tuple[Loss, ...]] | None:
        """Digest and losses of a thread whose newest version is a partial one."""
        with self._lock:
            row = self._database.row(_PARTIAL, (id_bytes(thread_id),))
        if row is None or row[2] is not None or row[3]:
            return None
        return row[0], _decode(row[1])

    def holds(self, thread_id: str) -> bool:
        """Whether a thread stands here, with or without mark."""
        return self.find(thread_id) is not None

    def find(self, thread_id: str) -> Summary | None:
        """The newest version of a thread, None where it is unknown or deleted."""
        with self._lock:
            row = self._database.row(f"{_SUMMARY} id = ? GROUP BY id", (id_bytes(thread_id),))
        return self._summary(row) if row else None

    def count(self) -> tuple[int, int]:
        """How many threads stand here, and how many of them whole."""
        with self._lock:
            ((threads, whole),) = self._database.rows(_COUNT, ())
        return threads, whole

    def summaries(self) -> Iterator[list[Summary]]:
        """The newest versions of all threads, page by page, by the bytes of their ids."""
        after: bytes | None = None
        while True:
            where = "true" if after is None else "id > ?"
            with self._lock:
                rows = self._database.rows(
                    f"{_SUMMARY} {where} GROUP BY id ORDER BY id LIMIT {_PAGE}",
                    () if after is None else (after,),
                )
            if not rows:
                return
            after = rows[-1][0]
            yield [summary for row in rows if (summary := self._summary(row)) is not None]

    def places(self, thread_id: str) -> list[Place]:
        """The pieces of a thread's newest version, in order; none where it is not held."""
        with self._lock:
            rows = self._database.rows(_PLACES, (id_bytes(thread_id),))
        return [msgspec.structs.replace(Place(*row), losses=_decode(row[-1])) for row in rows]

    def locate(self, thread_ids: Sequence[str]) -> list[tuple[str, list[Place]]]:
        """Threads and their pieces, in the order of the parts."""
        found = [(thread_id, self.places(thread_id)) for thread_id in thread_ids]
        return sorted(found, key=lambda item: _position(item[1]))

    def _summary(self, row: tuple[Any, ...]) -> Summary | None:
        key, batch, piece, sha256, size, deleted = row[:6]
        if deleted:
            return None
        if piece:
            with self._lock:
                ((size,),) = self._database.rows(
                    "SELECT sum(bytes) FROM entry WHERE id = ? AND batch = ?", (key, batch)
                )
        return Summary(
            thread_id=key.decode("utf-8", "surrogatepass"),
            sha256=sha256,
            bytes=size,
            part=row[11],
            updated_at=row[7],
            status=row[8],
            metadata=UNSET if row[9] is None else Raw(row[9]),
            metadata_left_out=bool(row[10]),
        )


def _position(places: Sequence[Place]) -> tuple[int, int, int]:
    if not places:
        return (-1, 0, 0)
    first = places[0]
    return (first.part, first.frame_offset, first.start)


def _decode(losses: bytes | None) -> tuple[Loss, ...]:
    return _losses.decode(losses) if losses else ()


def _rows(
    number: int, batch: int, head: IndexHead, entries: Iterable[Entry], marks_only: bool
) -> Iterator[tuple[object, ...]]:
    for entry in entries:
        version, fingerprint = entry.mark or (None, None)
        key = (id_bytes(entry.thread_id), batch, entry.piece, number)
        mark = (version, fingerprint, entry.checkpoints, entry.deleted)
        losses = msgspec.json.encode(entry.losses) if entry.losses else None
        if marks_only:
            # What a partial thread is known again by; a whole one is by its mark.
            known = (entry.sha256, losses) if version is None else (None, None)
            yield (*key, *(None,) * 6, known[0], *mark, None, known[1], *(None,) * 4)
            continue
        frame = head.frames[entry.frame]
        yield (
            *key,
            frame.offset,
            frame.size,
            frame.bytes,
            entry.offset,
            entry.bytes,
            entry.records,
            entry.sha256,
            *mark,
            entry.outcome,
            losses,
            entry.updated_at,
            entry.status,
            None if isinstance(entry.metadata, UnsetType) else bytes(entry.metadata),
            entry.metadata_left_out,
        )
