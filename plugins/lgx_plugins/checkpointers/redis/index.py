"""Which documents there are, by thread: on disk, so that memory holds none of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from lgx_plugins.checkpointers.redis.documents import Place
from lgx_plugins.ids import id_bytes
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Entry", "Index", "Listed", "Sum", "digest_of"]

_SCHEMA = (
    "CREATE TABLE docs (n INTEGER PRIMARY KEY, key UNIQUE, thread, part, ns, id, parent, path, "
    "task, idx, size, sum)"
)
_BY_THREAD = "CREATE INDEX by_thread ON docs (thread, part, ns, id, path, task, idx)"
_IN_ORDER = "CREATE INDEX in_order ON docs (thread, n)"
_INSERT = (
    "INSERT OR REPLACE INTO docs (key, thread, part, ns, id, parent, path, task, idx, size, sum) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ORDER = "ns, id, path, task, idx, n"
_PAGE = 500
_MODULUS = 1 << 256
_LINE = 300
"""About how many bytes a record is besides its document."""


class Entry(Struct, frozen=True):
    """A document as it was when it was last read."""

    key: bytes
    ns: str
    checkpoint_id: str
    parent: str | None
    size: int
    is_write: bool = False


class Listed(Struct, frozen=True):
    """A thread.

    Attributes:
        latest: the key of the latest checkpoint of its root namespace; None where it has none.
        size: of all its documents, about.
    """

    thread_id: str
    version: str
    latest: bytes | None
    size: int


class Index:
    """Closed by its maker. Used from one thread at a time."""

    def __init__(self) -> None:
        self._database = ScratchDatabase(_SCHEMA, cache=8 << 20)
        self._indexed = False

    def close(self) -> None:
        self._database.close()

    def put(self, documents: Iterable[tuple[bytes, bytes, Place]]) -> None:
        """Takes documents, in place of those that were there under their keys: key, text, and
        what it is of."""
        self._database.insert(
            _INSERT,
            (
                (
                    key,
                    id_bytes(place.thread_id),
                    int(place.task is not None),
                    id_bytes(place.ns),
                    id_bytes(place.checkpoint_id),
                    None if place.parent is None else id_bytes(place.parent),
                    id_bytes(place.path or ""),
                    id_bytes(place.task or ""),
                    place.idx,
                    len(text),
                    digest_of(key, text),
                )
                for key, text, place in documents
            ),
        )

    def threads(self) -> Iterator[Listed]:
        """In the order of the ids' bytes."""
        self._index()
        thread: bytes | None = None
        total, rows, size = 0, 0, 0
        for found, sum_, size_ in self._sums():
            if found != thread:
                if thread is not None:
                    yield self._listed(thread, total, rows, size)
                thread, total, rows, size = found, 0, 0, 0
            total = (total + int.from_bytes(sum_, "big")) % _MODULUS
            rows, size = rows + 1, size + size_ + _LINE
        if thread is not None:
            yield self._listed(thread, total, rows, size)

    def count(self) -> int:
        ((count,),) = self._database.rows("SELECT count(DISTINCT thread) FROM docs")
        return int(count)

    def entries(self, thread_id: str, *, writes: bool) -> Iterator[list[Entry]]:
        """Documents of a thread in their order, some at a time."""
        self._index()
        after: Sequence[Any] | None = None
        where = "WHERE thread = ? AND part = ?"
        thread = (id_bytes(thread_id), int(writes))
        while True:
            rows = self._database.rows(
                f"SELECT {_ORDER}, key, parent, size FROM docs {where} "
                + ("" if after is None else f"AND ({_ORDER}) > (?, ?, ?, ?, ?, ?) ")
                + f"ORDER BY {_ORDER} LIMIT {_PAGE}",
                (*thread, *(after or ())),
            )
            if not rows:
                return
            yield [
                Entry(key, _text(ns), _text(id_), None if up is None else _text(up), size, writes)
                for ns, id_, *_, key, up, size in rows
            ]
            after = rows[-1][:6]

    def at(self, thread_id: str, ns: str, checkpoint_id: str) -> Entry | None:
        """A checkpoint."""
        row = self._database.row(
            "SELECT key, parent, size FROM docs "
            "WHERE thread = ? AND part = 0 AND ns = ? AND id = ?",
            (id_bytes(thread_id), id_bytes(ns), id_bytes(checkpoint_id)),
        )
        if row is None:
            return None
        key, parent, size = row
        return Entry(key, ns, checkpoint_id, None if parent is None else _text(parent), size)

    def _index(self) -> None:
        if not self._indexed:
            self._database.execute(_BY_THREAD)
            self._database.execute(_IN_ORDER)
            self._indexed = True

    def _sums(self) -> Iterator[tuple[bytes, bytes, int]]:
        thread, number = b"", -1
        while True:
            rows = self._database.rows(
                "SELECT thread, n, sum, size FROM docs INDEXED BY in_order "
                f"WHERE (thread, n) > (?, ?) ORDER BY thread, n LIMIT {_PAGE}",
                (thread, number),
            )
            if not rows:
                return
            for thread, _, sum_, size in rows:
                yield thread, sum_, size
            thread, number = rows[-1][:2]

    def _listed(self, thread: bytes, total: int, rows: int, size: int) -> Listed:
        row = self._database.row(
            "SELECT key FROM docs WHERE thread = ? AND part = 0 AND ns = ? "
            "ORDER BY id DESC LIMIT 1",
            (thread, b""),
        )
        return Listed(_text(thread), f"{rows}-{total:064x}", row[0] if row else None, size)


class Sum:
    """The version of a thread, of documents in any order."""

    def __init__(self) -> None:
        self._sum = 0
        self.rows = 0

    def add(self, key: bytes, text: bytes) -> None:
        self._sum = (self._sum + int.from_bytes(digest_of(key, text), "big")) % _MODULUS
        self.rows += 1

    def text(self) -> str:
        return f"{self.rows}-{self._sum:064x}"


def digest_of(key: bytes, text: bytes) -> bytes:
    """Of one document with its key."""
    digest = hashlib.sha256(b"%d:" % len(key))
    digest.update(key)
    digest.update(text)
    return digest.digest()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
