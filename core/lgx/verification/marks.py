"""What lgx keeps in the metadata of what it made on a server: of threads, and of crons."""

from __future__ import annotations

import re
from hashlib import blake2b

import msgspec
from msgspec import Raw, Struct

from lgx.canonical import canonical
from lgx.errors import ThreadError
from lgx.jsontext import split_object
from lgx.records import Json

__all__ = ["RESERVED", "Label", "cron_origin", "label_of"]

_KEY = "lgx"
_MALFORMED = (ThreadError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_REACHED = ("replayed", "values", "latest")
_ATTEMPT = re.compile("[0-9a-f]{32}")

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
    source: str = ""
    unfinished: bool = False
    attempt: str = ""
    here: str | None = None
    thread_id: str | None = None
    graph_id: str | None = None


class Label(Struct, frozen=True):
    """
    Attributes:
        digest: of all of it: two copies of one rebuilt thread have the same.
        source: identity of the place that it came from.
        thread_id, graph_id: those where the thread came from, if it has others here.
    """

    digest: bytes
    fidelity: str
    source: str
    unfinished: bool
    thread_id: str | None
    graph_id: str | None


class _KeptOfCron(Struct):
    cron_id: str
    made_from: str  # which nobody else's key will have


_kept = msgspec.json.Decoder(_Kept)
_kept_of_cron = msgspec.json.Decoder(_KeptOfCron)


def label_of(metadata: Json, thread_id: str) -> Label | None:
    """The label in a thread's metadata; None where there is none of lgx's, or another thread's,
    of which this one is a server's own copy."""
    text = _text(metadata)
    try:
        kept = None if text is None else _kept.decode(text)
    except _MALFORMED:
        return None
    if text is None or kept is None:
        return None
    unfinished = kept.unfinished and _ATTEMPT.fullmatch(kept.attempt) is not None
    if not (kept.source and (kept.fidelity in _REACHED or unfinished)):
        return None  # somebody else's
    if kept.here not in (None, thread_id):
        return None
    return Label(
        blake2b(canonical(text), digest_size=16).digest(),
        kept.fidelity,
        kept.source,
        unfinished,
        kept.thread_id,
        kept.graph_id,
    )


def cron_origin(metadata: Json) -> str | None:
    """The id of the cron that one stands for; None where lgx did not make it."""
    text = _text(metadata)
    try:
        return None if text is None else _kept_of_cron.decode(text).cron_id
    except _MALFORMED:
        return None


def _text(metadata: Json) -> Raw | None:
    if not isinstance(metadata, Raw) or b'"lgx"' not in bytes(metadata):
        return None
    try:
        return split_object(metadata).get(_KEY)
    except _MALFORMED:
        return None
