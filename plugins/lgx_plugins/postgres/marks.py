"""The marks that stand in the target: what `held` answers with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from lgx import Mark
from lgx_plugins.postgres.cells import escape_text, restore_text
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["Marks"]

_MOST = 50_000
"""So many are kept in memory, at some 300 bytes each."""

_SLOTS = 1 << 24
"""What was written is remembered by a slot for each thread, which others share: to be sure, one
asks the database. Memory that nobody touches costs nothing."""


class Marks:
    """Of one source's threads. A stream asks for one thread at a time: where there are not too
    many, all are read at once, which nobody else changes while the run holds the target."""

    def __init__(self, names: Names, source: str) -> None:
        self._sql = (
            "SELECT thread_id, source_version, fingerprint, coalesce(checkpoints, 0) "
            f"FROM {names('threads')} WHERE source_url = $1 AND source_version IS NOT NULL "
            "AND fingerprint IS NOT NULL"
        )
        self._source = escape_text(source).decode()
        self._kept: dict[str, Mark] | None = None
        self._read = False
        self._changed = bytearray(_SLOTS)

    def known(self, thread_ids: Sequence[str]) -> Mapping[str, Mark] | None:
        """The marks of these threads, None where the database must be asked."""
        if self._kept is None or any(self._changed[slot] for slot in map(_slot, thread_ids)):
            return None
        return {one: self._kept[one] for one in thread_ids if one in self._kept}

    async def find(self, connection: Connection, thread_ids: Sequence[str]) -> Mapping[str, Mark]:
        """The marks of these threads, asked for in the caller's transaction."""
        if not self._read:
            self._read = True
            rows = await connection.fetch(f"{self._sql} LIMIT {_MOST + 1}", self._source)
            if len(rows) <= _MOST:
                self._kept = _marks(rows)
                if (found := self.known(thread_ids)) is not None:
                    return found
        wanted = [escape_text(one).decode() for one in thread_ids]
        return _marks(
            await connection.fetch(f"{self._sql} AND thread_id = ANY ($2)", self._source, wanted)
        )

    def change(self, thread_ids: Iterable[str]) -> None:
        """Says that these were written or removed: they are asked for again."""
        for slot in map(_slot, thread_ids):
            self._changed[slot] = 1


def _slot(thread_id: str) -> int:
    return hash(thread_id) % _SLOTS


def _marks(rows: Iterable[tuple[str, str, str, int]]) -> dict[str, Mark]:
    return {
        restore_text(thread_id): Mark(
            version=restore_text(version),
            fingerprint=restore_text(fingerprint),
            checkpoints=count,
        )
        for thread_id, version, fingerprint, count in rows
    }
