"""Counterparts: which thread of the other side is compared with a thread.

It is the one with the same id, if there is one. A server has a thread under another id where its
own is no UUID, or where a thread of another source had it already (`--merge`): then the label of
the copy tells what it was made of.
"""

from __future__ import annotations

from collections.abc import Sequence

from lgx.verification.entries import Entry
from lgx.verification.ledger import Ledger

__all__ = ["Counterparts"]


class Counterparts:
    """Between the two sides of a verification."""

    def __init__(self, ledgers: Sequence[Ledger], identities: Sequence[str]) -> None:
        """Of source and sink; `identities` as labels name them."""
        self._ledgers = ledgers
        self._identities = identities

    def apart(self, left: Entry, right: Entry) -> bool:
        """Whether two threads have the same id by chance: the copy of the one stands under
        another, and what has its id there did not come from it."""
        return self._elsewhere(0, left, right) or self._elsewhere(1, right, left)

    def other(self, number: int, entry: Entry) -> Entry | None:
        """The thread under another id that was made of this one, or of which this was made;
        neither has a counterpart of its own id."""
        found = self._candidate(number, entry)
        if found is None:
            return None
        same = self._ledgers[number].named(found.id)
        if same is not None and not self.apart(*((same, found) if number == 0 else (found, same))):
            return None
        back = self._candidate(1 - number, found)
        return found if back is not None and back.id == entry.id else None

    def doubtful(self) -> bool:
        """Whether the copies of threads that were looked for by their ids in the sink may stand
        there under others."""
        source, sink = self._ledgers
        identity = self._identities[0]
        rebuilt = sink.rebuilt_from(identity)
        for entry in source.entries():
            same = sink.named(entry.id) or self._candidate(0, entry)
            if same is None or same.mark is None:
                if rebuilt:
                    return True
            elif same.source != identity and same.mark != entry.mark:
                return True
        return False

    def _elsewhere(self, number: int, entry: Entry, same: Entry) -> bool:
        """Whether the other side has a copy of a thread that is not the one of its id there."""
        identity = self._identities[number]
        if same.source == identity:
            return False
        copy = self._ledgers[1 - number].made_of(entry.id, identity)
        return copy is not None and copy.source == identity and copy.id != same.id

    def _candidate(self, number: int, entry: Entry) -> Entry | None:
        other = self._ledgers[1 - number]
        found = other.made_of(entry.id, self._identities[number])
        if found is None and entry.origin is not None:
            found = other.named(entry.origin)
        return found
