"""Ids of the threads that the tests write, and what a sink says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lgx.records import Record
from lgx.threads import Mark, ThreadRef

__all__ = ["id_of", "nth_id", "ref_of", "said"]


def nth_id(number: int) -> str:
    """One of many ids, no two alike, sorted by number."""
    return f"{number:08x}-0000-4000-8000-00000000000a"


def id_of(records: Sequence[Record]) -> str:
    """The id of the thread whose records these are."""
    thread_id: str = getattr(records[0], "thread_id")  # noqa: B009 -- not every kind has one
    return thread_id


def ref_of(records: Sequence[Record]) -> ThreadRef:
    """A reference to that thread, as a source lists it."""
    return ThreadRef(thread_id=id_of(records), version="1")


def said(marks: Mapping[str, Mark]) -> dict[str, tuple[str, int]]:
    """What marks say: by thread id, the version and how many checkpoints."""
    return {thread_id: (mark.version, mark.checkpoints) for thread_id, mark in marks.items()}
