"""A rebuilt history beside the one that it was made of, checkpoint by checkpoint."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, UnsetType, field

from lgx import Checkpoint
from lgx_plugins.replay.actions import overwrites
from lgx_plugins.replay.channels import ChannelComparison
from lgx_plugins.replay.messages import messages_of
from lgx_plugins.replay.outline import NONE, Outline
from lgx_plugins.replay.steps import Values, metadata_of, next_of, tasks_of, values_of

__all__ = ["Comparison", "Difference", "Differences"]


class Difference(Struct):
    """How one checkpoint differs.

    Attributes:
        channels: whose values differ; `messages`: those that hold messages.
        literal: those that took an overwriting value as it was sent.
        still: whether they have on the target what they had there one checkpoint before.
        given: whether nothing is written there, so that what differs was so before.
        missing, extra: names in `next` that the target lacks, and that it has besides.
        sent: which of the missing ones a `Send` made; `all_sent`: whether no other did.
        held: which of the extra ones are nodes that have just run.
        ran: the nodes that were due before, where `next` differs.
        by_tasks, input: whether tasks made it, and not somebody's update; whether it is an input.
        step, source, parent: whether these differ.
    """

    channels: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    literal: tuple[str, ...] = ()
    still: bool = False
    given: bool = False
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    all_sent: bool = False
    held: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    by_tasks: bool = False
    input: bool = False
    step: bool = False
    source: bool = False
    parent: bool = False

    @property
    def differs(self) -> bool:
        flags = self.step or self.source or self.parent
        return bool(self.channels or self.missing or self.extra or flags)


class Differences(Struct):
    """What differs between a source's root history and what was made of it.

    Attributes:
        places: by index the checkpoints that differ in what a target can hold.
        excused: how many checkpoints differ in each thing that no server can be given, by
            what it is.
        lacking, surplus: how many checkpoints the target has too few, or too many.
    """

    places: dict[int, Difference] = field(default_factory=dict)
    excused: Counter[str] = field(default_factory=Counter)
    lacking: int = 0
    surplus: int = 0

    @property
    def none(self) -> bool:
        return not (self.places or self.lacking or self.surplus)

    @property
    def weight(self) -> int:
        """To choose the lesser of two by: what the state is counts most."""
        places = self.places.values()
        wrong = sum(bool(place.channels) for place in places)
        astray = sum(bool(place.missing or place.extra) for place in places)
        return 10000 * (wrong + self.lacking + self.surplus) + 100 * astray + len(places)


class Comparison:
    """Compares checkpoints in step, newest first."""

    def __init__(self, outline: Outline) -> None:
        self.differences = Differences()
        self._outline = outline
        self._offsets: dict[int, int] = {}
        self._channels = ChannelComparison()
        self._later: tuple[Difference, Values] | None = None
        self._due: dict[int, list[int]] = {}
        self._kept: dict[int, list[tuple[int, Values]]] = {}
        self._parents: dict[str, list[int]] = {}

    def add(self, index: int, source: Checkpoint, target: Checkpoint) -> None:
        """Compares one checkpoint of the source with the one that stands for it."""
        found = Difference()
        found.channels, excused = self._channels.compare(source.values, target.values)
        self.differences.excused.update(excused)
        if found.channels:
            self._look_closer(index, source, target, found)
        if self._later is not None:
            (place, kept), self._later = self._later, None
            before = values_of(target.values)
            place.still = all(before.get(name) == kept.get(name) for name in place.channels)
        if found.channels:
            self._later = found, values_of(target.values)
        self._compare_next(index, source, target, found)
        self._compare_metadata(index, source, target, found)
        self._compare_parent(index, target)
        if found.differs:
            self._place(index, found)

    def _look_closer(
        self, index: int, source: Checkpoint, target: Checkpoint, found: Difference
    ) -> None:
        values = values_of(source.values)
        found.messages = tuple(
            name for name in found.channels if name in values and messages_of(values[name])
        )
        there = values_of(target.values)
        found.literal = tuple(
            name for name in found.channels if name in there and overwrites(there[name])
        )
        came = metadata_of(source)[0]
        found.given = came in ("input", "fork")
        parent = self._outline.parents[index]
        if came == "input" and parent != NONE:
            kept = {name: there[name] for name in found.channels if name in there}
            self._kept.setdefault(parent, []).append((index, kept))

    def _settle_kept(self, index: int, source: Checkpoint) -> None:
        """Excuses channels that an input emptied, together with the tasks that it dropped."""
        before = values_of(source.values)
        for child, kept in self._kept.pop(index):
            place = self.differences.places[child]
            same = {name for name, value in kept.items() if before.get(name) == value}
            if same and next_of(source):
                self.differences.excused["cut"] += 1
                place.channels = tuple(name for name in place.channels if name not in same)
            if not place.differs:
                del self.differences.places[child]

    def _place(self, index: int, found: Difference) -> None:
        known = self.differences.places.get(index)
        if known is not None:
            found.parent |= known.parent
        self.differences.places[index] = found

    def _compare_next(
        self, index: int, source: Checkpoint, target: Checkpoint, found: Difference
    ) -> None:
        if index in self._kept:
            self._settle_kept(index, source)
        if index in self._due:
            self._settle(index, source)
        if index == len(self._outline) - 1 and _run_again(source, target):
            self.differences.excused["waiting"] += 1
        if not _differ(source.next, target.next):
            return
        wanted, there = Counter(next_of(source)), Counter(next_of(target))
        missing, extra = wanted - there, there - wanted
        found.missing, found.extra = tuple(missing.elements()), tuple(extra.elements())
        if missing:
            pushed = Counter(task.name for task in tasks_of(source) if task.pushed)
            found.sent = tuple((missing & pushed).elements())
            found.all_sent = bool(pushed) and missing & pushed == pushed
        came = metadata_of(source)[0]
        parent = self._outline.parents[index]
        found.by_tasks = came != "update" and parent != NONE
        found.input = came == "input"
        if parent != NONE:
            self._due.setdefault(parent, []).append(index)

    def _settle(self, index: int, source: Checkpoint) -> None:
        """Tells of the children that lead elsewhere what was due before them."""
        names = next_of(source)
        for child in self._due.pop(index):
            place = self.differences.places.get(child)
            if place is None:
                continue
            place.ran = names
            left = tuple(name for name in place.extra if name not in names)
            if place.input and left != place.extra:
                # A run that begins anew drops the tasks that were due; an update cannot.
                self.differences.excused["cut"] += 1
                place.extra = left
            elif place.by_tasks:
                place.held = tuple(name for name in place.extra if name in names)
            if not place.differs:
                del self.differences.places[child]

    def _compare_metadata(
        self, index: int, source: Checkpoint, target: Checkpoint, found: Difference
    ) -> None:
        came, number = metadata_of(source)
        made, count = metadata_of(target)
        found.source = {"loop": "update"}.get(came, came) != made
        if number is not None and count is not None and number != count:
            self._offsets[index] = number - count

    def _compare_parent(self, index: int, target: Checkpoint) -> None:
        for child in self._parents.pop(target.checkpoint_id, ()):
            if self._outline.parents[child] in (index, NONE):
                continue
            if child in self._outline.copied:
                self.differences.excused["fork"] += 1
            else:
                self.differences.places.setdefault(child, Difference()).parent = True
        if target.parent_checkpoint_id is not None:
            self._parents.setdefault(target.parent_checkpoint_id, []).append(index)

    def finish(self) -> None:
        """Called after the oldest: looks at the step numbers, which begin anew on a target."""
        offset = self._offsets.get(0, 0) if self._outline.cut else 0
        shifted = 0
        for index, found in self._offsets.items():
            if found == offset:
                shifted += 1
                continue
            self.differences.places.setdefault(index, Difference()).step = True
        if shifted:
            self.differences.excused["step"] += shifted


def _differ(source: object, target: object) -> bool:
    if isinstance(source, UnsetType) or isinstance(target, UnsetType):
        return source is not target
    return source != target


def _run_again(source: Checkpoint, target: Checkpoint) -> bool:
    """Whether the same tasks are due, and others of them have finished."""
    mine, theirs = tasks_of(source), tasks_of(target)
    if Counter(task.name for task in mine) != Counter(task.name for task in theirs):
        return False
    waiting = Counter(task.name for task in mine if task.result is None)
    return waiting != Counter(task.name for task in theirs if task.result is None)
