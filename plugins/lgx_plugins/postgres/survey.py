"""Looking through threads before they are written: what is new, what stays, what goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from lgx import Bundle, Loss, split_object
from lgx_plugins.postgres.rows import PARTS, digest_of, table_of
from lgx_plugins.tables import THREADS, Table

__all__ = ["Held", "Placed", "survey"]

_SMALL = 1 << 20


class Held:
    """The rows of one table that stand of some threads, found by thread and digest."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, bytes | None], list[tuple[int, int]]] = {}

    def add(self, thread: int, row: int, position: int, digest: bytes | None) -> None:
        """A row; without a digest it is never found again."""
        self._rows.setdefault((thread, digest), []).append((row, position))

    def take(self, thread: int, digest: bytes) -> tuple[int, int] | None:
        """Id and position of a row with this digest, the first of equal ones; each once."""
        rows = self._rows.get((thread, digest))
        return rows.pop(0) if rows else None

    def rest(self) -> Iterator[tuple[int, int]]:
        """Thread and id of the rows that nobody took."""
        for (thread, _), rows in self._rows.items():
            for row, _ in rows:
                yield thread, row


class Placed:
    """A thread with its row's id, and what a look through it has found.

    Attributes, by the name of a table:
        fresh: how many rows are to be written.
        stale: ids of rows to be removed.
        moved: rows that only change their position: ids, and where to.
    """

    def __init__(self, bundle: Bundle, row: int, *, new: bool) -> None:
        self.bundle = bundle
        self.row = row
        self.new = new
        self.owner = msgspec.json.encode(bundle.thread_id)
        self.fresh: dict[str, int] = {}
        self.stale: dict[str, list[int]] = {}
        self.moved: dict[str, list[tuple[int, int]]] = {}
        self._kept: dict[str, set[int]] = {}  # positions that are not to be written
        self._doubled: dict[str, int] = {}
        self._head: bytes | None = None
        self._has_large_head = False

    def look(self, held: Mapping[str, Held] | None, keys: Mapping[str, Table]) -> None:
        """Reads through the bundle once.

        Args:
            held: what stands of it; None for a thread that is new.
            keys: the tables in which the last of several rows with one key is to stand.
        """
        positions = {table.name: 0 for table in PARTS}
        last: dict[tuple[str, ...], int] = {}
        for line in self.bundle.lines():
            table = table_of(line)
            if table is THREADS:
                self._has_large_head = len(line) > _SMALL
                self._head = None if self._has_large_head else line
                continue
            name = table.name
            position = positions[name]
            positions[name] = position + 1
            if held is not None and (kept := held[name].take(self.row, digest_of(line))):
                self._kept.setdefault(name, set()).add(position)
                if kept[1] != position:
                    self.moved.setdefault(name, []).append((kept[0], position))
            if name in keys:
                fields = split_object(line)
                key = name, *(msgspec.json.decode(fields[part]) for part in table.key)
                if key in last:
                    self._kept.setdefault(name, set()).add(last[key])
                    self._doubled[name] = self._doubled.get(name, 0) + 1
                last[key] = position
        for name, count in positions.items():
            self.fresh[name] = count - len(self._kept.get(name, ()))

    def head(self) -> bytes | None:
        """The line of the thread's own record, if it has one."""
        if self._has_large_head:  # read again rather than held
            for line in self.bundle.lines():
                if table_of(line) is THREADS:
                    return line
        return self._head

    def lines(self, table: Table) -> Iterator[tuple[int, bytes]]:
        """The lines that are to be written to a table, each with its position."""
        left = self.fresh[table.name]
        kept = self._kept.get(table.name, ())
        position = -1
        for line in self.bundle.lines():
            if table_of(line) is not table:
                continue
            position += 1
            if position in kept:
                continue
            yield position, line
            left -= 1
            if not left:
                return

    def losses(self) -> Iterator[Loss]:
        """What came twice under one identity: the last stands, the others are listed."""
        for name, missing in self._doubled.items():
            yield Loss(
                what=f"{missing} doubled {name}",
                why="they came under an identity that another one of the thread has; "
                "the last of each stands",
                checkpoints=missing if name == "checkpoints" else 0,
                holdable=False,
            )


def survey(placed: Sequence[Placed], held: Mapping[str, Held], strictly: bool) -> None:
    """Looks through all of them; see `Placed`. For a worker thread."""
    keys = {table.name: table for table in PARTS if table.key} if strictly else {}
    for item in placed:
        item.look(None if item.new else held, keys)
    by_row = {item.row: item for item in placed}
    for name, rows in held.items():
        for thread, row in rows.rest():
            by_row[thread].stale.setdefault(name, []).append(row)
