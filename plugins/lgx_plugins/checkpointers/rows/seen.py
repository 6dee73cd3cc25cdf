"""Which values of a thread came already."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import has_sets, meaning
from lgx_plugins.ids import id_digest
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Seen"]

_IN_MEMORY = 50_000
_SEEN = "CREATE TABLE seen (key BLOB PRIMARY KEY, held) WITHOUT ROWID"

_QUICK = struct.Struct("<qQ")

_Key: TypeAlias = tuple[str, str, str]
_Held: TypeAlias = bytes
"""A hash of the bytes, and of their meaning where that is not the same."""


class Seen:
    """Which values came already, by namespace, channel and version; what is too much for memory
    lies on disk."""

    def __init__(self) -> None:
        self._recent: dict[_Key, _Held] = {}
        self._database: ScratchDatabase | None = None

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def add(self, key: _Key, value: memoryview, what: str) -> bool:
        """Whether it is the first one under that key.

        Raises:
            ThreadError: another value came under it.
        """
        quick = _QUICK.pack(hash(value), len(value))
        held = self._recent.get(key)
        if held is None and self._database is not None:
            found = self._database.row("SELECT held FROM seen WHERE key = ?", (id_digest(*key),))
            held = None if found is None else found[0]
        if held is not None:
            if held.startswith(quick) or (has_sets(value) and held.endswith(meaning(value))):
                return False
            _, channel, version = key
            raise ThreadError(
                f"{what} has another value of channel {channel!r} than a checkpoint before it, "
                f"under the same version {version!r}: versions that count up (of InMemorySaver, "
                "and of JavaScript) do so in branches of a thread; copy it between tables of one "
                "layout, or into an archive"
            )
        if len(self._recent) >= _IN_MEMORY:
            self._put_aside()
        self._recent[key] = quick + meaning(value) if has_sets(value) else quick
        return True

    def _put_aside(self) -> None:
        if self._database is None:
            self._database = ScratchDatabase(_SEEN)
        rows: Iterator[tuple[bytes, bytes]] = (
            (id_digest(*key), held) for key, held in self._recent.items()
        )
        self._database.insert("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)
        self._recent.clear()
