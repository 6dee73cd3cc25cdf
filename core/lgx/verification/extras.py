"""The deployment's own records: copied, or made by a server that was given them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from lgx.verification.entries import Row
from lgx.verification.exact import Pair, What, compare_pair, either, order
from lgx.verification.excuses import OF_ITS_OWN, Excuses
from lgx.verification.findings import First, merged
from lgx.verification.fingerprint import SIZE, shown
from lgx.verification.report import Compared
from lgx.verification.scope import Scope

__all__ = ["compare_extras"]

_TIMES = ("created_at", "updated_at")
_OF_STORES = ("expires_at", "ttl_minutes", "vectors")  # as tables of LangGraph's stores have them
_OF_CRONS = ("schedule", "end_time", "timezone")
_GRAPH = "graph_id"
_WORDS = {"store_item": "store items"}


def compare_extras(
    scope: Scope,
    rows: tuple[Iterator[Row], Iterator[Row]],
    counts: Compared,
    excused: Excuses | None,
    *,
    beside: bool = False,
) -> Iterator[tuple[What, First]]:
    """Each record that differs.

    Args:
        excused: where a server made those of one side: then times do not count, nor assistants
            that servers make by themselves, and crons are known by what they stand for.
        beside: whether the sink is such a server, which may have others of its own.
    """
    ignored = None if excused is None else partial(_passed_over, excused)
    crons: tuple[list[Row], list[Row]] = ([], [])
    known: set[bytes] = set()  # assistants of the source
    others: list[Pair] = []
    for pair in merged(*rows, order):
        row = either(pair)
        if excused is not None and row.kind == "cron":
            for side, one in zip(crons, pair, strict=True):
                side += [] if one is None else [one]
            continue
        if excused is not None and row.head.source == "system":
            excused["system assistants"] += 1
            continue
        if beside and row.kind == "assistant":
            if pair[0] is None:
                others.append(pair)  # perhaps a version of one that the source has, too
                continue
            known.add(row.place)
        elif excused is not None and beside and pair[0] is None:
            excused[f"{_WORDS.get(row.kind, row.kind)}{OF_ITS_OWN}"] += 1
            continue
        found = compare_pair(scope, pair, 0, counts, ignored)
        if found is not None:
            yield found
    if excused is None:
        return
    for pair in others:
        if either(pair).place in known:
            found = compare_pair(scope, pair, 0, counts, ignored)
            assert found is not None
            yield found
        else:
            excused[f"assistants{OF_ITS_OWN}"] += 1
    for pair in _standing_for(*crons):
        if beside and pair[0] is None and either(pair).head.parent is None:
            excused[f"crons{OF_ITS_OWN}"] += 1
            continue
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
    if left.kind == "store_item" and field in _OF_STORES:
        excused["vectors and expiry of store items"] += 1
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
