"""A thread that a server rebuilt: new ids and times, the same history.

Compared are the checkpoints of the root namespace, in the order of the history (which is that
of their ids, on both sides): values, next, step and source, where `loop` has become `update`;
and of the thread its metadata and its status, and where it has no history its values. What no
server can be given is excused, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest

from lgx.verification.findings import Findings, First, differing, say_fields, say_record, text_of
from lgx.verification.fingerprint import NOTHING, SIZE, field_of, shown
from lgx.verification.ledger import Entry, Row
from lgx.verification.marks import RESERVED
from lgx.verification.scope import Scope

__all__ = ["compare_rebuilt"]

_SIDES = ("source", "sink")
_UNGIVEN = ("busy", "error")
_FIELDS = ("values", "next")


def compare_rebuilt(
    scope: Scope,
    entries: tuple[Entry, Entry],
    rows: tuple[Iterator[Row], Iterator[Row]],
    findings: Findings,
    excused: Counter[str],
) -> None:
    """
    Args:
        excused: is added to: what differs and could not be otherwise, by its name.
    """
    known = scope.knows("checkpoint", "metadata")
    lasts: list[Row | None] = [None, None]
    waiting: tuple[int, Row, Row] | None = None  # a pair of which the next source row decides
    number = 0
    for number, pair in enumerate(zip_longest(_history(rows[0], excused), _history(rows[1])), 1):
        left, right = pair
        if waiting is not None:
            _settle(scope, *waiting, left, findings, excused, known=known)
        waiting = None
        lasts = [row or last for row, last in zip(pair, lasts, strict=True)]
        if left is None or right is None:
            _alone(left, right, number, findings)
        else:
            waiting = number, left, right
    if waiting is not None:
        _settle(scope, *waiting, None, findings, excused, known=known)
    _compare_own(scope, entries, lasts, findings, excused)


def _history(rows: Iterator[Row], excused: Counter[str] | None = None) -> Iterator[Row]:
    """The checkpoints of the root namespace, the oldest first."""
    for row in rows:
        if row.kind == "checkpoint" and not row.place:
            yield row
        elif excused is not None:
            excused["checkpoints of subgraphs" if row.place else f"{row.kind} records"] += 1


def _alone(left: Row | None, right: Row | None, number: int, findings: Findings) -> None:
    row = left or right
    assert row is not None
    if right is None:
        findings.checkpoints.missing += 1
    else:
        findings.checkpoints.additional += 1
    findings.found(
        First(
            words=f"{say_record(row, number)} is missing in the {_SIDES[right is None]}",
            namespace="",
            checkpoint_id=text_of(row.id),
        )
    )


def _settle(
    scope: Scope,
    number: int,
    left: Row,
    right: Row,
    following: Row | None,
    findings: Findings,
    excused: Counter[str],
    *,
    known: bool,
) -> None:
    """Compares two checkpoints; `following` is the source's next one."""
    fields = list(_fields(scope, left, right))
    if known:
        fields += ["metadata.step"] if left.head.step != right.head.step else []
        fields += ["metadata.source"] if _source(left) != _source(right) else []
    went_on = following is not None and following.head.source == "loop"
    if "next" in fields and left.head.ended and went_on:
        # Something did come next: servers know nothing of steps that wait for several others.
        fields.remove("next")
        excused["next of steps that wait for several others"] += 1
    if "values" not in map(_field, fields) and _moved(left, right):
        excused["places of usage_metadata and the like"] += 1
    if not fields:
        findings.checkpoints.equal += 1
        return
    findings.checkpoints.different += 1
    findings.found(
        First(
            words=f"{say_record(left, number)}: {say_fields(fields)}",
            namespace="",
            checkpoint_id=text_of(left.id),
            fields=tuple(fields),
        )
    )


def _fields(scope: Scope, left: Row, right: Row) -> tuple[str, ...]:
    """The fields that count and differ."""
    return _differing(scope, "checkpoint", left, right, _FIELDS)


def _field(name: str) -> str:
    return name.partition(".")[0]


def _moved(left: Row, right: Row) -> bool:
    """Whether something stands elsewhere in messages that else are the same."""
    if not (left.settled and right.settled):
        return False
    sides = [
        {
            name: row.digests[at * SIZE : (at + 1) * SIZE]
            for at, name in enumerate(row.names)
            if name in row.settled
        }
        for row in (left, right)
    ]
    return sides[0] != sides[1]


def _source(row: Row) -> str | None:
    return "update" if row.head.source == "loop" else row.head.source


def _differing(
    scope: Scope, kind: str, left: Row | Entry, right: Row | Entry, fields: tuple[str, ...]
) -> tuple[str, ...]:
    sides = []
    for row in (left, right):
        names, digests = scope.within(kind, row.names or (), row.digests)
        sides.append(_chosen(names, digests, row.settled, fields))
    return differing(*sides[0], *sides[1]) if sides[0] != sides[1] else ()


def _chosen(
    names: tuple[str, ...], digests: bytes, settled: dict[str, bytes], fields: tuple[str, ...]
) -> tuple[tuple[str, ...], bytes]:
    """Names and digests of some fields, without what servers move or take for themselves."""
    chosen, parts = [], []
    for at, name in enumerate(names):
        field = field_of(name)
        if field not in fields or (field == "metadata" and name[1:] in RESERVED):
            continue
        digest = settled.get(name) or digests[at * SIZE : (at + 1) * SIZE]
        if field == "next" or digest not in NOTHING or name[1:] != field:
            chosen.append(name)
            parts.append(digest)
    return tuple(chosen), b"".join(parts)


def _compare_own(
    scope: Scope,
    entries: tuple[Entry, Entry],
    lasts: list[Row | None],
    findings: Findings,
    excused: Counter[str],
) -> None:
    if not scope.has("thread"):
        return
    fields = list(_differing(scope, "thread", *entries, ("values", "metadata")))
    shown_apart: set[str] = set()
    if None not in lasts:
        # Servers keep a rendering of their own beside the newest state, which was compared.
        shown_apart = {field for field in fields if _field(field) == "values"}
    for what, given in (
        ("what servers show as values beside the newest state", shown_apart),
        ("metadata that a server added", _added(entries)),
        ("graph ids that were mapped to others", {"metadata.graph_id"}),
    ):
        if given & set(fields):
            fields = [field for field in fields if field not in given]
            excused[what] += 1
    if scope.knows("thread", "status") and entries[0].status != entries[1].status:
        if _ungiven(entries, lasts):
            excused["statuses that no server can be given"] += 1
        else:
            fields.append("status")
    if fields:
        findings.found(First(words=f"the thread's {say_fields(fields)}", fields=tuple(fields)))


def _added(entries: tuple[Entry, Entry]) -> set[str]:
    """The keys of metadata that only a rebuilt thread has."""
    sides = [{shown(name) for name in entry.names or ()} for entry in entries]
    rebuilt = [entry.mark is not None for entry in entries]
    if all(rebuilt):
        return set()
    keys = sides[0] - sides[1] if rebuilt[0] else sides[1] - sides[0]
    return {key for key in keys if key.startswith("metadata.")}


def _ungiven(entries: tuple[Entry, Entry], lasts: list[Row | None]) -> bool:
    """Whether the statuses differ because a server works out its own: `interrupted` where
    something comes next, else `idle`."""
    statuses = {entry.status for entry in entries}
    if statuses & set(_UNGIVEN):
        return True
    going_on = any(last is not None and not last.head.ended for last in lasts)
    return statuses == {"idle", "interrupted"} and going_on
