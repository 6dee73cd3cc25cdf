"""How a rebuilt history differs from the one that it was made of."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

__all__ = ["Difference", "Differences"]


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
        inherited: whether it differs in no more of `next` than what it was made of.
        by_tasks, input: whether tasks made it, and not somebody's update; whether it is an input.
        detached: whether it was made of one that was not the newest.
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
    inherited: bool = False
    by_tasks: bool = False
    input: bool = False
    detached: bool = False
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
        cut: of inputs, what is due there though it was dropped.
        lacking, surplus: how many checkpoints the target has too few, or too many.
    """

    places: dict[int, Difference] = field(default_factory=dict)
    excused: Counter[str] = field(default_factory=Counter)
    cut: dict[int, tuple[str, ...]] = field(default_factory=dict)
    lacking: int = 0
    surplus: int = 0

    @property
    def none(self) -> bool:
        return not (self.places or self.lacking or self.surplus)

    @property
    def weight(self) -> int:
        """To choose the lesser of two by: what the state is counts most."""
        places = self.places.values()
        wrong = sum(len(place.channels) for place in places)
        astray = sum(bool(place.missing or place.extra) for place in places)
        count = self.lacking + self.surplus
        return (count << 60) + (wrong << 40) + (astray << 20) + len(places)
