"""Gathering: the records of one thread on their way into its spool."""

from __future__ import annotations

from msgspec import UNSET

from lgx.engine.plan import Plan, kind_of
from lgx.engine.tally import Tally
from lgx.errors import ThreadError
from lgx.records import ANY_KIND, Checkpoint, Record
from lgx.spool import Spool

__all__ = ["Gathering"]

_TOGETHER = 100  # records encoded at once …
_TOGETHER_BYTES = 1 << 20  # … or fewer, where they are large


class Gathering:
    """The records of one thread while they come in.

    A record that cannot be kept fails the thread, not the read: what follows of that thread
    is passed over, up to its end.
    """

    def __init__(self, plan: Plan, tally: Tally, spool: Spool) -> None:
        self._travels = None if plan.kinds == ANY_KIND else plan.kinds
        self._tally = tally
        self._pending: list[Record] = []  # encoded together, which is several times as fast
        self._pending_bytes = 0
        self.spool = spool
        self.checkpoints = 0
        self.error: str | None = None

    def add(self, record: Record) -> None:
        kind = kind_of(record)
        if type(record) is Checkpoint:
            self.checkpoints += 1
            if record.values is not UNSET:
                self._pending_bytes += memoryview(record.values).nbytes
        if self._travels is not None and kind not in self._travels:
            self._tally.unheld(kind)
            return
        self._pending.append(record)
        if len(self._pending) >= _TOGETHER or self._pending_bytes >= _TOGETHER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Brings what came so far into the spool."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if self.error is None:
            try:
                self.spool.extend(pending)
            except ThreadError as error:
                self.error = str(error)
