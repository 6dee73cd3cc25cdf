"""The deployment's own records: copied, or made by a server that was given them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from lgx.verification.entries import Row
from lgx.verification.exact import Pair, What, compare_pair, either, order
from lgx.verification.excuses import Excuses
from lgx.verification.findings import First, merged
from lgx.verification.fingerprint import SIZE, shown
from lgx.verification.report import Compared
from lgx.verification.scope import Scope

__all__ = ["compare_extras"]

_TIMES = ("created_at", "updated_at")
_OF_CRONS = ("schedule", "end_time", "timezone")
_GRAPH = "graph_id"


def compare_extras(
    scope: Scope,
    rows: tuple[Iterator[Row], Iterator[Row]],
    counts: Compared,
    excused: Excuses | None,
) -> Iterator[tuple[What, First]]:
    """Each record that differs.

    Args:
        excused: where a server made those of one side: then times do not count, nor assistants
            that servers make by themselves, and crons are known by what they stand for.
    """
    ignored = None if excused is None else partial(_passed_over, excused)
    crons: tuple[list[Row], list[Row]] = ([], [])
    for pair in merged(*rows, order):
        row = either(pair)
        if excused is not None and row.kind == "cron":
            for side, one in zip(crons, pair, strict=True):
                side += [] if one is None else [one]
            continue
        if excused is not None and row.head.source == "system":
            excused["system assistants"] += 1
            continue
        found = compare_pair(scope, pair, 0, counts, ignored)
        if found is not None:
            yield found
    if excused is not None:
        for pair in _standing_for(*crons):
            found = compare_pair(scope, pair, 0, counts, _of_cron)
            if None not in pair:
                excused["ids, payloads and states of crons"] += 1
            if found is not None:
                yield found


def _passed_over(excused: Excuses, field: str, left: Row, right: Row) -> bool:
    """Whether a field may be another where a server was given the record: a time, or the graph
    of an assistant, where threads tell that it was mapped."""
    if field in _TIMES:
        return True
    if field != _GRAPH:
        return False
    pair = _digest(left, _GRAPH), _digest(right, _GRAPH)
    return pair in excused.graphs or pair[::-1] in excused.graphs


def _digest(row: Row, field: str) -> bytes:
    for at, name in enumerate(row.names):
        if shown(name) == field:
            return row.digests[at * SIZE : (at + 1) * SIZE]
    return b""


def _of_cron(field: str, _left: Row, _right: Row) -> bool:
    return field not in _OF_CRONS


def _standing_for(left: list[Row], right: list[Row]) -> Iterator[Pair]:
    """Crons of both sides: of the same id, or the one made of the other."""
    there = {row.id: row for row in right}
    made = {row.head.parent: row for row in right if row.head.parent is not None}
    for row in left:
        other = there.get(row.id) or made.get(row.id)
        if other is None and row.head.parent is not None:
            other = there.get(row.head.parent)
        if other is not None:
            there.pop(other.id, None)
        yield row, other
    for row in there.values():
        yield None, row
