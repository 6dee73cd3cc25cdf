"""A thread that was copied: the same ids, and every field the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

from lgx.records import CHECKPOINT_KINDS
from lgx.verification.entries import Entry, Row
from lgx.verification.findings import (
    Findings,
    First,
    differing,
    merged,
    say_fields,
    say_record,
    text_of,
)
from lgx.verification.report import Compared
from lgx.verification.scope import Scope

__all__ = ["Pair", "What", "compare_exactly", "compare_pair", "either", "order"]

What: TypeAlias = Literal["different", "missing", "additional"]
Pair: TypeAlias = tuple[Row | None, Row | None]

_LABEL = "metadata.lgx"  # what lgx keeps there is none of the thread's
_SIDES = ("source", "sink")


def compare_exactly(
    scope: Scope,
    entries: tuple[Entry, Entry],
    rows: tuple[Iterator[Row], Iterator[Row]],
    findings: Findings,
) -> None:
    """The thread's own record comes last: what differs in a checkpoint often comes to be seen
    in it."""
    numbers: Counter[bytes] = Counter()
    for pair in merged(*rows, order):
        row = either(pair)
        numbers[row.place] += row.kind in CHECKPOINT_KINDS
        _find(scope, pair, numbers[row.place], findings)
    _compare_own(scope, entries, findings)


def order(row: Row) -> tuple[str, bytes, bytes, int]:
    return row.kind, row.place, row.id, row.copy


def either(pair: Pair) -> Row:
    row = pair[0] or pair[1]
    assert row is not None
    return row


def _find(scope: Scope, pair: Pair, number: int, findings: Findings) -> None:
    counts = findings.counts(either(pair).kind)
    found = compare_pair(scope, pair, number, counts)
    if found is not None:
        findings.found(found[1])


def _compare_own(scope: Scope, entries: tuple[Entry, Entry], findings: Findings) -> None:
    if not scope.has("thread"):
        return
    names, others = (entry.names for entry in entries)
    if names is None or others is None:
        if names is not others:
            side = _SIDES[others is None]
            findings.found(First(words=f"the thread's own record is missing in the {side}"))
        return
    left = scope.within("thread", names, entries[0].digests)
    right = scope.within("thread", others, entries[1].digests)
    if left != right:
        fields = differing(*left, *right)
        if entries[0].mark != entries[1].mark:
            fields = tuple(name for name in fields if name != _LABEL)
        if fields:
            findings.found(First(words=f"the thread's {say_fields(fields)}", fields=fields))


def compare_pair(
    scope: Scope,
    pair: Pair,
    number: int,
    counts: Compared,
    ignored: Callable[[str, Row, Row], bool] | None = None,
) -> tuple[What, First] | None:
    """Compares and counts a record that is on both sides, or on one; what differs.

    Args:
        number: as of `say_record`.
        ignored: says of a field that differs whether it does not count.
    """
    row = either(pair)
    at = (text_of(row.place), text_of(row.id)) if row.kind in CHECKPOINT_KINDS else (None, None)
    if pair[0] is None or pair[1] is None:
        missing = pair[1] is None
        if missing:
            counts.missing += 1
        else:
            counts.additional += 1
        words = f"is missing in the {_SIDES[missing]}"
        if row.copy:
            words = f"stands more than once in the {_SIDES[not missing]}"
        words = f"{say_record(row, number)} {words}"
        first = First(words=words, namespace=at[0], checkpoint_id=at[1])
        return ("missing" if missing else "additional"), first
    left = scope.within(row.kind, pair[0].names, pair[0].digests)
    right = scope.within(row.kind, pair[1].names, pair[1].digests)
    fields: tuple[str, ...] = ()
    if left != right:
        fields = differing(*left, *right)
        if ignored is not None:
            fields = tuple(name for name in fields if not ignored(name, pair[0], pair[1]))
    if not fields:
        counts.equal += 1
        return None
    counts.different += 1
    words = f"{say_record(row, number)}: {say_fields(fields)}"
    return "different", First(words=words, fields=fields, namespace=at[0], checkpoint_id=at[1])
