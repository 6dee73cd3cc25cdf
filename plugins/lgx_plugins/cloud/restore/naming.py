"""Ids that a server takes: it insists on UUIDs."""

from __future__ import annotations

import uuid

__all__ = ["target_id"]

_LGX = uuid.UUID("6c677800-7468-5265-a164-732d69647321")


def target_id(thread_id: str, source: str | None) -> str:
    """The id under which a thread stands on a server: its own, if it is a UUID.

    Any other id always becomes the same UUID (version 5), so that a later run finds the thread.

    Args:
        source: identity of the source where several sources are merged in one target, so that
            their equal ids are kept apart; else None.
    """
    try:
        return str(uuid.UUID(thread_id)) if len(thread_id) == 36 else _made(thread_id, source)
    except ValueError:
        return _made(thread_id, source)


def _made(thread_id: str, source: str | None) -> str:
    name = thread_id if source is None else f"{source}\0{thread_id}"
    return str(uuid.uuid5(_LGX, name))
