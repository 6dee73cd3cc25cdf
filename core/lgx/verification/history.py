"""A history: the root checkpoints of a thread on one side, as they are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lgx.verification.entries import Row
from lgx.verification.ledger import Ledger

__all__ = ["History"]

_KEPT = 10_000  # numbers that stay in memory; a parent is seldom far away


class History:
    """The oldest first, by number from 1. Iterated over once.

    Attributes:
        last: the one that came last.
        passed: records that are none of them, by what they are.
    """

    def __init__(self, ledger: Ledger, thread: int, rows: Iterator[Row]) -> None:
        """`rows`: all of the thread's records, as the ledger orders them."""
        self.last: Row | None = None
        self.passed: Counter[str] = Counter()
        self._ledger = ledger
        self._thread = thread
        self._rows = rows
        self._numbers: dict[bytes, int] = {}
        self._count = 0
        self._left_out = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            if row.kind != "checkpoint" or row.place:
                what = "checkpoints of subgraphs" if row.place else f"{row.kind} records"
                self.passed[what] += 1
                continue
            self.last = row
            self._count += 1
            if row.copy == 0:
                self._keep(row.id, self._count)
            yield row

    def leave_out(self) -> None:
        """Counts as if what came first, and was the only one so far, were not there."""
        self._count, self._left_out = 0, 1
        self._numbers.clear()

    def parent(self, row: Row) -> int | None:
        """The number of the one that it was made of; None where that did not come before it."""
        own = row.head.parent
        if own is None or own >= row.id:
            return None
        number = self._numbers.get(own)
        if number is None and self.state(own) is not None:
            number = self._ledger.before(self._thread, own) + 1 - self._left_out
            self._keep(own, number)
        return number or None

    def base(self) -> Row | None:
        """What the last one was made of, where that is not the one before it."""
        own = None if self.last is None else self.last.head.parent
        if self.last is None or own is None or self.parent(self.last) == self._count - 1:
            return None
        return self.state(own)

    def state(self, own: bytes) -> Row | None:
        """The checkpoint of that id."""
        return self._ledger.state(self._thread, own)

    def _keep(self, own: bytes, number: int) -> None:
        if len(self._numbers) >= _KEPT:
            self._numbers.clear()
        self._numbers[own] = number
