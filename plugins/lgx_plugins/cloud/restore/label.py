"""What lgx keeps in a thread's metadata on a server: the mark of a copy, or that it is none yet."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from lgx import Mark, ThreadOrigin

__all__ = ["KEY", "Label", "is_labelled", "label_of"]

KEY = "lgx"
"""The reserved key. What stands under it is never copied from server to server, nor compared;
files and databases keep it, as they keep everything."""


class Label(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    Attributes:
        version: the source's version of the copy.
        fingerprint: of what shaped the copy; see `lgx.Mark`.
        source: the source's identity.
        checkpoints: how many the copy holds.
        fidelity: `replayed`, `values` or `latest`.
        head: id of the newest checkpoint when the copy was finished: while it is the newest,
            nobody has gone on with the thread here.
        state_at: when the server said that its state last changed, and `metadata`: digest of its
            metadata without this, when the copy was finished; for the same purpose.
        unfinished: it is being written, or was when that was cut short, by `attempt`. Such a
            thread is no copy of anything, and the next run replaces it.
        compared: whether it was read back and compared. A run that compares all does not
            take another copy for its own.
        here: the thread's id on this server. A copy that a server makes of the thread has this
            label, too, which is not its own; None: it was written by lgx before it said so.
        thread_id, graph_id: those at the source, where it has others here.
        provenance: what it was there, where that was asked for.
    """

    version: str = ""
    fingerprint: str = ""
    source: str = ""
    checkpoints: int = 0
    fidelity: str = ""
    head: str | None = None
    state_at: str | None = None
    metadata: str | None = None
    unfinished: bool = False
    attempt: str | None = None
    compared: bool = True
    here: str | None = None
    thread_id: str | None = None
    graph_id: str | None = None
    provenance: ThreadOrigin | None = None

    @property
    def mark(self) -> Mark | None:
        """None where the thread does not stand whole."""
        if self.unfinished or not self.version:
            return None
        return Mark(
            version=self.version, fingerprint=self.fingerprint, checkpoints=self.checkpoints
        )


class _Look(Label, frozen=True, kw_only=True):
    """As it is looked up: its longest part is left unread."""

    provenance: Raw = Raw(b"null")  # type: ignore[assignment]  # of no use to whoever looks


_ATTEMPT = re.compile("[0-9a-f]{32}")  # what is not in full is somebody else's
_decoder = msgspec.json.Decoder(_Look)


def label_of(metadata: Mapping[str, Raw], thread_id: str) -> Label | None:
    """The label in a thread's metadata; None where there is none of lgx's, or another thread's."""
    label = _read(metadata)
    return label if label is not None and label.here in (None, thread_id) else None


def is_labelled(metadata: Mapping[str, Raw]) -> bool:
    """Whether a label is there, be it another thread's."""
    return _read(metadata) is not None


def _read(metadata: Mapping[str, Raw]) -> Label | None:
    if KEY not in metadata:
        return None
    try:
        label = _decoder.decode(metadata[KEY])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    whole = label.attempt is not None and _ATTEMPT.fullmatch(label.attempt) is not None
    ours = label.source and (whole if label.unfinished else label.fidelity)
    return msgspec.structs.replace(label, provenance=Raw(b"null")) if ours else None
