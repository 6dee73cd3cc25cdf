"""Snapshots of DeltaChannels, which all checkpoints share that have the channel in their version.

PostgreSQL keeps values by version: whoever reads a checkpoint there finds the snapshot, whichever
checkpoint it was made at. A document that is kept whole has it at that one alone.
"""

from __future__ import annotations

from msgspec import UnsetType

from lgx import ChannelBlob, RawCheckpoint
from lgx_plugins.checkpointers.rows.encryption import is_encrypted
from lgx_plugins.checkpointers.rows.values import Values
from lgx_plugins.checkpointers.state.rendering import Opener, Typed
from lgx_plugins.checkpointers.state.stored import Stored, named, version_text

__all__ = ["Shared", "is_snapshot"]

_CODE = b"\x07"
_CODE_AT = {0xC7: 2, 0xC8: 3, 0xC9: 5, 0xD4: 1, 0xD5: 1, 0xD6: 1, 0xD7: 1, 0xD8: 1}
"""Where an extension of msgpack has its code, by its first byte."""

_NEUTRAL = b'{"__lgx__":"delta_snapshot"'


def is_snapshot(typed: Typed, opener: Opener, what: str) -> bool:
    """Raises as `Opener.neutral`."""
    type_, blob = typed
    if not blob or not (is_encrypted(type_ or "") or _may_be_one(blob)):
        return False
    return opener.neutral(typed, what).startswith(_NEUTRAL)


def _may_be_one(blob: bytes) -> bool:
    at = _CODE_AT.get(blob[0])
    if at is not None:
        return blob[at : at + 1] == _CODE
    return blob[:1] == b"{" and b"delta_snapshot" in blob


class Shared:
    """Of one thread: `learn` all checkpoints, then `complete` each. Closed by its maker."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._values = Values()
        self._any = False

    def learn(self, record: RawCheckpoint, stored: Stored) -> None:
        """Raises as `is_snapshot`."""
        for channel, typed in stored.values.items():
            version = stored.versions.get(channel)
            what = f"channel {channel!r} of {named(record)}"
            if version is not None and is_snapshot(typed, self._opener, what):
                self._any = True
                self._values.keep(
                    ChannelBlob(
                        thread_id=record.thread_id,
                        checkpoint_ns=record.checkpoint_ns,
                        channel=channel,
                        version=version_text(version),
                        type=typed[0] or "",
                        blob=typed[1],
                    )
                )

    def complete(self, record: RawCheckpoint, stored: Stored) -> None:
        """Gives a checkpoint the snapshots of its versions, in place of no value."""
        if not self._any or not isinstance(record.document, UnsetType):
            return
        for channel, version in stored.versions.items():
            if channel not in stored.values:
                key = (record.checkpoint_ns, channel, version_text(version))
                typed = self._values.find(key)
                if typed is not None:
                    stored.values[channel] = typed

    def close(self) -> None:
        """May be called again."""
        self._values.clear()
