"""Provenance: what checkpoints were where they came from, for as many as a run rebuilds."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from lgx.budget import Budget
from lgx.spool import Spool
from lgx.threads import Origin

__all__ = ["Provenance"]

_KEEP = 1 << 20


class Provenance:
    """By thread the origins of its checkpoints, oldest first; the most of it lies on disk.

    Its file has no name, and goes when the object does.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """`directory`: where to keep what does not stay in memory."""
        self._spool = Spool(Budget(_KEEP), directory, _KEEP)
        weakref.finalize(self, self._spool.close)

    def add(self, thread_id: str, origins: Sequence[Origin]) -> None:
        """
        Raises:
            FatalError: the disk is full.
        """
        line = b"%b: %b" % (msgspec.json.encode(thread_id), msgspec.json.encode(origins))
        self._spool.append_line(line, checkpoint=False)

    def __len__(self) -> int:
        """Of how many threads."""
        return len(self._spool)

    def __iter__(self) -> Iterator[tuple[str, tuple[Origin, ...]]]:
        for line in self._spool.lines():
            ((thread_id, origins),) = _decoder.decode(b"{%b}" % line).items()
            yield thread_id, origins

    def lines(self) -> Iterator[bytes]:
        """A member of a JSON object for each thread."""
        return self._spool.lines()


_decoder = msgspec.json.Decoder(dict[str, tuple[Origin, ...]])
