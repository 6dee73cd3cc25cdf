"""A rebuilt history beside the one that it was made of, checkpoint by checkpoint."""

from __future__ import annotations

from collections import Counter

from msgspec import Raw, UnsetType

from lgx import Checkpoint
from lgx_plugins.replay.actions import overwrites
from lgx_plugins.replay.channels import ChannelComparison
from lgx_plugins.replay.differences import Difference, Differences
from lgx_plugins.replay.dropped import Dropped
from lgx_plugins.replay.messages import messages_of
from lgx_plugins.replay.outline import NONE, Outline
from lgx_plugins.replay.steps import Values, metadata_of, next_of, tasks_of, values_of

__all__ = ["Comparison"]

_PUSH = b"__pregel_push"


class Comparison:
    """Compares checkpoints in step, newest first. What they hold is let go at once."""

    def __init__(self, outline: Outline) -> None:
        self.differences = Differences()
        self._outline = outline
        self._channels = ChannelComparison()
        self._dropped = Dropped(outline, self.differences)
        self._offsets: dict[int, int] = {}
        self._later: tuple[Difference, Values] | None = None
        self._astray: dict[int, list[int]] = {}
        self._parents: dict[str, list[int]] = {}
        self._went_on: set[int] = set()

    def add(self, index: int, source: Checkpoint, target: Checkpoint) -> None:
        """Compares one checkpoint of the source with the one that stands for it."""
        found = self.differences.places.pop(index, None) or Difference()
        came, number = metadata_of(source)
        made, count = metadata_of(target)
        copied = index in self._outline.copied
        found.input, found.given = came == "input", came == "input" or copied
        by_hand = came == "update" or (came == "fork" and not copied)
        found.by_tasks = not by_hand and self._outline.parents[index] != NONE
        found.detached = self._outline.parents[index] not in (NONE, index - 1)
        # An original of the target's own has what a rebuilt one cannot; older files say nothing.
        found.source = bool(came) and made not in (came, {"loop": "update"}.get(came, came))
        if number is not None and count is not None and number != count:
            self._offsets[index] = number - count
        self._compare_values(source, target, found)
        self._compare_next(source, target, found, ran=index in self._went_on)
        if came == "loop":
            self._went_on.add(self._outline.parents[index])
        self._compare_parent(index, target, found)
        if found.differs:
            self.differences.places[index] = found
        if index == len(self._outline) - 1 and _run_again(source, target):
            self.differences.excused["waiting"] += 1
        self._tell_children(index, source, found)
        self._dropped.settle(index, source, found)
        if found.given:
            self._dropped.add(index, source, target, found)
        elif found.missing or found.extra:
            self._astray.setdefault(self._outline.parents[index], []).append(index)

    def _compare_values(self, source: Checkpoint, target: Checkpoint, found: Difference) -> None:
        found.channels, excused = self._channels.compare(source.values, target.values)
        self.differences.excused.update(excused)
        if not found.channels and self._later is None:
            return
        there = values_of(target.values)
        if self._later is not None:
            place, kept = self._later
            place.still = all(there.get(name) == kept.get(name) for name in place.channels)
            self._later = None
        if found.channels:
            self._later = found, there
            held = values_of(source.values)
            found.messages = tuple(name for name in found.channels if _messages(held.get(name)))
            found.literal = tuple(n for n in found.channels if n in there and overwrites(there[n]))

    def _compare_next(
        self, source: Checkpoint, target: Checkpoint, found: Difference, *, ran: bool
    ) -> None:
        """`ran`: whether all that was due has run."""
        if isinstance(source.next, UnsetType):
            return  # older files do not say what was due
        if source.next == target.next and not (_pushed(source) or _pushed(target)):
            return
        wanted, there = _due(source), _due(target)
        if wanted == there:
            return
        missing, extra = wanted - there, there - wanted
        if ran and missing and not missing - _idle(source):
            self.differences.excused["phantom"] += 1
            missing.clear()
        found.missing = tuple(name for name, _ in missing.elements())
        found.extra = tuple(name for name, _ in extra.elements())
        found.sent = tuple(name for name, pushed in missing.elements() if pushed)
        pushes = sum(pushed for _, pushed in wanted.elements())
        found.all_sent = bool(pushes) and len(found.sent) == pushes

    def _tell_children(self, index: int, source: Checkpoint, found: Difference) -> None:
        """Tells those that lead elsewhere what was due before them."""
        for child in self._astray.pop(index, ()):
            place = self.differences.places[child]
            place.ran = next_of(source)
            place.inherited = not place.missing and set(place.extra) <= set(found.extra)
            if place.by_tasks:
                place.held = tuple(name for name in place.extra if name in place.ran)

    def _compare_parent(self, index: int, target: Checkpoint, found: Difference) -> None:
        for child in self._parents.pop(target.checkpoint_id, ()):
            if self._outline.parents[child] not in (index, NONE):
                self._note_parent(child)
        if target.parent_checkpoint_id is not None:
            self._parents.setdefault(target.parent_checkpoint_id, []).append(index)
        elif self._outline.parents[index] == NONE:
            return
        elif index in self._outline.copied:
            self.differences.excused["fork"] += 1  # a copy of the first has no parent
        else:
            found.parent = True

    def _note_parent(self, child: int) -> None:
        if child in self._outline.copied:
            self.differences.excused["fork"] += 1
        else:
            self.differences.places.setdefault(child, Difference()).parent = True

    def finish(self) -> None:
        """Called after the oldest: looks at parents that did not come, and at the numbers."""
        for child in (child for children in self._parents.values() for child in children):
            if self._outline.parents[child] != NONE:
                self._note_parent(child)
        self._compare_steps()

    def _compare_steps(self) -> None:
        """A target counts by one from the beginning: what the source left out, it has not."""
        wrong: set[int] = set()
        for index, offset in sorted(self._offsets.items()):
            base = self._outline.base(index)
            told = index in self._outline.jumps or self._offsets.get(base) == offset
            if told and base not in wrong:
                self.differences.excused["step"] += 1
            else:
                wrong.add(index)
                self.differences.places.setdefault(index, Difference()).step = True


def _messages(value: Raw | None) -> bool:
    found = None if value is None else messages_of(value)
    return found is not None and bool(found.items)


def _pushed(record: Checkpoint) -> bool:
    return not isinstance(record.tasks, UnsetType) and _PUSH in bytes(record.tasks)


def _due(record: Checkpoint) -> Counter[tuple[str, bool]]:
    """The names of the nodes that are next, and whether a `Send` made each task."""
    names = Counter(next_of(record))
    pushed = Counter(task.name for task in tasks_of(record) if task.pushed) & names
    found: Counter[tuple[str, bool]] = Counter()
    for name, count in (names - pushed).items():
        found[name, False] = count
    for name, count in pushed.items():
        found[name, True] = count
    return found


def _idle(record: Checkpoint) -> Counter[tuple[str, bool]]:
    """Those of the tasks that have no result, not even an empty one."""
    return Counter((task.name, task.pushed) for task in tasks_of(record) if task.result is None)


def _run_again(source: Checkpoint, target: Checkpoint) -> bool:
    """Whether the same tasks are due, and others of them have finished."""
    mine, theirs = tasks_of(source), tasks_of(target)
    if Counter(task.name for task in mine) != Counter(task.name for task in theirs):
        return False
    waiting = Counter(task.name for task in mine if task.result is None)
    return waiting != Counter(task.name for task in theirs if task.result is None)
