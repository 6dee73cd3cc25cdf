"""What lgx keeps in the metadata of a thread that it rebuilt on a server."""

from __future__ import annotations

from hashlib import blake2b

import msgspec
from msgspec import Raw, Struct

from lgx.canonical import canonical
from lgx.errors import ThreadError
from lgx.jsontext import split_object
from lgx.records import Json

__all__ = ["RESERVED", "Label", "label_of"]

_KEY = "lgx"
_REACHED = ("replayed", "values", "latest")

RESERVED = frozenset(
    {
        _KEY,
        *("thread_id", "assistant_id", "run_id", "cron_id"),
        "counters_since_delta_snapshot",
    }
)
"""Keys of a thread's metadata that are lgx's, or that servers take from nobody."""


class _Kept(Struct):
    fidelity: str = ""
    unfinished: bool = False
    attempt: str = ""
    thread_id: str | None = None
    graph_id: str | None = None


class Label(Struct, frozen=True):
    """
    Attributes:
        digest: of all of it: two copies of one rebuilt thread have the same.
        thread_id, graph_id: those where the thread came from, if it has others here.
    """

    digest: bytes
    fidelity: str
    unfinished: bool
    thread_id: str | None
    graph_id: str | None


_kept = msgspec.json.Decoder(_Kept)


def label_of(metadata: Json) -> Label | None:
    """The label in a thread's metadata; None where there is none of lgx's."""
    if not isinstance(metadata, Raw) or b'"lgx"' not in bytes(metadata):
        return None
    try:
        text = split_object(metadata).get(_KEY)
        kept = None if text is None else _kept.decode(text)
    except (ThreadError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if text is None or kept is None:
        return None
    unfinished = kept.unfinished and bool(kept.attempt)
    if not (kept.fidelity in _REACHED or unfinished):
        return None  # somebody else's
    return Label(
        blake2b(canonical(text), digest_size=16).digest(),
        kept.fidelity,
        unfinished,
        kept.thread_id,
        kept.graph_id,
    )
