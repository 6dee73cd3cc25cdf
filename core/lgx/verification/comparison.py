"""The comparison: both ledgers in step, thread by thread, or one ledger summed up."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter

import msgspec

from lgx.records import CHECKPOINT_KINDS
from lgx.verification.counterparts import Counterparts
from lgx.verification.entries import Entry, Row
from lgx.verification.exact import compare_exactly
from lgx.verification.excuses import OF_ITS_OWN, Excuses
from lgx.verification.extras import compare_extras
from lgx.verification.findings import Findings, First, merged
from lgx.verification.history import History
from lgx.verification.ledger import Ledger
from lgx.verification.listing import Listing, What
from lgx.verification.replayed import compare_rebuilt
from lgx.verification.report import Compared, Side, Verification
from lgx.verification.scope import Scope

__all__ = ["Comparison"]

_IDS_LOOKED_AT = 1000


class Comparison:
    """Fills in a verification. `steps` is run to its end, once."""

    def __init__(
        self,
        scope: Scope,
        ledgers: Sequence[Ledger],
        sides: Sequence[Side],
        unread: Sequence[Mapping[str, str]],
        found: Verification,
        *,
        chosen: bool,
        derived: int | None = None,
    ) -> None:
        """
        Args:
            ledgers, sides: source's and sink's, or those of the one there is.
            unread: threads that could not be read, or not whole, by id, and why.
            chosen: whether the sink was looked at for the source's threads alone, so that it
                may hold others.
            derived: the side whose states were worked out of rows, where the other's are those
                that a server gave.
        """
        self._scope = scope
        self._ledgers = ledgers
        self._sides = sides
        self._counterparts = Counterparts(ledgers, [side.identity for side in sides])
        self._listing = Listing(found, unread)
        self._found = found
        self._chosen = chosen
        self._derived = derived
        self._digests = [0 for _ in sides]  # sums, so that the order does not count
        self._excused = Excuses()
        self._shared: bool | None = None

    def steps(self) -> Iterator[None]:
        """Compares; yields after each thread, so that others may run."""
        if len(self._ledgers) == 1:
            for _, entries in self._ledgers[0].groups():
                self._sum_up(entries)
                yield
        else:
            first, second = (ledger.groups() for ledger in self._ledgers)
            for left, right in merged(first, second, itemgetter(0)):
                self._pair(left[1] if left else [], right[1] if right else [])
                yield
        self._listing.never_read()
        self._extras()
        for side, total in zip(self._sides, self._digests, strict=True):
            side.digest = blake2b(b"%x" % total, digest_size=32).hexdigest()
        self._found.left_out = [
            *self._scope.left_out(self._ledgers),
            *self._excused.told(sum(self._found.replayed.values())),
        ]

    # -- one side ---------------------------------------------------------------------

    def _sum_up(self, entries: list[Entry]) -> None:
        for entry in entries:
            deque(self._rows(0, entry), 0)
        self._listing.doubled(entries, [])
        self._listing.untold(entries[0].thread_id)

    # -- two sides --------------------------------------------------------------------

    def _pair(self, left: list[Entry], right: list[Entry]) -> None:
        """Threads of one id. One that has no counterpart of its id may have been rebuilt under
        another."""
        if left and right and self._counterparts.apart(left[0], right[0]):
            self._pair(left, [])
            self._pair([], right)
        elif left and not right:
            partner = self._counterparts.other(0, left[0])
            self._thread(left, [] if partner is None else [partner])
        elif left or self._counterparts.other(1, right[0]) is None:  # else it comes with that
            self._thread(left, right)

    def _thread(self, left: list[Entry], right: list[Entry]) -> None:
        if not left and self._chosen:
            return
        if not left and self._is_its_own(right[0]):
            self._excused[f"threads{OF_ITS_OWN}"] += len(right)
            return
        counts, own = self._found.threads, (left or right)[0]
        findings = Findings(checkpoints=self._found.checkpoints, records=self._found.records)
        unread = self._listing.untold(own.thread_id, (right or left)[0].thread_id)
        if unread:  # what is there of it, and what is not, nobody knows
            findings = Findings(checkpoints=Compared(), records=Compared())
        before = _differing(findings.checkpoints)
        rebuilt = None
        if left and right:
            rebuilt = self._compare(left[0], right[0], findings)
            for number, entries in enumerate((left, right)):
                for entry in entries[1:]:
                    self._count_alone(number, entry, None)
        else:
            for entry in left or right:
                self._count_alone(0 if left else 1, entry, findings.checkpoints)
        if unread:
            counts.unread += 1
            return
        what: What = "different"
        if not right:
            what, counts.missing = "missing", counts.missing + 1
            findings.found(First(words="is missing in the sink"))
        elif not left:
            what, counts.additional = "additional", counts.additional + 1
            findings.found(First(words="is missing in the source"))
        elif self._listing.doubled(left, right):
            counts.different += 1
            return
        elif findings.first is None:
            counts.equal += 1
            return
        else:
            counts.different += 1
        assert findings.first is not None
        differing = _differing(findings.checkpoints) - before
        self._listing.differs(own.thread_id, what, findings.first, differing, rebuilt)

    def _is_its_own(self, entry: Entry) -> bool:
        """Whether a thread of a server that threads were rebuilt on is none of these: servers
        have others, too."""
        return self._is_shared() and entry.source != self._sides[0].identity

    def _is_shared(self) -> bool:
        """Whether the sink is a server that threads of the source were rebuilt on."""
        if self._shared is None:
            self._shared = self._ledgers[1].rebuilt_from(self._sides[0].identity)
        return self._shared

    def _compare(self, left: Entry, right: Entry, findings: Findings) -> str | None:
        """Returns how far the thread was rebuilt, where it was."""
        rows = self._rows(0, left), self._rows(1, right)
        labelled = [entry for entry in (left, right) if entry.mark is not None]
        for number, entry in enumerate((left, right)):
            if entry.unfinished:
                side = ("source", "sink")[number]
                words = f"is labelled unfinished in the {side}: rebuilding it was cut short"
                findings.found(First(words=words))
        if not labelled or left.mark == right.mark or self._same_ids(left, right):
            if self._derived is None:
                compare_exactly(self._scope, (left, right), rows, findings)
            else:
                self._compare_derived((left, right), rows, findings)
            return None
        one, other = self._histories((left, right), rows)
        compare_rebuilt(
            self._scope,
            (left, right),
            (one, other),
            findings,
            self._excused,
            derived=self._derived,
        )
        reached = labelled[-1].fidelity or "unfinished"
        self._found.replayed[reached] = self._found.replayed.get(reached, 0) + 1
        return reached

    def _compare_derived(
        self,
        entries: tuple[Entry, Entry],
        rows: tuple[Iterator[Row], Iterator[Row]],
        findings: Findings,
    ) -> None:
        """What is not the very same may have been rebuilt by a graph, under the same ids."""
        exact = Findings(checkpoints=Compared(), records=Compared())
        compare_exactly(self._scope, entries, rows, exact)
        if exact.first is None and findings.first is None:
            findings.checkpoints.equal += exact.checkpoints.equal
            findings.records.equal += exact.records.equal
            return
        again = [
            (row for row in ledger.rows(entry.number) if self._scope.has(row.kind, row.place))
            for ledger, entry in zip(self._ledgers, entries, strict=True)
        ]
        histories = self._histories(entries, (again[0], again[1]))
        compare_rebuilt(
            self._scope, entries, histories, findings, self._excused, derived=self._derived
        )
        self._excused.derived += 1

    def _histories(
        self, entries: tuple[Entry, Entry], rows: tuple[Iterator[Row], Iterator[Row]]
    ) -> tuple[History, History]:
        one, other = (
            History(ledger, entry.number, own)
            for ledger, entry, own in zip(self._ledgers, entries, rows, strict=True)
        )
        return one, other

    def _same_ids(self, left: Entry, right: Entry) -> bool:
        """Whether they have checkpoints of the same ids, which servers give to none that they
        rebuild: whatever their labels say, neither was made of the other by a server."""
        first, other = self._ledgers
        known = set(first.ids(left.number, _IDS_LOOKED_AT))
        return not known.isdisjoint(other.ids(right.number, _IDS_LOOKED_AT))

    def _count_alone(self, number: int, entry: Entry, counts: Compared | None) -> None:
        """A thread that is not compared, since the other side lacks it."""
        for row in self._rows(number, entry):
            if row.kind in CHECKPOINT_KINDS and counts is not None:
                if number == 0:
                    counts.missing += 1
                else:
                    counts.additional += 1

    def _rows(self, number: int, entry: Entry) -> Iterator[Row]:
        """A thread's records that count; each is counted for its side as it is passed on, and
        digested."""
        side, ledger = self._sides[number], self._ledgers[number]
        digest = blake2b(entry.id, digest_size=32)
        side.threads += 1
        if entry.names is not None and self._scope.has("thread"):
            _put(digest, *self._scope.within("thread", entry.names, entry.digests))
        yield from self._counted(number, ledger.rows(entry.number), digest)
        self._digests[number] += int.from_bytes(digest.digest(), "big")

    def _counted(self, number: int, rows: Iterator[Row], digest: blake2b) -> Iterator[Row]:
        side = self._sides[number]
        for row in rows:
            if not self._scope.has(row.kind, row.place):
                continue
            if row.kind in CHECKPOINT_KINDS:
                side.checkpoints += 1
            else:
                side.records += 1
            identity = msgspec.msgpack.encode((row.kind, row.place, row.id, row.copy))
            digest.update(identity)
            _put(digest, *self._scope.within(row.kind, row.names, row.digests))
            yield row

    def _extras(self) -> None:
        """The deployment's own records."""
        digests = [blake2b(digest_size=32) for _ in self._ledgers]
        sides = [
            self._counted(number, ledger.rows(0), digest)
            for number, (ledger, digest) in enumerate(zip(self._ledgers, digests, strict=True))
        ]
        if len(sides) == 1:
            deque(sides[0], 0)
        else:
            self._compare_extras(sides[0], sides[1])
        for number, digest in enumerate(digests):
            self._digests[number] += int.from_bytes(digest.digest(), "big")

    def _compare_extras(self, left: Iterator[Row], right: Iterator[Row]) -> None:
        rebuilt = bool(self._found.replayed)
        for what, first in compare_extras(
            self._scope,
            (left, right),
            self._found.records,
            self._excused if rebuilt else None,
            beside=rebuilt and self._is_shared(),
        ):
            self._listing.differs(None, what, first)


def _differing(counts: Compared) -> int:
    return counts.different + counts.missing + counts.additional


def _put(digest: blake2b, names: tuple[str, ...], digests: bytes) -> None:
    digest.update(_encoded(names))
    digest.update(digests)


@lru_cache(1000)
def _encoded(names: tuple[str, ...]) -> bytes:
    return msgspec.msgpack.encode(names)
