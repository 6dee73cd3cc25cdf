"""A thread that a server rebuilt: new ids and times, the same history.

Compared are the checkpoints of the root namespace, in the order of the history (which is that
of their ids, on both sides): values, next, step, which one each was made of, and source, where
`loop` has become `update`. What no server can be given is excused, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, zip_longest

import msgspec
from msgspec import Struct

from lgx.verification.entries import Entry, Row
from lgx.verification.excuses import EMPTY_CHANNELS, Excuses
from lgx.verification.findings import Findings, First, say_checkpoint, say_fields, text_of
from lgx.verification.fingerprint import EMPTY, SIZE, UNWRITTEN, shown
from lgx.verification.history import History
from lgx.verification.numbering import Numbering
from lgx.verification.own import compare_own, digests_of, unknown_fields
from lgx.verification.scope import Scope

__all__ = ["compare_rebuilt"]

_SIDES = ("source", "sink")
_ANCESTORS = 4  # inputs upon inputs, each of which dropped what was due
_DOUBTS = 10_000  # that wait at once
_names = msgspec.json.Decoder(list[str])


def compare_rebuilt(
    scope: Scope,
    entries: tuple[Entry, Entry],
    histories: tuple[History, History],
    findings: Findings,
    excused: Excuses,
    *,
    derived: int | None = None,
) -> None:
    """
    Args:
        excused: is added to: what differs and could not be otherwise, by its name.
        derived: the side whose states were worked out of a checkpointer's rows; None where that
            is neither, or nothing else is.
    """
    # Of two that were rebuilt the source's is the one that the other can have been made of.
    first = 1 if entries[0].mark is not None and entries[1].mark is None else 0
    if derived is not None and entries[0].mark is entries[1].mark is None:
        first = 1 - derived
    copied = derived == 1 - first
    _Comparison(scope, first, histories, findings, excused, derived=derived).run()
    lasts = histories[0].last, histories[1].last
    base = histories[1 - first].base()
    fields = compare_own(scope, entries, first, lasts, base, excused, derived=copied)
    if fields:
        findings.found(First(words=f"the thread's {say_fields(fields)}", fields=fields))


class _Different(Struct, frozen=True):
    """A checkpoint that differs, if no later one tells that its `next` is excused."""

    number: int
    id: bytes
    fields: tuple[str, ...]


class _Comparison:
    def __init__(
        self,
        scope: Scope,
        first: int,
        histories: tuple[History, History],
        findings: Findings,
        excused: Excuses,
        *,
        derived: int | None,
    ) -> None:
        """
        Args:
            first: the side that has the original.
        """
        self._scope = scope
        self._first = first
        self._histories = histories
        self._findings = findings
        self._excused = excused
        self._derived = derived == 1 - first  # the copy
        self._from_rows = derived == first
        self._knows = {
            name: scope.knows("checkpoint", name)
            for name in ("metadata", "next", "parent_checkpoint_id")
        }
        self._numbering = Numbering(histories[first])
        self._doubts: dict[bytes, _Different] = {}
        self._found: tuple[int, First] | None = None

    def run(self) -> None:
        """Compares all of both histories; called once."""
        for number, pair in enumerate(zip_longest(*self._in_step()), 1):
            left, right = pair
            if pair[self._first] is not None:
                self._went_on(pair[self._first])
            if left is None or right is None:
                self._alone(left, right, number)
            else:
                self._compare((left, right), number)
        for doubt in self._doubts.values():
            self._differs(doubt)
        if self._found is not None:
            self._findings.found(self._found[1])
        self._excused.update(self._histories[0].passed | self._histories[1].passed)

    def _in_step(self) -> tuple[Iterator[Row], Iterator[Row]]:
        """Both histories, without what was made for a first input to come upon."""
        both = iter(self._histories[0]), iter(self._histories[1])
        heads = [next(both[0], None), next(both[1], None)]
        original, copy = heads[self._first], heads[1 - self._first]
        cut = original is not None and original.head.source == "input" and original.head.parent
        if cut and copy is not None and copy.head.source != "input":
            self._histories[1 - self._first].leave_out()
            heads[1 - self._first] = None
            self._excused["checkpoints made for a first input to come upon"] += 1
        one, other = ([] if row is None else [row] for row in heads)
        return chain(one, both[0]), chain(other, both[1])

    def _alone(self, left: Row | None, right: Row | None, number: int) -> None:
        row = left or right
        assert row is not None
        if right is None:
            self._findings.checkpoints.missing += 1
        else:
            self._findings.checkpoints.additional += 1
        own = text_of(row.id)
        words = f"{say_checkpoint(own, number)} is missing in the {_SIDES[right is None]}"
        self._note(number, First(words=words, namespace="", checkpoint_id=own))

    def _compare(self, pair: tuple[Row, Row], number: int) -> None:
        original, copy = pair[self._first], pair[1 - self._first]
        fields = self._metadata(original, copy, number) + self._parent(original, copy)
        channels, names = self._values(original, copy), self._next(original, copy)
        if channels or names:
            channels, names = self._dropped(original, copy, channels, names)
        if unknown_fields(original, copy):
            self._excused["checkpoints' fields that lgx does not know"] += 1
        if not channels and _moved(original, copy):
            self._excused["places of usage_metadata and the like"] += 1
        found = tuple(sorted({*(shown(name) for name in channels), *names, *fields}))
        if found:
            row = pair[0]  # known by the source's id
            different = _Different(number, row.id, found)
            if "next" in found and self._may_wait(original, copy):
                self._put_off(original.id, different)
            else:
                self._differs(different)
        else:
            self._findings.checkpoints.equal += 1

    # -- fields -----------------------------------------------------------------------

    def _metadata(self, original: Row, copy: Row, number: int) -> list[str]:
        if not self._knows["metadata"]:
            return []
        found = []
        excused = self._numbering.excuses(number, original, copy)
        if excused:
            self._excused["step numbers"] += 1
        elif excused is not None:
            found.append("metadata.step")
        if original.head.source and _source(original) != _source(copy):
            found.append("metadata.source")
        return found

    def _parent(self, original: Row, copy: Row) -> list[str]:
        if not self._knows["parent_checkpoint_id"]:
            return []
        wanted = self._histories[self._first].parent(original)
        if wanted == self._histories[1 - self._first].parent(copy):
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
        found = []
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) == other.get(key):
                continue
            # A checkpointer has nothing of what nothing was written to; a graph shows it empty.
            if key not in one and other[key] in UNWRITTEN:
                continue
            if self._derived and key not in other and one[key] in UNWRITTEN:
                self._excused[EMPTY_CHANNELS] += 1
                continue
            found.append(key)
        return found

    def _next(self, original: Row, copy: Row) -> list[str]:
        wanted = original.head.due  # which older files do not tell
        if not self._knows["next"] or wanted is None or wanted == copy.head.due:
            return []
        return ["next"]

    # -- excuses ----------------------------------------------------------------------

    def _dropped(
        self, original: Row, copy: Row, channels: list[str], names: list[str]
    ) -> tuple[list[str], list[str]]:
        """What differs without what an input of a run drops, and an update as input does not:
        tasks that were due before it, and channels that live for one step, which it empties.
        Any other value than nothing somebody has given to the channel."""
        extra = _due(copy) - _due(original)
        if names and (not extra or _due(original) - _due(copy)):
            return channels, names
        here, there = (
            digests_of(self._scope, "checkpoint", row, "values") for row in (original, copy)
        )
        emptied = [k for k in channels if k in there and here.get(k) in EMPTY]
        row = original
        for _ in range(_ANCESTORS):
            if row.head.source not in ("input", "fork") or row.head.parent is None:
                break
            before = self._histories[self._first].state(row.head.parent)
            if before is None:
                break
            row = before
            due = _due(row)
            if not due:
                continue
            kept = digests_of(self._scope, "checkpoint", row, "values")
            same = {k for k in emptied if there[k] == kept.get(k)}
            left = [k for k in channels if k not in same]
            still = names if extra - due else []
            if (left, still) != (channels, names):
                self._excused["what an input dropped"] += 1
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
            self._differs(msgspec.structs.replace(doubt, fields=fields))
        else:
            self._findings.checkpoints.equal += 1

    def _may_wait(self, original: Row, copy: Row) -> bool:
        """Whether a later checkpoint may excuse its `next`: rows tell of all that is due."""
        if self._from_rows:
            return not _due(copy) - _due(original)
        return original.head.ended or (self._derived and not _due(original) - _due(copy))

    def _put_off(self, own: bytes, found: _Different) -> None:
        """Waits for what a later checkpoint tells of this one; of very many, not of the oldest."""
        self._doubts[own] = found
        if len(self._doubts) > _DOUBTS:
            self._differs(self._doubts.pop(next(iter(self._doubts))))

    # -- what is said -----------------------------------------------------------------

    def _differs(self, found: _Different) -> None:
        self._findings.checkpoints.different += 1
        own = text_of(found.id)
        words = f"{say_checkpoint(own, found.number)}: {say_fields(found.fields)}"
        first = First(words=words, namespace="", checkpoint_id=own, fields=found.fields)
        self._note(found.number, first)

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


def _due(row: Row) -> Counter[str]:
    try:
        return Counter() if row.head.due is None else Counter(_names.decode(row.head.due))
    except msgspec.MsgspecError:
        return Counter()
