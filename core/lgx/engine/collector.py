"""The garbage collector, made to pause less while a run moves data."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["calm_collector"]

_THRESHOLD = 10_000


@contextmanager
def calm_collector() -> Iterator[None]:
    """Collects less often and leaves out what was there before, for as long as it is entered.

    A run makes many objects and hardly any cycles, but each collection of the oldest ones
    walks through all that the process has imported: pauses of 50 ms and more, in which no
    request is sent and no answer read. What the process had set is there again when the last
    of its runs has left; where it froze objects itself, they are left alone.
    """
    _collector.calm()
    try:
        yield
    finally:
        _collector.release()


class _Collector:
    """The one of this process; several runs at once share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs = 0
        self._froze = False
        self._threshold = gc.get_threshold()

    def calm(self) -> None:
        with self._lock:
            self._runs += 1
            if self._runs > 1:
                return
            self._threshold = gc.get_threshold()
            self._froze = gc.isenabled() and not gc.get_freeze_count()
            if self._froze:
                gc.freeze()
            if self._threshold[0]:
                gc.set_threshold(max(self._threshold[0], _THRESHOLD), *self._threshold[1:])

    def release(self) -> None:
        with self._lock:
            self._runs -= 1
            if self._runs:
                return
            gc.set_threshold(*self._threshold)
            if self._froze:
                gc.unfreeze()


_collector = _Collector()
