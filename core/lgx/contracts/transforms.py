"""What changes records on their way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import ClassVar

from lgx.contracts.components import C, Component
from lgx.records import Record
from lgx.spool import Bundle
from lgx.threads import ThreadRef

__all__ = ["RecordTransform", "ThreadTransform", "Transform"]


class Transform(Component[C]):
    """Changes records; a subclass of one of the two below.

    It fails closed: where it raises, the thread does not reach the sink.
    """

    handles: frozenset[str]
    """Kinds that it understands. A kind in the plan that it does not handle is a usage
    error: a scrubber that knows only checkpoints would let store items through."""

    version: ClassVar[str] = "1"
    """Changed whenever the same options give another result: copies are then made anew."""

    def map_ref(self, ref: ThreadRef) -> ThreadRef:
        """The reference under which the target knows the thread; for those that change ids."""
        return ref


class RecordTransform(Transform[C]):
    """Sees one record at a time."""

    @abstractmethod
    def apply(self, record: Record) -> Iterable[Record]:
        """The records to put in its place: none drops it. Pure: the same record always
        gives the same result. Called for each record, threads' and extras alike."""


class ThreadTransform(Transform[C]):
    """Sees a whole thread at a time, for what a single record does not tell."""

    leaves_extras: ClassVar[bool] = False
    """Whether a deployment's own records may pass untouched, since its task ends with threads
    (keep the last checkpoints, cut a fork). Without it a plan that has them is refused."""

    @abstractmethod
    def apply(self, bundle: Bundle) -> AsyncIterator[Record]:
        """The records to put in place of the thread's. Not called for extras."""
