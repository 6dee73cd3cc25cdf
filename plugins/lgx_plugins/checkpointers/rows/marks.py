"""What lgx keeps beside a checkpointer's tables: which threads in them it wrote, and from where."""

from __future__ import annotations

from msgspec import Struct

from lgx import Bundle

__all__ = ["TABLE", "Kept", "to_keep"]

TABLE = "lgx_marks"
"""Columns: thread_id (the key), source, version, fingerprint, checkpoints, written.

The thread id alone is the key, as it is in the tables of the checkpointer: two sources cannot
have a thread of one id there. A mark stands for as long as its thread does, and is written in
the transaction that writes the thread.
"""


class Kept(Struct, frozen=True, kw_only=True):
    """The mark of one thread.

    Attributes:
        version: None, as is the fingerprint, where the copy is not whole: lgx wrote it, and
            the next run reads it again.
        written: the digest of the thread's rows when lgx wrote them. Where the rows have
            another one, somebody has gone on with the copy.
    """

    source: str
    version: str | None
    fingerprint: str | None
    checkpoints: int
    written: str


def to_keep(source: str, bundle: Bundle, written: str) -> Kept:
    """The mark of a thread that was just written."""
    mark = bundle.mark
    return Kept(
        source=source,
        version=mark.version if mark else None,
        fingerprint=mark.fingerprint if mark else None,
        checkpoints=bundle.checkpoints,
        written=written,
    )
