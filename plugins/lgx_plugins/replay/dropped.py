"""Inputs upon tasks that were due.

A run that begins with an input drops them, and empties channels that live for one step. An
update as input does neither: on a target both are there until the next step. Servers have no
update that would, so that such differences are excused. A channel that is not empty there
somebody has given its value: that is another difference.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Raw, Struct

from lgx import Checkpoint
from lgx_plugins.replay.differences import Difference, Differences
from lgx_plugins.replay.outline import NONE, Outline
from lgx_plugins.replay.steps import metadata_of, next_of, values_of

__all__ = ["Dropped"]

_EMPTY = frozenset((None, b"null", b"[]", b"{}", b'""'))
"""What a channel holds that was emptied; None: it is not there."""


class _Input(Struct):
    """An input that differs: what is due there besides, and digests of what the channels hold
    there that it emptied: it may wait for long for what it came upon."""

    index: int
    extra: tuple[str, ...]
    kept: dict[str, int]


class Dropped:
    """Looks at what inputs came upon; fed newest first, after each checkpoint's comparison."""

    def __init__(self, outline: Outline, differences: Differences) -> None:
        self._outline = outline
        self._differences = differences
        self._waiting: dict[int, list[_Input]] = {}

    def add(self, index: int, source: Checkpoint, target: Checkpoint, found: Difference) -> None:
        """An input, or a copy, with what differs in it."""
        if not found.extra and not found.channels:
            return
        here, there = values_of(source.values), values_of(target.values)
        kept = {
            name: hash(bytes(there[name]))
            for name in found.channels
            if name in there and _text(here.get(name)) in _EMPTY
        }
        self._wait(self._outline.base(index), _Input(index, found.extra, kept))

    def _wait(self, parent: int, item: _Input) -> None:
        if parent != NONE:
            self._waiting.setdefault(parent, []).append(item)

    def settle(self, index: int, source: Checkpoint, found: Difference) -> None:
        """Excuses what inputs upon this checkpoint have from it."""
        for item in self._waiting.pop(index, ()):
            if metadata_of(source)[0] in ("input", "fork") and found.differs:
                # It has itself what it should not have: what it came upon tells.
                self._wait(self._outline.base(index), item)
                continue
            self._excuse(item, source)

    def _excuse(self, item: _Input, source: Checkpoint) -> None:
        due = next_of(source)
        place = self._differences.places.get(item.index)
        if place is None:
            return
        before = values_of(source.values)
        same = {
            name
            for name, digest in item.kept.items()
            if name in before and hash(bytes(before[name])) == digest
        }
        left = tuple((Counter(item.extra) - Counter(due)).elements())
        if not same and left == item.extra:
            return
        self._differences.excused["cut"] += 1
        self._differences.cut[item.index] = item.extra
        place.extra = left
        place.channels = tuple(name for name in place.channels if name not in same)
        if not place.differs:
            del self._differences.places[item.index]


def _text(value: Raw | None) -> bytes | None:
    return None if value is None else bytes(value)
