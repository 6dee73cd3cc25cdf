"""Threads whose lines have to be gathered and put in order before they can be passed on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from lgx import CHECKPOINT_KINDS
from lgx_plugins.lineage import parents_first
from lgx_plugins.ndjson.lines import Envelope, look
from lgx_plugins.scratch import Scratch

__all__ = ["Arrangement", "LooseThreads"]

_Key: TypeAlias = tuple[str, ...] | int
_Places: TypeAlias = dict[_Key, tuple[Envelope, int]]


class Arrangement(Struct, frozen=True):
    """The lines of one thread in the order in which they are passed on.

    Attributes:
        places: see `LooseThreads.line`.
        doubled: records that came twice, of which the later one is taken.
    """

    places: list[int]
    doubled: int


class LooseThreads:
    """Keeps lines on disk until the file has been read; memory holds one number a thread."""

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._chains: dict[str, int] = {}

    def add(self, thread_id: str, line: bytes) -> None:
        self._chains[thread_id] = self._scratch.append(line, self._chains.get(thread_id, 0))

    def __iter__(self) -> Iterator[str]:
        """The threads, in the order of their first lines."""
        return iter(self._chains)

    def arrange(self, thread_id: str) -> Arrangement:
        """The thread first, parents before children, then the rest; of records that come
        twice the last, and nothing from before a tombstone."""
        places: _Places = {}
        doubled = 0
        for number, place in enumerate(self._scratch.pieces(self._chains[thread_id])):
            envelope = look(self.line(place))
            if envelope.kind == "tombstone":
                places.clear()
                doubled = 0
                continue
            key = envelope.identity or number
            doubled += key in places
            places[key] = (envelope, place)
        return Arrangement(list(_in_order(places)), doubled)

    def line(self, place: int) -> bytes:
        return self._scratch.last(place)

    def close(self) -> None:
        self._scratch.close()


def _in_order(places: _Places) -> Iterator[int]:
    yield from (place for envelope, place in places.values() if envelope.kind == "thread")
    parents = {
        key: envelope.parent
        for key, (envelope, _) in places.items()
        if envelope.kind in CHECKPOINT_KINDS
    }
    yield from (places[key][1] for key in parents_first(parents))
    for envelope, place in places.values():
        if envelope.kind != "thread" and envelope.kind not in CHECKPOINT_KINDS:
            yield place
