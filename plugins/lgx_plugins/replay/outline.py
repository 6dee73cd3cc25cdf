"""First look at a thread: how its checkpoints hang together, in a few bytes for each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from msgspec import Raw, Struct, UnsetType

from lgx import Checkpoint, Record
from lgx_plugins.replay.steps import metadata_of

__all__ = ["NONE", "Outline", "outline_of"]

NONE = -1
"""In place of an index: there is none."""


class Outline(Struct):
    """The root checkpoints of a thread in their order, by index from the oldest.

    Attributes:
        parents: of each the index of its parent; NONE for the first, and for those whose
            parent did not come.
        orphans: how many have a parent that did not come, or have none and are not the first.
        jumps: those whose number does not follow from that of what they were made of.
        cut: whether the history begins in the middle, as the first one had a parent.
        based: whether it begins with an input in the middle: what that came upon has to be made.
        guesses: whether there are updates of which no task tells.
        branched: those that are updated or copied when they are no longer the newest.
        kept: those that are needed again when they are no longer the newest.
        copied: of each checkpoint that is a copy (source `fork`) the index of the original.
        elsewhere: how many checkpoints stand in other namespaces.
    """

    parents: array[int]
    orphans: int = 0
    jumps: frozenset[int] = frozenset()
    cut: bool = False
    based: bool = False
    guesses: bool = False
    branched: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()
    copied: dict[int, int] = {}
    elsewhere: int = 0

    def __len__(self) -> int:
        return len(self.parents)

    def base(self, index: int) -> int:
        """What a checkpoint is made of on a target: its original, or its parent."""
        return self.copied.get(index, self.parents[index])


_NOBODY = Raw(b"[]")
_UNNUMBERED = -2


def outline_of(records: Iterable[Record]) -> Outline:
    """Reads all of a thread's records once.

    Raises:
        ThreadError: a checkpoint's metadata is not what an API gives.
    """
    indexes: dict[str, int] = {}
    parents = array("q")
    steps = array("q")
    digests = array("q")
    dues = array("q")
    forks: set[int] = set()
    orphans = elsewhere = 0
    idle: set[int] = set()
    cut = based = guesses = False
    for record in records:
        if not isinstance(record, Checkpoint):
            continue
        if record.checkpoint_ns:
            elsewhere += 1
            continue
        index = len(parents)
        parent = NONE
        if record.parent_checkpoint_id is not None:
            parent = indexes.get(record.parent_checkpoint_id, NONE)
            orphans += parent == NONE
            cut |= parent == NONE and index == 0
        source, step = metadata_of(record)
        if record.parent_checkpoint_id is None and index and source != "fork":
            orphans += 1
        based |= cut and index == 0 and source == "input"
        digest = 0 if isinstance(record.values, UnsetType) else hash(bytes(record.values))
        if record.next == _NOBODY:
            idle.add(index)
        guesses |= source == "loop" and parent in idle
        guesses |= source == "update" or parent < index - 1
        if source == "fork":
            forks.add(index)
        indexes[record.checkpoint_id] = index
        parents.append(parent)
        steps.append(_UNNUMBERED if step is None else step)
        digests.append(digest)
        dues.append(0 if isinstance(record.next, UnsetType) else hash(bytes(record.next)))
    copied = _originals(forks, parents, steps, digests, dues) if forks else {}
    bases = [copied.get(index, parent) for index, parent in enumerate(parents)]
    jumps = [i for i, base in enumerate(bases) if base == NONE or steps[i] != steps[base] + 1]
    branched = {base for index, base in enumerate(bases) if base not in (NONE, index - 1)}
    again = {parent for index, parent in enumerate(parents) if parent not in (NONE, index - 1)}
    return Outline(
        parents=parents,
        orphans=orphans,
        jumps=frozenset(jumps),
        cut=cut,
        based=based,
        guesses=guesses,
        branched=frozenset(branched),
        kept=frozenset(again | branched),
        copied=copied,
        elsewhere=elsewhere,
    )


def _originals(
    forks: set[int],
    parents: array[int],
    steps: array[int],
    digests: array[int],
    dues: array[int],
) -> dict[int, int]:
    """What each fork is a copy of: its parent (a run that began anew there), or a child of its
    parent (a copy made by request): the newest that has its values, the same due and the number
    before its own, or that number at least. What a run's command has changed in its values is
    none."""
    found: dict[int, int] = {}
    newest: dict[tuple[int, ...], int] = {}
    rows = zip(parents, steps, digests, dues, strict=True)
    for index, (parent, step, digest, due) in enumerate(rows):
        if index in forks and step != _UNNUMBERED:
            if parent != NONE and steps[parent] == step - 1:
                if digests[parent] == digest:
                    found[index] = parent
            else:
                like = newest.get((parent, step - 1))
                like = newest.get((parent, step - 1, digest), like)
                like = newest.get((parent, step - 1, digest, due), like)
                if like is not None:
                    found[index] = like
        newest[parent, step] = newest[parent, step, digest] = index
        newest[parent, step, digest, due] = index
    return found
