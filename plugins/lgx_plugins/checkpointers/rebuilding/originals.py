"""What checkpoints were called at their source, given to those that are rebuilt.

A server gives its own ids, times and metadata to all that it makes; a checkpointer takes any.
The ids are given while the thread is rebuilt and not afterwards: those of tasks, of subgraphs'
namespaces and of interrupts are made of them, and come out as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from msgspec import Raw, Struct, UnsetType

from lgx import Checkpoint, ThreadError, split_object

__all__ = ["Original", "Originals"]

_COUNTERS = "counters_since_delta_snapshot"  # of the snapshots that the rebuilt thread has


class Original(Struct, frozen=True):
    """
    Attributes:
        parent: None where it had none.
        ts: when it was made; None where the source does not tell.
        metadata: None where there is none.
    """

    id: str
    parent: str | None
    ts: str | None
    metadata: dict[str, Raw] | None


class Originals:
    """Of one attempt at a thread: asked for each checkpoint in the order in which they are made.

    Attributes:
        kept: whether the source's can be given: their ids are UUIDs, and sort as they came.
    """

    def __init__(self, records: Iterable[Checkpoint], before: int) -> None:
        """`before`: how many checkpoints are made that stand for none of these, before them."""
        self._records = records
        self._before = before
        self.kept = _keepable(records, before)
        self._coming = self._all()

    def next(self) -> Original | None:
        """What the checkpoint that is made now was called; None: it keeps its own."""
        return next(self._coming, None) if self.kept else None

    def _all(self) -> Iterator[Original]:
        for number, record in enumerate(self._records):
            if number == 0 and self._before:
                assert record.parent_checkpoint_id is not None, "so it was seen to be"
                yield Original(record.parent_checkpoint_id, None, record.created_at, None)
            yield Original(
                record.checkpoint_id,
                record.parent_checkpoint_id,
                record.created_at,
                _metadata(record),
            )


def _metadata(record: Checkpoint) -> dict[str, Raw] | None:
    if isinstance(record.metadata, UnsetType):
        return None
    try:
        fields = split_object(record.metadata)
    except ThreadError:
        return None
    fields.pop(_COUNTERS, None)
    return fields


def _keepable(records: Iterable[Checkpoint], before: int) -> bool:
    newest = ""
    for number, record in enumerate(records):
        ids = [record.checkpoint_id]
        if number == 0 and before:
            if before > 1 or record.parent_checkpoint_id is None:
                return False
            ids.insert(0, record.parent_checkpoint_id)
        for one in ids:
            if one <= newest or not _is_uuid(one):
                return False
            newest = one
    return True


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
