"""Step numbers of a rebuilt thread: servers count them by one from the beginning.

What the original leaves out they have not, nor what came before its first checkpoint: from
there on the two differ, each branch for itself.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from lgx.verification.entries import Row
from lgx.verification.history import History

__all__ = ["Numbering"]

_WRONG = 1 << 62  # in place of an offset: what follows from it is as wrong
_FARTHEST = 1 << 53


class Numbering:
    """Fed with all pairs in their order. What it keeps are the places where the offset between
    the two changes."""

    def __init__(self, original: History) -> None:
        self._original = original
        self._before: Row | None = None
        self._places = array("q")
        self._offsets = array("q")

    def excuses(self, number: int, original: Row, copy: Row) -> bool | None:
        """Whether a number that differs could be no other; None where it does not differ."""
        before, self._before = self._before, original
        step, other = _step(original), _step(copy)
        if original.head.step == copy.head.step:
            self._note(number, 0)
            return None
        if step is None or other is None:
            self._note(number, _WRONG)
            return False
        offset = step - other
        told = self._follows(original, step, offset, before)
        self._note(number, offset if told else _WRONG)
        return told

    def _follows(self, row: Row, step: int, offset: int, before: Row | None) -> bool:
        """Whether it is off by as much as what it was made of, or the original counts otherwise
        from there."""
        parent = row.head.parent
        if parent is None or parent >= row.id:
            return True
        base = before if before is not None and before.id == parent else None
        base = base or self._original.state(parent)
        if base is None:
            return True
        if step - 1 == _step(base):
            return self._offset(row) == offset
        if row.head.source == "fork":  # it stands beside what it was copied from
            return offset in self._offsets
        return self._offset(row) != _WRONG

    def _offset(self, row: Row) -> int:
        """That of its parent."""
        number = self._original.parent(row) or 0
        at = bisect_right(self._places, number) - 1
        return self._offsets[at] if at >= 0 else 0

    def _note(self, number: int, offset: int) -> None:
        if offset != (self._offsets[-1] if self._offsets else 0):
            self._places.append(number)
            self._offsets.append(offset)


def _step(row: Row) -> int | None:
    try:
        found = None if row.head.step is None else int(row.head.step)
    except ValueError:
        return None
    return None if found is None or abs(found) > _FARTHEST else found
