"""The checkpoints of one thread as they come from a list, on disk, until the list has ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from lgx import LgxError, Record, decode_line, encode_line
from lgx_plugins.checkpointers.rows.ordering import Deferred
from lgx_plugins.checkpointers.saver.tuples import Listed, Unplaced, listed, place_of
from lgx_plugins.checkpointers.saver.watching import DAMAGED
from lgx_plugins.ids import id_bytes
from lgx_plugins.losses import Losses
from lgx_plugins.scratch import Scratch, ScratchDatabase

__all__ = ["Gathered", "Key", "version_of"]

Key: TypeAlias = tuple[bytes, bytes]
"""Namespace and id of a checkpoint, as bytes."""

_SCHEMA = "CREATE TABLE rows (ns, id, parent, chain, digest, PRIMARY KEY (ns, id)) WITHOUT ROWID"
_AFTER = "SELECT {} FROM rows WHERE (ns, id) > (?, ?) ORDER BY ns, id LIMIT 200"
_PARENTS = """
SELECT DISTINCT c.ns, c.parent FROM rows AS c WHERE c.parent IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM rows AS p WHERE p.ns = c.ns AND p.id = c.parent)
"""


class Gathered:
    """Taken in any order, given parents first; of several with one id the first counts. Closed
    by its maker.

    Attributes:
        losses: what could not be had of the thread.
        size: about how many bytes the records are.
    """

    def __init__(
        self, thread_id: str, serde: Any, missed: Callable[[], Iterable[str]] = tuple
    ) -> None:
        """`missed` gives the classes that could not be loaded since it was asked last."""
        self.thread_id = thread_id
        self.losses = Losses(thread_id)
        self.count = 0
        self.size = 0
        self._serde = serde
        self._missed = missed
        self._pieces = Scratch()
        self._rows = ScratchDatabase(_SCHEMA)

    def take(self, item: Any) -> None:
        """One that the checkpointer gave; of another thread, as some give, it is passed over."""
        missed = self._missed()
        try:
            place = place_of(item)
        except Unplaced as error:
            self.losses.add("a checkpoint", str(error), 1)
            return
        if place.thread_id != self.thread_id:
            return
        what = f"checkpoint {place.checkpoint_id!r} of namespace {place.ns!r}"
        for name in missed:
            if name == DAMAGED:
                self.losses.add(
                    f"an object in {what}",
                    "its bytes are damaged, and the checkpointer's serializer gives something else "
                    "in its place; restore it from elsewhere",
                )
                continue
            self.losses.add(
                f"objects of {name} in {what}",
                "the checkpointer's serializer cannot load their class here, and gives what is "
                "stored of them instead; install it beside lgx, or allow it there",
            )
        try:
            found = listed(item, place, self._serde)
        except LgxError:
            raise
        except Exception as error:
            words = " ".join(str(error).split())[:200]
            why = f"its serializer cannot write it ({type(error).__name__}: {words})"
            self.losses.add(what, why, 1)
            return
        if self._keep(found):
            for part, why in found.losses:
                self.losses.add(f"{part} of {what}", why)

    def _keep(self, found: Listed) -> bool:
        record = found.checkpoint
        key = (id_bytes(record.checkpoint_ns), id_bytes(record.checkpoint_id))
        if self.has(key):
            return False
        chain = 0
        for one in (record, *found.writes):
            line = encode_line(one)
            self.size += len(line) + 1
            chain = self._pieces.append(line, chain)
        parent = record.parent_checkpoint_id
        self._rows.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?)",
            (*key, None if parent is None else id_bytes(parent), chain, found.digest),
        )
        self.count += 1
        return True

    def has(self, key: Key) -> bool:
        return self._rows.row("SELECT 1 FROM rows WHERE ns = ? AND id = ?", key) is not None

    def absent_parents(self) -> list[Key]:
        """Of those that were taken, the parents that were not."""
        return [(ns, parent) for ns, parent in self._rows.rows(_PARENTS)]

    def version(self) -> str:
        """Differs wherever a key or a byte does."""
        return version_of(self._all("ns, id, digest"))

    def records(self) -> Iterator[Record]:
        """The checkpoints, parents first; then the writes."""
        deferred = Deferred()
        try:
            for ns, key, parent, chain in self._all("ns, id, parent, chain"):
                names = (_text(ns), _text(key), None if parent is None else _text(parent))
                if not deferred.defers(*names):
                    yield self._piece(self._pieces.pieces(chain)[0])
            for name, checkpoint_id in deferred.places():
                row = self._rows.row(
                    "SELECT chain FROM rows WHERE ns = ? AND id = ?",
                    (id_bytes(name), id_bytes(checkpoint_id)),
                )
                assert row is not None, "what waits was taken"
                yield self._piece(self._pieces.pieces(row[0])[0])
        finally:
            deferred.close()
        for _, _, chain in self._all("ns, id, chain"):
            for piece in self._pieces.pieces(chain)[1:]:
                yield self._piece(piece)

    def _piece(self, chain: int) -> Record:
        return decode_line(self._pieces.last(chain))

    def _all(self, columns: str) -> Iterator[tuple[Any, ...]]:
        """`columns` begin with the key."""
        after: tuple[Any, ...] = (b"", b"")
        sql = _AFTER.format(columns)
        rows = self._rows.rows(f"SELECT {columns} FROM rows ORDER BY ns, id LIMIT 200")
        while rows:
            yield from rows
            after = rows[-1][:2]
            rows = self._rows.rows(sql, after)

    def close(self) -> None:
        """May be called again."""
        self._pieces.close()
        self._rows.close()


def version_of(rows: Iterable[tuple[bytes, bytes, bytes]]) -> str:
    """Of namespaces, ids and digests, in the order of their bytes."""
    state = hashlib.blake2b(digest_size=16)
    count = 0
    for cells in rows:
        count += 1
        for cell in cells:
            state.update(b"%d:" % len(cell))
            state.update(cell)
    return f"{count}-{state.hexdigest()}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
