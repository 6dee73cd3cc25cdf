"""Which threads of a file a run is about."""

from __future__ import annotations

import msgspec

from lgx import Query, Thread, ThreadError

__all__ = ["admits"]


def admits(query: Query, thread_id: str, thread: Thread | None) -> bool:
    """Whether a thread is wanted; one without a record of its own is judged by its id.

    Raises:
        ThreadError: its record holds what the filters cannot be applied to.
    """
    if query.thread_ids and thread_id not in query.thread_ids:
        return False
    if thread is None:
        return True
    try:
        return query.admits(thread)
    except (ThreadError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"the filters cannot be applied to it: {error}") from error
