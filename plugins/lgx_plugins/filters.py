"""Which threads of a stored copy a run is about: one rule for all sources that keep one."""

from __future__ import annotations

import msgspec

from lgx import Query, Thread, ThreadError

__all__ = ["admits"]


def admits(query: Query, thread_id: str, thread: Thread | None, *, lost: bool = False) -> bool:
    """Whether a thread is wanted. One without a record of its own passes no filter but the one
    by ids: what cannot be matched is not admitted.

    Args:
        lost: its record stands there, and cannot be read.

    Raises:
        ThreadError: it might be wanted, and the filters cannot be applied to it.
    """
    if query.thread_ids and thread_id not in query.thread_ids:
        return False
    if lost and thread is None and (query.metadata or query.status or query.since or query.until):
        raise ThreadError("the filters cannot be applied to it: its own record cannot be read")
    try:
        return query.admits(Thread(thread_id=thread_id) if thread is None else thread)
    except ThreadError:
        raise  # it says so itself
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"the filters cannot be applied to it: {error}") from error
