"""What checkpoints say of runs, which no server takes from others: told once for all threads."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import Bundle, Checkpoint, Context, ThreadError, split_object

__all__ = ["Unkept"]

_GIVEN = frozenset({"source", "step", "parents", "run_id", "thread_id"})
"""Keys of a checkpoint's metadata that servers set; of run ids another note tells."""

_NAMED = 3
_NOTHING = (b"null", b"[]", b'""')
_MALFORMED = (msgspec.MsgspecError, ThreadError, UnicodeDecodeError, RecursionError)


class _Task(Struct):
    error: Raw = Raw(b"null")
    interrupts: Raw = Raw(b"[]")


_tasks = msgspec.json.Decoder(list[_Task])


class Unkept:
    """Looks for such in threads until each kind was found."""

    def __init__(self) -> None:
        self._past = False
        self._metadata = False

    def tell(self, bundle: Bundle, context: Context) -> None:
        """Notes of a thread that was written, or would be, what none before it had."""
        before: Checkpoint | None = None
        for record in () if self._past and self._metadata else bundle:
            if not isinstance(record, Checkpoint) or record.checkpoint_ns:
                continue
            if not self._metadata:
                self._look_at_metadata(record, context)
            if before is not None and not self._past and _ended_otherwise(before):
                self._past = True
                context.note(
                    "errors and interrupts of tasks in the past are not brought over: servers "
                    "take from updates no more than what tasks have written"
                )
            before = record

    def _look_at_metadata(self, record: Checkpoint, context: Context) -> None:
        if isinstance(record.metadata, UnsetType):
            return
        try:
            keys = sorted(split_object(record.metadata).keys() - _GIVEN)
        except _MALFORMED:
            return
        if keys:
            self._metadata = True
            names = ", ".join(keys[:_NAMED]) + " …" * (len(keys) > _NAMED)
            context.note(
                "of the metadata of checkpoints servers take source, step and parents alone, and "
                f"set the rest by themselves: {names}"
            )


def _ended_otherwise(record: Checkpoint) -> bool:
    """Whether a task of it has failed or asked."""
    if isinstance(record.tasks, UnsetType):
        return False
    text = bytes(record.tasks)
    if text.count(b'"error":') == text.count(b'"error":null') and b'"interrupts":[{' not in text:
        return False
    try:
        tasks = _tasks.decode(text)
    except _MALFORMED:
        return False
    return any(bytes(part) not in _NOTHING for t in tasks for part in (t.error, t.interrupts))
