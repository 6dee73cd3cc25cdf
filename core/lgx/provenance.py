"""Provenance: what threads were where they came from, for as many as a run rebuilds."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lgx.budget import Budget
from lgx.spool import Spool
from lgx.threads import ThreadOrigin

__all__ = ["Provenance"]

_KEEP = 1 << 20


class Provenance:
    """By thread what it was, and its checkpoints; the most of it lies on disk.

    Its file has no name, and goes when the object does.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """`directory`: where to keep what does not stay in memory."""
        self._spool = Spool(Budget(_KEEP), directory, _KEEP)
        weakref.finalize(self, self._spool.close)

    def add(self, thread_id: str, origin: ThreadOrigin) -> None:
        """
        Raises:
            FatalError: the disk is full.
        """
        line = b"%b: %b" % (msgspec.json.encode(thread_id), msgspec.json.encode(origin))
        self._spool.append_line(line, checkpoint=False)

    def __len__(self) -> int:
        """Of how many threads."""
        return len(self._spool)

    def __iter__(self) -> Iterator[tuple[str, ThreadOrigin]]:
        for line in self._spool.lines():
            ((thread_id, origin),) = _decoder.decode(b"{%b}" % line).items()
            yield thread_id, origin

    def lines(self) -> Iterator[bytes]:
        """A member of a JSON object for each thread."""
        return self._spool.lines()


_decoder = msgspec.json.Decoder(dict[str, ThreadOrigin])
