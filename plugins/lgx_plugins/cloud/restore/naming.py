"""Ids that a server takes: it insists on UUIDs."""

from __future__ import annotations

import hashlib
import uuid

__all__ = ["Renamed", "kept_apart", "kept_id", "plain_id"]

_TOLD = 3  # examples
_WIDEST = 40  # characters of an id in one

_LGX = uuid.UUID("6c677800-7468-5265-a164-732d69647321")


def plain_id(thread_id: str) -> str:
    """The id under which a thread stands on a server: its own, if it is a UUID.

    Any other always becomes the same UUID (version 5), so that a later run finds the thread.
    """
    if len(thread_id) == 36:
        try:
            own = str(uuid.UUID(thread_id))
        except ValueError:
            return _made(thread_id)
        if own == thread_id.lower():  # which is what servers make of it
            return own
    return _made(thread_id)


def kept_apart(thread_id: str, source: str) -> str:
    """The id for a thread where a copy of another source's thread stands under the plain one."""
    return _made(f"{source}\0{thread_id}")


def kept_id(thread_id: str) -> str:
    """An id as a server keeps it in metadata: with U+FFFD for what JSON has and it has not."""
    return thread_id.replace("\0", "\ufffd")


def _made(name: str) -> str:
    # As `uuid.uuid5`, which fails on text that UTF-8 has no place for.
    text = name.encode("utf-8", "surrogatepass")
    digest = hashlib.sha1(_LGX.bytes + text, usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


class Renamed:
    """The threads that have another id on the target: how many, and the first few."""

    def __init__(self) -> None:
        self._count = 0
        self._told: list[str] = []

    def add(self, old: str, new: str) -> None:
        self._count += 1
        if len(self._told) < _TOLD:
            short = old if len(old) <= _WIDEST else f"{old[: _WIDEST - 1]}…"
            self._told.append(f"{short!r} is {new}")

    def note(self) -> str | None:
        """One sentence for the report; None where there are none."""
        if not self._count:
            return None
        more = f" and {self._count - _TOLD:,} more" if self._count > _TOLD else ""
        threads = "1 thread has" if self._count == 1 else f"{self._count:,} threads have"
        return (
            f"{threads} another id on the target, which takes only UUIDs ({', '.join(self._told)}"
            f"{more}); the report has the map, and each thread's metadata.lgx.thread_id its old id"
        )
