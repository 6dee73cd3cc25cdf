"""What came out different in threads of a graph, whatever was tried: another thread that differs
in nothing else is not tried so often."""

from __future__ import annotations

from lgx_plugins.replay.differences import Difference, Differences
from lgx_plugins.replay.method import GraphMemory, Kind

__all__ = ["in_vain", "note_tries"]

_THREADS = 2  # one after the other, as one alone is an accident
_KINDS = 1000  # that are known of a graph


def in_vain(graph: GraphMemory, differences: Differences) -> bool:
    """Whether all that can be tried was tried in threads before, and bettered nothing."""
    kinds = _kinds(differences)
    return bool(kinds) and all(graph.vain.get(kind, 0) >= _THREADS for kind in kinds)


def note_tries(graph: GraphMemory, first: Differences, best: Differences) -> None:
    """Called once of each thread, when nothing more is tried.

    Args:
        first: how it came out at first.
        best: how it stands in the end.
    """
    before, after = _kinds(first), _kinds(best)
    for kind, count in before.items():
        if after.get(kind, 0) < count:
            graph.vain.pop(kind, None)
    for kind, count in after.items():
        known = kind in graph.vain or len(graph.vain) < _KINDS
        if known and count >= before.get(kind, 0):
            graph.vain[kind] = graph.vain.get(kind, 0) + 1


def _kinds(differences: Differences) -> dict[Kind, int]:
    """How often each kind of difference is there, of those for which something can be tried."""
    found: dict[Kind, int] = {}
    for place in differences.places.values():
        if place.channels or place.missing or place.extra:
            kind = _kind(place)
            found[kind] = found.get(kind, 0) + 1
    return found


def _kind(place: Difference) -> Kind:
    """What does not depend on where in its thread it is."""
    return (
        tuple(sorted(place.channels)),
        tuple(sorted(place.missing)),
        tuple(sorted(place.extra)),
        tuple(sorted(place.ran)),
        (place.by_tasks, place.input, place.given, place.detached, bool(place.sent)),
    )
