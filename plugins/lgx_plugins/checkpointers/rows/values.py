"""The values of a thread's channels, to be found again: in memory while they are few."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from lgx import Bundle, ChannelBlob, decode_line
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Key", "Typed", "Values", "blobs_of", "count_blobs"]

Key: TypeAlias = tuple[str, str, str]
"""Namespace, channel and version."""

Typed: TypeAlias = tuple[str, bytes | None]
"""Type and bytes."""

_BLOB = b'{"kind":"channel_blob",'
_IN_MEMORY = 4 << 20
"""Bytes of a thread that lies in memory, as the records that it is."""

_KEEP = 4 << 20  # bytes that may stay in memory
_SCHEMA = (
    "CREATE TABLE vals (ns, channel, version, type, blob, used, PRIMARY KEY (ns, channel, version))"
)
_INSERT = "INSERT OR IGNORE INTO vals VALUES (?, ?, ?, ?, ?, ?)"
_FIND = "SELECT type, blob, used FROM vals WHERE ns = ? AND channel = ? AND version = ?"
_USE = "UPDATE vals SET used = 1 WHERE ns = ? AND channel = ? AND version = ?"
_UNUSED = "SELECT count(*) FROM vals WHERE NOT used"


class Values:
    """Values of one thread, by their key. Closed by its maker."""

    def __init__(self) -> None:
        self._kept: dict[Key, Typed] = {}
        self._used: set[Key] = set()
        self._size = 0
        self._database: ScratchDatabase | None = None
        self._ns: str | None = None
        self._last: dict[str, tuple[str, Typed | None]] = {}

    def keep(self, blob: ChannelBlob) -> Key:
        """Takes a value; of several with one key the first stands."""
        key = (blob.checkpoint_ns, blob.channel, blob.version)
        self._last.clear()
        self._kept.setdefault(key, (blob.type, blob.blob))
        self._size += len(blob.blob or b"") + sum(map(len, key))
        if self._size > _KEEP:
            if self._database is None:
                self._database = ScratchDatabase(_SCHEMA)
            self._database.insert(
                _INSERT,
                ((*key, *typed, int(key in self._used)) for key, typed in self._kept.items()),
            )
            self._kept.clear()
            self._used.clear()
            self._size = 0
        return key

    def has(self, key: Key) -> bool:
        """Whether there is such a value; it does not count as found."""
        if key in self._kept:
            return True
        return self._database is not None and self._database.row(_FIND, key) is not None

    def find(self, key: Key) -> Typed | None:
        """Type and bytes; None where there is no such value."""
        typed = self._kept.get(key)
        if typed is not None:
            self._used.add(key)
            return typed
        if self._database is None:
            return None
        ns, channel, version = key
        if ns != self._ns:
            self._ns = ns
            self._last.clear()
        # Most channels keep their value from one checkpoint of a namespace to the next.
        last = self._last.get(channel)
        if last is None or last[0] != version:
            last = self._last[channel] = (version, self._read(self._database, key))
        return last[1]

    def _read(self, database: ScratchDatabase, key: Key) -> Typed | None:
        row = database.row(_FIND, key)
        if row is None:
            return None
        if not row[2]:
            database.execute(_USE, key)
        return row[0], row[1]

    @property
    def unused(self) -> int:
        """How many were never found."""
        count = len(self._kept) - len(self._used)
        if self._database is not None:
            ((found,),) = self._database.rows(_UNUSED)
            count += found
        return count

    def clear(self) -> None:
        """Forgets everything. May be called again."""
        self._kept.clear()
        self._used.clear()
        self._last.clear()
        self._size = 0
        self._ns = None
        if self._database is not None:
            self._database.close()
            self._database = None


def count_blobs(bundle: Bundle) -> int:
    """How many values of channels it has apart."""
    if bundle.size <= _IN_MEMORY:
        return sum(isinstance(record, ChannelBlob) for record in bundle)
    return sum(map(_blobs_in, bundle.blocks()))


def blobs_of(bundle: Bundle) -> Iterator[ChannelBlob]:
    """Those values."""
    if bundle.size <= _IN_MEMORY:
        yield from (record for record in bundle if isinstance(record, ChannelBlob))
        return
    for line in bundle.lines():
        if line.startswith(_BLOB):
            record = decode_line(line)
            assert isinstance(record, ChannelBlob), "its line says so"
            yield record


def _blobs_in(block: bytes) -> int:
    return block.startswith(_BLOB) + block.count(b"\n" + _BLOB)
