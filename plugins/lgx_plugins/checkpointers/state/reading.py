"""What a source of rows has to do to give states: pass what it reads through a `Form`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TypeAlias

import msgspec
from msgspec import UnsetType

from lgx import (
    Checkpoint,
    CheckpointWrite,
    Context,
    Loss,
    Query,
    Record,
    Secret,
    Thread,
    ThreadEnd,
    ThreadError,
)
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.state.contents import contents
from lgx_plugins.checkpointers.state.rendering import Opener
from lgx_plugins.checkpointers.state.rows import Rows
from lgx_plugins.checkpointers.state.snapshot import States

__all__ = ["STATE_KINDS", "Form", "states"]

STATE_KINDS = frozenset({Thread.kind, Checkpoint.kind})
"""The kinds that states consist of; a source that gives them as well offers them."""

_NOTE = (
    "states are worked out of a checkpointer's rows: nodes that are due together come in the "
    "order of their names, and channels that nothing was written to are absent, also where the "
    "graph would show them empty"
)
_TOGETHER = 50  # records made at one time …
_TOGETHER_BYTES = 1 << 20  # … or fewer, where they are large

_Items: TypeAlias = AsyncGenerator[Record | ThreadEnd, None]
_Make: TypeAlias = Callable[[Rows, Opener, list[Loss]], Iterator[Record]]


class Form:
    """The form in which a source gives its checkpoints: rows, as long as nothing else is asked.

    One for each source: `choose` in its `list`, and `of` around what it reads.
    """

    def __init__(self, key: Secret | None) -> None:
        """`key`: of encrypted values."""
        self._key = key
        self._make: _Make | None = None

    def choose(self, query: Query, context: Context) -> None:
        """Takes the form that a run asks for: states; or, where it asks for writes beside them,
        what the rows say, for comparing it with those of another layout."""
        self._make = None
        if Checkpoint.kind not in query.kinds:
            return
        if CheckpointWrite.kind in query.kinds:
            self._make = _contents
            return
        self._make = _states
        context.note(_NOTE)

    def of(self, rows: _Items) -> AsyncIterator[Record | ThreadEnd]:
        """What `Source.read` is to give, made of the rows that the source reads.

        Raises:
            ThreadError: a thread cannot be shown so; those that ended before it are whole.
            UsageError: the key cannot be one.
        """
        return rows if self._make is None else _made(rows, self._key, self._make)


def states(rows: _Items, key: Secret | None) -> AsyncIterator[Record | ThreadEnd]:
    """The states of threads whose rows come in; raises as `Form.of`."""
    return _made(rows, key, _states)


async def _made(items: _Items, key: Secret | None, make: _Make) -> _Items:
    opener = Opener(Cipher(key))
    rows: Rows | None = None
    try:
        async with aclosing(items) as records:
            async for item in records:
                if not isinstance(item, ThreadEnd):
                    if rows is None:
                        rows = Rows(str(getattr(item, "thread_id", "")))
                    rows.keep(item)
                    continue
                if item.outcome == "deleted" or rows is None:
                    yield item
                    continue
                losses = list(item.losses)
                made = make(rows, opener, losses)
                while part := await run_blocking(_part, made):
                    for record in part:
                        yield record
                rows.close()
                rows = None
                yield msgspec.structs.replace(item, losses=tuple(losses))
    finally:
        if rows is not None:
            rows.close()


def _states(rows: Rows, opener: Opener, losses: list[Loss]) -> Iterator[Record]:
    """Those of one thread; adds what is lost of it."""
    made = States(rows, opener)
    try:
        yield from made.records()
        losses += made.losses()
    finally:
        made.close()


def _contents(rows: Rows, opener: Opener, losses: list[Loss]) -> Iterator[Record]:
    return contents(rows, opener)


def _part(records: Iterator[Record]) -> Sequence[Record]:
    """The next of them, as many as are to be in memory; none at the end."""
    found: list[Record] = []
    size = 0
    try:
        for record in records:
            found.append(record)
            for bulk in (getattr(record, "values", None), getattr(record, "metadata", None)):
                if bulk is not None and not isinstance(bulk, UnsetType):
                    size += memoryview(bulk).nbytes
            if len(found) >= _TOGETHER or size >= _TOGETHER_BYTES:
                break
    except RecursionError:
        raise ThreadError(
            "a value is nested too deeply to be shown as a state; copy the thread with "
            "--fidelity raw"
        ) from None
    return found
