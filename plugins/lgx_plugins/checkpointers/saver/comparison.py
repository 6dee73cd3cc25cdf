"""Two sides of one thread, object by object: what comes, and what the checkpointer gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from lgx import LgxError, ThreadError
from lgx_plugins.checkpointers.rows.digests import Cell, RowDigest
from lgx_plugins.checkpointers.saver.gathering import Key
from lgx_plugins.checkpointers.saver.tuples import (
    Unplaced,
    numbered,
    parent_of,
    place_of,
    settled,
    unsealed,
)
from lgx_plugins.ids import id_bytes
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Comparison", "Side"]

Side: TypeAlias = Literal["coming", "standing"]

_SCHEMA = (
    "CREATE TABLE rows (side, ns, id, part, digest, parent, "
    "PRIMARY KEY (side, ns, id, part)) WITHOUT ROWID"
)
_MISSING = """
FROM rows AS a WHERE a.side = ? AND NOT EXISTS (
    SELECT 1 FROM rows AS b WHERE b.side <> a.side AND b.ns = a.ns AND b.id = a.id
        AND b.part = a.part AND b.digest = a.digest)
"""
_PARENTS = """
SELECT DISTINCT c.ns, c.parent FROM rows AS c
    WHERE c.side = 'standing' AND c.parent IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM rows AS p WHERE p.side = 'standing' AND p.part = x'' AND p.ns = c.ns
        AND p.id = c.parent)
"""
_OPTIONAL = ("updated_channels", "pending_sends")
"""Fields of a checkpoint that mean nothing where they are empty."""


class Comparison:
    """Digests of both sides, on disk. Closed by its maker.

    A snapshot of a delta channel counts once for its version: some checkpointers find it at
    each checkpoint that has the version.
    """

    def __init__(self, thread_id: str, serde: Any) -> None:
        self._thread_id = thread_id
        self._serde = unsealed(serde)
        self._rows = ScratchDatabase(_SCHEMA)

    # -- what there is -----------------------------------------------------------------

    def take(self, item: Any) -> None:
        """One that the checkpointer gave stands there.

        Raises:
            ThreadError: it cannot be compared.
        """
        try:
            place = place_of(item)
        except Unplaced as error:
            raise ThreadError(f"the checkpointer gives a checkpoint of which {error}") from error
        if place.thread_id != self._thread_id:
            return
        key = (id_bytes(place.ns), id_bytes(place.checkpoint_id))
        self.checkpoint("standing", key, parent_of(item), item.checkpoint, item.metadata)
        for task_id, idx, channel, value, _ in numbered(item.pending_writes or ()):
            self.write("standing", key, task_id, idx, channel, value)

    def checkpoint(
        self, side: Side, key: Key, parent: str | None, checkpoint: Mapping[str, Any], metadata: Any
    ) -> None:
        digest = RowDigest()
        ids = (key[0], key[1], None if not parent else id_bytes(parent))
        digest.add("key", ids)
        digest.add("metadata", (_canonical(metadata),))
        versions = checkpoint.get("channel_versions") or {}
        for field, value in checkpoint.items():
            if field in _OPTIONAL and not value:
                continue
            if field == "channel_values":
                for channel, one in value.items():
                    cells = (channel, str(versions.get(channel)), *self._cells(one))
                    if type(one).__name__ == "_DeltaSnapshot":
                        self._add(side, (key[0], b""), repr(cells[:2]).encode(), "value", cells)
                    else:
                        digest.add("value", cells)
            else:
                digest.add("field", (field, *self._cells(_sorted(value))))
        self._keep(side, key, b"", digest, ids[2])

    def write(self, side: Side, key: Key, task_id: str, idx: int, channel: str, value: Any) -> None:
        part = b"%d " % idx + id_bytes(task_id)
        self._add(side, key, part, "write", (channel, *self._cells(value)))

    def _cells(self, value: Any) -> tuple[Cell, Cell]:
        try:
            kind, data = self._serde.dumps_typed(value)
            return kind, settled(kind, data)
        except LgxError:
            raise
        except Exception as error:
            raise ThreadError(
                f"a {type(value).__name__} cannot be compared, since the serializer cannot "
                f"write it ({type(error).__name__})"
            ) from error

    def _add(self, side: Side, key: Key, part: bytes, table: str, cells: tuple[Cell, ...]) -> None:
        digest = RowDigest()
        digest.add(table, cells)
        self._keep(side, key, part, digest)

    def _keep(
        self, side: Side, key: Key, part: bytes, digest: RowDigest, parent: bytes | None = None
    ) -> None:
        self._rows.execute(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?)",
            (side, *key, part, digest.text().encode(), parent),
        )

    def forget(self, side: Side) -> None:
        self._rows.execute("DELETE FROM rows WHERE side = ?", (side,))

    # -- what is learnt ----------------------------------------------------------------

    def holds(self, side: Side, key: Key | None = None) -> bool:
        """Whether there is that checkpoint, or any."""
        sql = "SELECT 1 FROM rows WHERE side = ? AND part = x''"
        if key is None:
            return self._rows.row(f"{sql} LIMIT 1", (side,)) is not None
        return self._rows.row(f"{sql} AND ns = ? AND id = ?", (side, *key)) is not None

    def has(self, key: Key) -> bool:
        """Whether that checkpoint stands there."""
        return self.holds("standing", key)

    def absent_parents(self) -> Sequence[Key]:
        """Of the checkpoints that stand there, the parents that were not shown."""
        return [(ns, parent) for ns, parent in self._rows.rows(_PARENTS)]

    def beyond(self, side: Side) -> int:
        """How much of one side the other does not have as it is."""
        row = self._rows.row(f"SELECT count(*) {_MISSING}", (side,))
        assert row is not None, "a count is a row"
        return int(row[0])

    def first_beyond(self, side: Side) -> str:
        """The first of that, for a sentence."""
        row = self._rows.row(f"SELECT a.ns, a.id, a.part {_MISSING} LIMIT 1", (side,))
        assert row is not None, "asked where there is none"
        ns, key, part = (cell.decode("utf-8", "replace") for cell in row)
        if not key:
            return f"a snapshot in namespace {ns!r}"
        what = f"write {part.split(' ')[0]} of " if part else ""
        return f"{what}checkpoint {key!r} of namespace {ns!r}"

    def coming(self) -> Iterator[Key]:
        """The checkpoints that come."""
        after: Key = (b"", b"")
        sql = (
            "SELECT ns, id FROM rows WHERE side = 'coming' AND part = x'' AND (ns, id) > (?, ?) "
            "ORDER BY ns, id LIMIT 200"
        )
        while rows := self._rows.rows(sql, after):
            yield from rows
            after = rows[-1][0], rows[-1][1]

    def close(self) -> None:
        """May be called again."""
        self._rows.close()


def _canonical(metadata: Any) -> str:
    return json.dumps(metadata or {}, sort_keys=True, default=repr)


def _sorted(value: Any) -> Any:
    """Maps in one order, at both their levels."""
    if not isinstance(value, dict):
        return value
    return {key: _sorted(value[key]) for key in sorted(value, key=str)}
