"""A thread that a server rebuilt: new ids and times, the same history.

Compared are the checkpoints of the root namespace, in the order of the history (which is that
of their ids, on both sides): values, next, step, which one each was made of, and source, where
`loop` has become `update`. What no server can be given is excused, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import TypeAlias

import msgspec
from msgspec import Struct

from lgx.verification.excuses import Excuses
from lgx.verification.findings import Findings, First, say_fields, say_record, text_of
from lgx.verification.fingerprint import SIZE, shown
from lgx.verification.ledger import Entry, Row
from lgx.verification.own import compare_own, digests_of
from lgx.verification.scope import Scope

__all__ = ["compare_rebuilt"]

Lookup: TypeAlias = Callable[[bytes], Row | None]

_SIDES = ("source", "sink")
_ANCESTORS = 4  # inputs upon inputs, each of which dropped what was due
_names = msgspec.json.Decoder(list[str])


def compare_rebuilt(
    scope: Scope,
    entries: tuple[Entry, Entry],
    rows: tuple[Iterator[Row], Iterator[Row]],
    lookups: tuple[Lookup, Lookup],
    findings: Findings,
    excused: Excuses,
) -> None:
    """
    Args:
        lookups: give a checkpoint of the root namespace by its id.
        excused: is added to: what differs and could not be otherwise, by its name.
    """
    # Of two that were rebuilt the source's is the one that the other can have been made of.
    first = 1 if entries[0].mark is not None and entries[1].mark is None else 0
    comparison = _Comparison(scope, first, lookups[first], findings, excused)
    lasts = comparison.run(rows)
    fields = compare_own(scope, entries, first, lasts, excused)
    if fields:
        findings.found(First(words=f"the thread's {say_fields(fields)}", fields=fields))


class _History:
    """The root checkpoints of one side, the oldest first, by number from 1."""

    def __init__(self, rows: Iterator[Row], passed: Counter[str]) -> None:
        self.last: Row | None = None
        self._rows = rows
        self._passed = passed
        self._numbers: dict[int, int] = {}  # by a hash of the id, a fraction of it in size

    def __iter__(self) -> Iterator[Row]:
        number = 0
        for row in self._rows:
            if row.kind != "checkpoint" or row.place:
                self._passed[
                    "checkpoints of subgraphs" if row.place else f"{row.kind} records"
                ] += 1
                continue
            self.last = row
            number += 1
            self._numbers.setdefault(hash(row.id), number)
            yield row

    def parent(self, row: Row) -> int | None:
        """The number of the one that it was made of; None where that did not come."""
        return None if row.head.parent is None else self._numbers.get(hash(row.head.parent))


class _Doubt(Struct, frozen=True):
    """A checkpoint of which a later one tells whether its `next` is excused."""

    number: int
    row: Row
    fields: tuple[str, ...]


class _Comparison:
    def __init__(
        self,
        scope: Scope,
        first: int,
        lookup: Lookup,
        findings: Findings,
        excused: Excuses,
    ) -> None:
        """
        Args:
            first: the side that has the original.
            lookup: into that side.
        """
        self._scope = scope
        self._first = first
        self._lookup = lookup
        self._findings = findings
        self._excused = excused
        self._knows = {
            name: scope.knows("checkpoint", name)
            for name in ("metadata", "next", "parent_checkpoint_id")
        }
        self._offset = 0
        self._doubts: dict[bytes, _Doubt] = {}
        self._found: tuple[int, First] | None = None

    def run(self, rows: tuple[Iterator[Row], Iterator[Row]]) -> tuple[Row | None, Row | None]:
        """Compares all; returns the newest of each side."""
        passed: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        sides = _History(rows[0], passed[0]), _History(rows[1], passed[1])
        for number, pair in enumerate(zip_longest(*sides), 1):
            left, right = pair
            if pair[self._first] is not None:
                self._went_on(pair[self._first])
            if left is None or right is None:
                self._alone(left, right, number)
            else:
                self._compare(sides, (left, right), number)
        for doubt in self._doubts.values():
            self._differs(doubt.number, doubt.row, doubt.fields)
        if self._found is not None:
            self._findings.found(self._found[1])
        self._excused.update(passed[0] | passed[1])
        return sides[0].last, sides[1].last

    def _alone(self, left: Row | None, right: Row | None, number: int) -> None:
        row = left or right
        assert row is not None
        if right is None:
            self._findings.checkpoints.missing += 1
        else:
            self._findings.checkpoints.additional += 1
        words = f"{say_record(row, number)} is missing in the {_SIDES[right is None]}"
        self._note(number, First(words=words, namespace="", checkpoint_id=text_of(row.id)))

    def _compare(
        self, sides: tuple[_History, _History], pair: tuple[Row, Row], number: int
    ) -> None:
        original, copy = pair[self._first], pair[1 - self._first]
        fields = self._metadata(original, copy, number, sides[self._first])
        fields += self._parent(original, copy, sides)
        channels, names = self._values(original, copy), self._next(original, copy)
        if channels or names:
            channels, names = self._dropped(original, copy, channels, names)
        if not channels and _moved(original, copy):
            self._excused["places of usage_metadata and the like"] += 1
        found = tuple(sorted({*(shown(name) for name in channels), *names, *fields}))
        if "next" in found and original.head.ended:
            self._doubts[original.id] = _Doubt(number, pair[0], found)
        elif found:
            self._differs(number, pair[0], found)
        else:
            self._findings.checkpoints.equal += 1

    # -- fields -----------------------------------------------------------------------

    def _metadata(self, original: Row, copy: Row, number: int, side: _History) -> list[str]:
        if not self._knows["metadata"]:
            return []
        step, other = original.head.step, copy.head.step
        if number == 1 and original.head.parent is not None and side.parent(original) is None:
            self._offset = _number(step) - _number(other)
        found = []
        if step != other:
            if self._offset and _number(step) - _number(other) == self._offset:
                self._excused["steps of histories that begin in the middle"] += 1
            else:
                found.append("metadata.step")
        if _source(original) != _source(copy):
            found.append("metadata.source")
        return found

    def _parent(self, original: Row, copy: Row, sides: tuple[_History, _History]) -> list[str]:
        if not self._knows["parent_checkpoint_id"]:
            return []
        wanted = sides[self._first].parent(original)
        if wanted == sides[1 - self._first].parent(copy):
            return []
        if original.head.source == "fork":
            self._excused["parents of copies"] += 1
        elif wanted is None:
            self._excused["parents of checkpoints whose own did not come"] += 1
        else:
            return ["parent_checkpoint_id"]
        return []

    def _values(self, original: Row, copy: Row) -> list[str]:
        """The names of the channels that differ."""
        one, other = (digests_of(self._scope, "checkpoint", r, "values") for r in (original, copy))
        return sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))

    def _next(self, original: Row, copy: Row) -> list[str]:
        if not self._knows["next"] or original.head.due == copy.head.due:
            return []
        return ["next"]

    # -- excuses ----------------------------------------------------------------------

    def _dropped(
        self, original: Row, copy: Row, channels: list[str], names: list[str]
    ) -> tuple[list[str], list[str]]:
        """What differs without what an input of a run drops, and an update as input does not:
        tasks that were due before it, and channels that live for one step."""
        extra = _due(copy) - _due(original)
        if names and (not extra or _due(original) - _due(copy)):
            return channels, names
        there = digests_of(self._scope, "checkpoint", copy, "values")
        row = original
        for _ in range(_ANCESTORS):
            if row.head.source not in ("input", "fork") or row.head.parent is None:
                break
            before = self._lookup(row.head.parent)
            if before is None:
                break
            row = before
            due = _due(row)
            if not due:
                continue
            kept = digests_of(self._scope, "checkpoint", row, "values")
            left = [k for k in channels if k not in there or there[k] != kept.get(k)]
            still = names if extra - due else []
            if (left, still) != (channels, names):
                self._excused["what was due before an input"] += 1
                return left, still
        return channels, names

    def _went_on(self, row: Row) -> None:
        """Servers know nothing of steps that wait for several others: where they say that
        nothing comes next, and something did, any other `next` is as true."""
        if row.head.source != "loop" or row.head.parent not in self._doubts:
            return
        doubt = self._doubts.pop(row.head.parent)
        self._excused["next of steps that wait for several others"] += 1
        fields = tuple(field for field in doubt.fields if field != "next")
        if fields:
            self._differs(doubt.number, doubt.row, fields)
        else:
            self._findings.checkpoints.equal += 1

    # -- what is said -----------------------------------------------------------------

    def _differs(self, number: int, row: Row, fields: tuple[str, ...]) -> None:
        self._findings.checkpoints.different += 1
        words = f"{say_record(row, number)}: {say_fields(fields)}"
        first = First(words=words, namespace="", checkpoint_id=text_of(row.id), fields=fields)
        self._note(number, first)

    def _note(self, number: int, first: First) -> None:
        if self._found is None or number < self._found[0]:
            self._found = number, first


def _moved(left: Row, right: Row) -> bool:
    """Whether something stands elsewhere in messages that else are the same."""
    if not (left.settled and right.settled):
        return False
    return _as_they_stand(left) != _as_they_stand(right)


def _as_they_stand(row: Row) -> dict[str, bytes]:
    """The digests of the channels in which servers move something."""
    return {
        name: row.digests[at * SIZE : (at + 1) * SIZE]
        for at, name in enumerate(row.names)
        if name in row.settled
    }


def _source(row: Row) -> str | None:
    return "update" if row.head.source == "loop" else row.head.source


def _number(step: bytes | None) -> int:
    try:
        return 0 if step is None else int(step)
    except ValueError:
        return 0


def _due(row: Row) -> Counter[str]:
    try:
        return Counter() if row.head.due is None else Counter(_names.decode(row.head.due))
    except msgspec.MsgspecError:
        return Counter()
