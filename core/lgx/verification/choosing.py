"""Choosing: how a side is asked for some of its threads, of a sample or of the other side."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from lgx.query import Query
from lgx.verification.identities import id_bytes, text_of_id
from lgx.verification.ledger import Ledger
from lgx.verification.sampling import Sample
from lgx.verification.taking import Wanted

__all__ = ["counterparts_of", "renamed_beside", "sampled"]

_BY_ID = 500  # threads that are asked for by their ids; of more, all are listed


def sampled(query: Query, sample: Sample) -> Query:
    """What a source is asked for, once all of its threads were seen."""
    return _by_id(query, list(map(text_of_id, sample.ids))) if len(sample.ids) <= _BY_ID else query


def counterparts_of(held: Ledger, *, extras: bool) -> tuple[Query, Wanted]:
    """What a sink is asked for, and which of its threads are read: those that may be the ones
    which were read of the source, whatever filters these have passed.

    Args:
        held: the source's.
    """
    ids: list[str] = []
    for entry in held.entries():
        own = [entry.id] if entry.origin is None else [entry.id, entry.origin]
        ids += map(text_of_id, own)
        if len(ids) > _BY_ID:
            break
    query = Query(extras=extras)
    if len(ids) <= _BY_ID and all(map(_is_uuid, ids)):
        query = _by_id(query, ids)

    def wanted(thread_ids: Sequence[str]) -> set[str]:
        # A server has a thread whose id is no UUID under one that is made of it, and only
        # its metadata tell which it is; UUIDs it writes in small letters.
        def known(own: bytes) -> bool:
            named = held.named(own) or held.named(own.upper())
            return named is not None or held.made_of(own, "") is not None

        return {name for name in thread_ids if _may_be_made(name) or known(id_bytes(name))}

    return query, wanted


def renamed_beside(held: Ledger) -> Wanted:
    """Which threads of a sink may be copies under other ids, beside those that were read."""
    known = {text_of_id(entry.id) for entry in held.entries()}

    def renamed(thread_ids: Sequence[str]) -> set[str]:
        return {name for name in thread_ids if _may_be_made(name)} - known

    return renamed


def _by_id(query: Query, ids: Sequence[str]) -> Query:
    """The query for these threads alone. As there is a limit, one that is not there is no failure
    of reading."""
    return msgspec.structs.replace(query, thread_ids=tuple(ids), limit=max(1, len(ids)))


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _may_be_made(text: str) -> bool:
    """Whether a server may have the thread under an id that was made of another."""
    return _is_uuid(text) and uuid.UUID(text).version == 5
