"""The own record of a thread that a server rebuilt: its metadata, its status, its values."""

from __future__ import annotations

from collections.abc import Iterator

from lgx.verification.entries import Entry, Row
from lgx.verification.excuses import METADATA, THE_THREADS, Excuses
from lgx.verification.fingerprint import EMPTY, NOTHING, SIZE, field_of, is_unknown, shown
from lgx.verification.marks import RESERVED
from lgx.verification.scope import Scope

__all__ = ["compare_own", "digests_of", "unknown_fields"]

_GRAPH = "metadata.graph_id"
_LABEL = "metadata.lgx"
_SERVERS_OWN = frozenset(
    {
        *("error", "state_updated_at", "ttl"),
        *("checkpoint", "parent_checkpoint", "config", "parent_config"),
    }
)


def compare_own(
    scope: Scope,
    entries: tuple[Entry, Entry],
    first: int,
    lasts: tuple[Row | None, Row | None],
    base: Row | None,
    excused: Excuses,
    *,
    derived: bool = False,
) -> tuple[str, ...]:
    """The fields that differ.

    Args:
        first: the side that has the original.
        lasts: the newest checkpoint of each side.
        base: what that of the copy was made of, where it is a branch: servers go on to show the
            values and the status of that one.
        excused: as of `compare_rebuilt`.
        derived: whether the copy's states were worked out of rows, which have nothing of the
            thread itself.
    """
    if not scope.has("thread"):
        return ()
    original, copy = entries[first], entries[1 - first]
    newest = lasts[first], lasts[1 - first], base
    fields = [
        *_values(scope, original, copy, newest, excused),
        *_metadata(scope, original, copy, excused, derived=derived),
    ]
    if unknown_fields(original, copy):
        excused["threads' fields that lgx does not know"] += 1
    if scope.knows("thread", "status") and original.status != copy.status:
        if not derived and _given(original, copy, newest):
            fields.append("status")
        else:
            excused["statuses"] += 1
    return tuple(sorted(fields))


def unknown_fields(original: Row | Entry, copy: Row | Entry) -> bool:
    """Whether there are fields, not of those that servers give by themselves, which the copy
    has not."""
    one, other = _unknown(original), _unknown(copy)
    return any(other.get(name) != digest for name, digest in one.items())


def _unknown(row: Row | Entry) -> dict[str, bytes]:
    return {
        name: digest
        for at, name in enumerate(row.names or ())
        if is_unknown(name)
        and name[1:] not in _SERVERS_OWN
        and (digest := row.digests[at * SIZE : (at + 1) * SIZE]) not in EMPTY
    }


def digests_of(scope: Scope, kind: str, row: Row | Entry, field: str) -> dict[str, bytes]:
    """The digests of one field by name, without what is nothing, or what servers move or take
    for themselves."""
    names, digests = scope.within(kind, row.names or (), row.digests)
    return dict(_counted(names, digests, row, field))


def _counted(
    names: tuple[str, ...], digests: bytes, row: Row | Entry, field: str
) -> Iterator[tuple[str, bytes]]:
    for at, name in enumerate(names):
        if field_of(name) != field or _is_reserved(name):
            continue
        digest = row.settled.get(name) or digests[at * SIZE : (at + 1) * SIZE]
        if digest not in NOTHING or shown(name) != field:
            yield name, digest


def _reserved(scope: Scope, entry: Entry) -> dict[str, bytes]:
    """The digests of those keys of the metadata that `digests_of` passes over."""
    names, digests = scope.within("thread", entry.names or (), entry.digests)
    return {
        name: digests[at * SIZE : (at + 1) * SIZE]
        for at, name in enumerate(names)
        if _is_reserved(name)
    }


def _is_reserved(name: str) -> bool:
    return field_of(name) == "metadata" and name[1:] in RESERVED


def _values(
    scope: Scope,
    original: Entry,
    copy: Entry,
    newest: tuple[Row | None, Row | None, Row | None],
    excused: Excuses,
) -> list[str]:
    """The channels that differ, but for those in which each shows what was compared already: the
    copy its newest state or what that was made of, or the original something else than its own,
    as servers may.

    Args:
        newest: the checkpoints of original and copy, and what the latter was made of.
    """
    one, other = (digests_of(scope, "thread", entry, "values") for entry in (original, copy))
    differing = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
    if newest[0] is None or newest[1] is None:
        return [shown(key) for key in differing]
    here, *there = (digests_of(scope, "checkpoint", row, "values") for row in newest if row)
    fields = [
        shown(key)
        for key in differing
        if one.get(key) == here.get(key) and all(other.get(key) != d.get(key) for d in there)
    ]
    if len(fields) < len(differing):
        excused["what servers show as values"] += 1
    return fields


def _metadata(
    scope: Scope, original: Entry, copy: Entry, excused: Excuses, *, derived: bool
) -> list[str]:
    one, other = (digests_of(scope, "thread", entry, "metadata") for entry in (original, copy))
    kept, theirs = (_reserved(scope, entry) for entry in (original, copy))
    for key, digest in kept.items():
        # A label at the source is not the thread's either.
        if theirs.get(key) != digest and (shown(key) != _LABEL or original.mark is None):
            excused[f"{THE_THREADS}{shown(key)}"] += 1
    fields = []
    for key in sorted(one.keys() | other.keys()):
        name = shown(key)
        if one.get(key) == other.get(key):
            continue
        if derived and (key not in one or key not in other):
            excused[METADATA] += 1
        elif key not in one:
            excused[name] += 1
        elif name == _GRAPH and key in other and copy.graph == one[key]:
            excused["graph ids"] += 1
            excused.graphs.add((one[key], other[key]))
        else:
            fields.append(name)
    return fields


def _given(original: Entry, copy: Entry, newest: tuple[Row | None, Row | None, Row | None]) -> bool:
    """Whether the status could be another. Servers work it out: `interrupted` where something
    comes next, else `idle`."""
    if copy.status not in ("idle", "interrupted"):
        return True
    if original.status in ("busy", "error"):
        return False
    worked_out = ["idle" if row.head.ended else "interrupted" for row in newest if row]
    return copy.status not in worked_out
