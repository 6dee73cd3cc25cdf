"""Threads that stand in a database without a mark: copies that are not whole."""

from __future__ import annotations

from lgx import Loss

__all__ = ["not_whole"]


def not_whole(thread_id: str) -> Loss:
    """What a source ends such a thread with, so that a copy of it is not taken for a whole one.

    The tables do not keep what was missing: the report of the run that wrote it listed that.
    """
    return Loss(
        thread_id=thread_id,
        what="what its source could not give",
        why="this copy of it is not whole: the run that wrote it could not read all of the thread",
    )
