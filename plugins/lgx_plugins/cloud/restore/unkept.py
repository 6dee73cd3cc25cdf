"""What no server takes from others, of runs and in fields of its own: told once for all threads."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import Bundle, Checkpoint, Context, Thread, ThreadError, split_object

__all__ = ["Unkept"]

_GIVEN = frozenset({"source", "step", "parents", "run_id", "thread_id"})
"""Keys of a checkpoint's metadata that servers set; of run ids another note tells."""

_KNOWN = {
    "thread": frozenset({"error", "state_updated_at", "ttl"}),
    "checkpoint": frozenset({"checkpoint", "parent_checkpoint", "config", "parent_config"}),
}
"""Fields besides the typed ones that servers give; that the first cannot be kept is told with
the thread, and of the others ids alone are in them."""

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
        self._fields = False

    def tell(self, bundle: Bundle, context: Context) -> None:
        """Notes of a thread that was written, or would be, what none before it had."""
        before: Checkpoint | None = None
        for record in () if self._past and self._metadata and self._fields else bundle:
            if isinstance(record, Thread | Checkpoint) and not self._fields:
                self._look_at_fields(record, context)
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

    def _look_at_fields(self, record: Thread | Checkpoint, context: Context) -> None:
        if isinstance(record.extra, UnsetType):
            return
        known = _KNOWN[record.kind]
        names = sorted(
            name
            for name, value in record.extra.items()
            if name not in known and bytes(value) not in _NOTHING
        )
        if names:
            self._fields = True
            told = ", ".join(names[:_NAMED]) + " …" * (len(names) > _NAMED)
            context.note(
                "fields that lgx does not know are not brought over, as no server takes them: "
                f"{told} of {record.kind}s"
            )

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
