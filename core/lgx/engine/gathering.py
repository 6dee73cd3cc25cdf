"""Gathering: the records of one thread on their way into its spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec import UNSET, Raw

from lgx.engine.plan import Plan
from lgx.errors import ThreadError
from lgx.forms import Form, form_of, kinds_of, not_taken, words
from lgx.records import (
    ANY_KIND,
    CHECKPOINT_KINDS,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    Record,
)
from lgx.spool import Spool

__all__ = ["Gathering"]

_TOGETHER = 100  # records encoded at once …
_TOGETHER_BYTES = 1 << 20  # … or fewer, where they are large
_OTHER: Mapping[Form, Form] = {"raw": "state", "state": "raw"}


class Gathering:
    """The records of one thread while they come in.

    A record that cannot be kept fails the thread, not the read: what follows of that thread
    is passed over, up to its end.

    Attributes:
        checkpoints: that came, kept or not.
        unheld: records of kinds that the sink has no place for, by kind.
        error: why the thread cannot be kept.
    """

    def __init__(self, plan: Plan, spool: Spool) -> None:
        self._plan = plan
        self._travels: dict[str, bool] = {}
        self._owner: str | None = None
        self._pending: list[Record] = []  # encoded together, which is several times as fast
        self._pending_bytes = 0
        self.spool = spool
        self.checkpoints = 0
        self.unheld: Counter[str] = Counter()
        self.error: str | None = None

    def add(self, record: Record) -> bool:
        """Takes a record; True now and then, when it is time to let others run."""
        kind = record.kind
        travels = self._travels.get(kind)
        if travels is None:
            travels = self._travels[kind] = self._plan.travels(kind)
        if not travels:
            self.unheld[kind] += 1
            return False
        if type(record) is Checkpoint:
            self.checkpoints += 1
            if record.thread_id != self._owner:
                self._belongs(record.thread_id)
            if record.values is not UNSET:
                self._pending_bytes += memoryview(record.values).nbytes
            if record.tasks is not UNSET:
                self._pending_bytes += memoryview(record.tasks).nbytes
        else:
            self.checkpoints += kind in CHECKPOINT_KINDS
            self._belongs(getattr(record, "thread_id", None))
            self._pending_bytes += _weight(record)
        self._pending.append(record)
        if len(self._pending) < _TOGETHER and self._pending_bytes < _TOGETHER_BYTES:
            return False
        self.flush()
        return True

    def _belongs(self, owner: str | None) -> None:
        if owner is None or owner == self._owner:
            return
        if self._owner is not None:
            self._fail(f"a record of thread {owner!r} came among those of {self._owner!r}")
        self._owner = owner

    def end(self, thread_id: str) -> None:
        """The thread of that id has ended."""
        self.flush()
        if self._owner is not None and self._owner != thread_id:
            self._fail(f"records of thread {self._owner!r} ended as those of {thread_id!r}")
        self._refuse_without_checkpoints()

    def _refuse_without_checkpoints(self) -> None:
        """Fails a thread that came with checkpoints and would go without: there would be a
        thread in the target that looks whole and is empty.

        Where the run moves one form on purpose, a thread that has both goes with that one.
        """
        excluded = self._plan.excluded
        left = {
            kind: count
            for kind, count in self.unheld.items()
            if kind in CHECKPOINT_KINDS and (kind not in excluded or not self.checkpoints)
        }
        if not left:
            return
        form, sink = form_of(left), self._plan.sink
        for kind in kinds_of(form):
            del self.unheld[kind]  # told with the thread
        others = self.checkpoints
        self.checkpoints += sum(left.values())
        if sink.accepts == ANY_KIND or sink.accepts & left.keys():
            why = f"which this run leaves out; move them with --fidelity {form}"
        else:
            why = f"which {not_taken(form, f'the {sink.name} sink', sink.takes_with)}"
            if others:
                why += f"; those in the other form are moved with --fidelity {_OTHER[form]}"
        if self.error is None:
            which = "some of its" if others else "its"
            self.error = f"{which} checkpoints are {words(form)}, {why}"

    def flush(self) -> None:
        """Brings what came so far into the spool."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if self.error is None:
            try:
                self.spool.extend(pending)
            except ThreadError as error:
                self.error = str(error)

    def _fail(self, what: str) -> None:
        if self.error is None:
            self.error = f"{what}; the source's plugin is at fault"


def _weight(record: Record) -> int:
    """Bytes of a record's bulk values."""
    if type(record) is CheckpointWrite or type(record) is ChannelBlob:  # most, where there are any
        return len(record.blob or b"")
    size = 0
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Raw):
            size += memoryview(value).nbytes
        elif isinstance(value, bytes):
            size += len(value)
        elif name == "extra" and value is not UNSET:
            size += sum(memoryview(part).nbytes for part in value.values())
    return size
