"""The keys of RedisSaver and ShallowRedisSaver, and lgx's own beside them."""

from __future__ import annotations

from lgx import ThreadError

__all__ = ["EMPTY_ID", "EMPTY_TEXT", "Keys", "escaped", "from_id", "from_text"]

EMPTY_TEXT = "__empty__"
"""Stands for an empty namespace."""

EMPTY_ID = "00000000-0000-0000-0000-000000000000"
"""Stands for an empty id."""


def from_text(stored: str) -> str:
    return "" if stored == EMPTY_TEXT else stored


def from_id(stored: str) -> str:
    return "" if stored == EMPTY_ID else stored


def _to_text(value: str) -> str:
    if value == EMPTY_TEXT:
        raise ThreadError(
            f"a namespace of it is called {value!r}, which stands for the empty one in Redis; an "
            "archive or an ndjson file can hold it"
        )
    return value or EMPTY_TEXT


def _to_id(value: str) -> str:
    if value == EMPTY_ID:
        raise ThreadError(
            f"the id {value!r} stands for the empty one in Redis; an archive or an ndjson file can "
            "hold it"
        )
    return value or EMPTY_ID


def escaped(text: str) -> bytes:
    """A pattern of SCAN's that matches this text alone."""
    return b"".join(
        b"\\" + bytes((one,)) if one in b"*?[]\\^-" else bytes((one,)) for one in _bytes(text)
    )


class Keys:
    """The keys under the prefixes that a saver was given."""

    def __init__(self, checkpoint: str, write: str) -> None:
        self.checkpoint_prefix = checkpoint
        self.write_prefix = write
        self.marks = _bytes(f"lgx_marks:{checkpoint}")
        self.lock = _bytes(f"lgx_lock:{checkpoint}")
        # With its length: no prefix's keys begin like those of another.
        self.parts = f"lgx_part:{len(checkpoint)}:{checkpoint}:"

    def safe(self, thread_id: str, ns: str, checkpoint_id: str) -> tuple[str, str, str]:
        """Ids and namespace as they are kept.

        Raises:
            ThreadError: one of them is what stands for the empty one.
        """
        return _to_id(thread_id), _to_text(ns), _to_id(checkpoint_id)

    def checkpoint(self, thread: str, ns: str, checkpoint_id: str) -> bytes:
        """Of a checkpoint, by its ids as they are kept."""
        return _bytes(f"{self.checkpoint_prefix}:{thread}:{ns}:{checkpoint_id}")

    def shallow(self, thread: str, ns: str) -> bytes:
        """Of the one checkpoint that a ShallowRedisSaver keeps of a namespace; by its own id and
        namespace, empty ones too."""
        return _bytes(f"{self.checkpoint_prefix}:{thread}:{ns}")

    def latest(self, thread: str, ns: str) -> bytes:
        """Of the pointer to the latest checkpoint of a namespace."""
        return _bytes(f"{self.checkpoint_prefix}_latest:{thread}:{ns}")

    def write(self, thread: str, ns: str, checkpoint_id: str, task: str, idx: int) -> bytes:
        return _bytes(f"{self.write_prefix}:{thread}:{ns}:{checkpoint_id}:{task}:{idx}")

    def registry(self, thread: str, ns: str, checkpoint_id: str) -> bytes:
        """Of the sorted set of a checkpoint's writes."""
        return _bytes(f"write_keys_zset:{thread}:{ns}:{checkpoint_id}")

    def shallow_registry(self, thread: str, ns: str) -> bytes:
        return _bytes(f"write_registry:{thread}:{ns}:shallow")

    def begins(self, thread: str, *, writes: bool) -> bytes:
        """What all keys of a thread's checkpoints or writes begin with, and those of some other
        threads too."""
        return _bytes(f"{self.write_prefix if writes else self.checkpoint_prefix}:{thread}:")


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ThreadError(
            f"{text[:80]!r} holds a lone surrogate, which no JSON in Redis can hold"
        ) from None
