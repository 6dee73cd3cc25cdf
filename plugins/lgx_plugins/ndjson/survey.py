"""The first pass over a file: which threads cannot be passed on line by line as they stand."""

from __future__ import annotations

from lgx import CHECKPOINT_KINDS
from lgx_plugins.ids import id_digest
from lgx_plugins.ndjson.lines import Envelope

__all__ = ["Survey"]


class Survey:
    """Is shown the envelope of each line, and tells the loose threads.

    A thread is loose where its lines do not stand together, where a child comes before its
    parent or a checkpoint before its thread, where a record comes twice, or where a tombstone
    voids what stood before it. Digests stand for ids, so that a million threads take little
    room.
    """

    def __init__(self) -> None:
        self.records = 0
        self._seen: set[bytes] = set()
        self._loose: set[bytes] = set()
        self._current: str | None = None
        self._identities: set[bytes] = set()
        self._awaited: set[bytes] = set()
        self._others = False

    def is_loose(self, thread_id: str) -> bool:
        return id_digest(thread_id) in self._loose

    def show(self, envelope: Envelope | None, owner: str | None) -> None:
        """One line; `envelope` is None for a malformed one, of which the owner is guessed."""
        self.records += envelope is not None
        if owner != self._current:
            self._begin(owner)
        if owner is None or envelope is None:
            return
        if self._out_of_place(envelope):
            self._loose.add(id_digest(owner))

    def _begin(self, owner: str | None) -> None:
        self._current = owner
        self._identities = set()
        self._awaited = set()
        self._others = False
        if owner is None:
            return
        key = id_digest(owner)
        if key in self._seen:
            self._loose.add(key)
        self._seen.add(key)

    def _out_of_place(self, envelope: Envelope) -> bool:
        first = not self._identities and not self._others
        identity = envelope.identity
        if identity is None:
            self._others = True
            return envelope.kind == "tombstone"
        key = id_digest(*identity)
        if key in self._identities:
            return True
        self._identities.add(key)
        if envelope.kind == "thread":
            return not first
        if envelope.kind not in CHECKPOINT_KINDS:
            self._others = True
            return False
        parent = envelope.parent
        if parent is not None and (awaited := id_digest(*parent)) not in self._identities:
            self._awaited.add(awaited)
        return self._others or key in self._awaited
