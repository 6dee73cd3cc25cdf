"""Bodies of requests, as far as servers take them."""

from __future__ import annotations

import msgspec

from lgx import Bundle, Checkpoint, Context, ThreadError

__all__ = ["fitting", "note_oversize"]

LARGEST_BODY = 300 << 20


def fitting(content: bytes) -> bytes:
    """
    Raises:
        ThreadError: it is more than a server takes.
    """
    size = len(content)
    if size > LARGEST_BODY:
        raise ThreadError(
            f"a step of it needs a request of {size >> 20} MiB, and servers refuse more than "
            f"{LARGEST_BODY >> 20}"
        )
    return content


def note_oversize(bundle: Bundle, context: Context) -> None:
    """Says of a thread that one step of it may be more than a server takes in one request."""
    if bundle.size <= LARGEST_BODY:
        return
    largest = 0
    for record in bundle:
        if isinstance(record, Checkpoint) and record.checkpoint_ns == "":
            for part in (record.values, record.tasks):
                if isinstance(part, msgspec.Raw):
                    largest = max(largest, memoryview(part).nbytes)
    if largest > LARGEST_BODY:
        context.note(
            f"one of its steps has up to {largest >> 20} MiB, and servers refuse requests of more "
            f"than {LARGEST_BODY >> 20}",
            thread_id=bundle.thread_id,
        )
