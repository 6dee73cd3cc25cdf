"""What lgx keeps in a thread's metadata on a server: the mark of a copy, or that it is none yet."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from lgx import Mark, split_object

__all__ = ["KEY", "Label", "Origin", "label_of", "without_label"]

KEY = "lgx"
"""The reserved key; what stands under it is never copied, nor compared."""


class Origin(Struct, frozen=True, array_like=True):
    """What a checkpoint was where it came from, which a server cannot be given."""

    checkpoint_id: str
    created_at: str | None
    run_id: str | None


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
        unfinished: the attempt that is writing it, or was when it was cut short. Such a thread is
            no copy of anything, and the next run replaces it.
        thread_id: its id at the source, where that was no UUID.
        provenance: of its checkpoints, from the oldest to the newest, where it was asked for.
    """

    version: str = ""
    fingerprint: str = ""
    source: str = ""
    checkpoints: int = 0
    fidelity: str = ""
    head: str | None = None
    unfinished: str | None = None
    thread_id: str | None = None
    provenance: tuple[Origin, ...] = ()

    @property
    def mark(self) -> Mark | None:
        """None where the thread does not stand whole."""
        if self.unfinished is not None or not self.version:
            return None
        return Mark(
            version=self.version, fingerprint=self.fingerprint, checkpoints=self.checkpoints
        )


_decoder = msgspec.json.Decoder(Label)


def label_of(metadata: dict[str, Raw]) -> Label | None:
    """The label in a thread's metadata; None where there is none of ours."""
    if KEY not in metadata:
        return None
    try:
        return _decoder.decode(metadata[KEY])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def without_label(metadata: Raw) -> dict[str, Raw]:
    """Metadata as a source's, without what lgx keeps there."""
    fields = split_object(metadata)
    fields.pop(KEY, None)
    return fields
