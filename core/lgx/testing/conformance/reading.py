"""Reads whatever a source gives, as the engine does, and notes where it breaks its contract."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lgx.canonical import canonical
from lgx.codec import encode_line
from lgx.context import Context
from lgx.contracts import Source, SourceBase, StreamSource
from lgx.query import Query
from lgx.records import (
    ANY_KIND,
    CHECKPOINT_KINDS,
    EXTRA_KINDS,
    Checkpoint,
    RawCheckpoint,
    Record,
    Thread,
)
from lgx.threads import Loss, ThreadEnd, ThreadRef

__all__ = ["Contents", "ReadBack", "read_all", "read_target", "same_records", "thread_id_of"]

ReadBack = Callable[[], Any]
"""Makes a source over the target (not opened), or gives its records, at once or awaited."""


@dataclass
class Contents:
    """What came out of a source.

    Attributes:
        threads: records by thread id, in the order of coming.
        ends: by thread id.
        refs: as listed, in the order of listing; of a stream, made from the ends.
        extras: the deployment's own records by kind.
        faults: where the source broke its contract, one sentence each.
    """

    threads: dict[str, list[Record]] = field(default_factory=dict)
    ends: dict[str, ThreadEnd] = field(default_factory=dict)
    refs: list[ThreadRef] = field(default_factory=list)
    extras: dict[str, list[Record]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _open: str | None = None

    def take(self, item: Record | ThreadEnd | Loss) -> None:
        """Takes what came next."""
        if isinstance(item, Loss):
            return
        if isinstance(item, ThreadEnd):
            self._end(item)
            return
        thread_id = thread_id_of(item)
        if item.kind in EXTRA_KINDS or thread_id is None:
            self.extras.setdefault(item.kind, []).append(item)
            return
        if self._open != thread_id:
            if self._open is not None:
                self.faults.append(
                    f"a record of thread {thread_id!r} came before the end of {self._open!r}"
                )
            if thread_id in self.ends:
                self.faults.append(f"a record of thread {thread_id!r} came after its end")
            self._open = thread_id
        self.threads.setdefault(thread_id, []).append(item)

    def _end(self, end: ThreadEnd) -> None:
        if end.thread_id in self.ends:
            self.faults.append(f"thread {end.thread_id!r} ended twice")
        if self._open not in (None, end.thread_id):
            self.faults.append(f"thread {end.thread_id!r} ended inside {self._open!r}")
        self.ends[end.thread_id] = end
        self._open = None
        if end.outcome != "deleted":
            self.threads.setdefault(end.thread_id, [])

    def finish(self) -> Contents:
        """Looks at the whole."""
        for thread_id, records in self.threads.items():
            if thread_id not in self.ends:
                self.faults.append(f"thread {thread_id!r} came without its ThreadEnd")
            self.faults += order_faults(records)
        return self


def order_faults(records: Sequence[Record]) -> list[str]:
    """What is wrong with the order of one thread's records."""
    faults = []
    if not records or not isinstance(records[0], Thread):
        return ["the first record of a thread is not its `thread`"]
    kinds = [record.kind for record in records]
    if kinds.count("thread") != 1:
        faults.append(f"a thread came with {kinds.count('thread')} records of kind `thread`")
    last = max((at for at, kind in enumerate(kinds) if kind in CHECKPOINT_KINDS), default=0)
    faults += [
        f"a record of kind {kind!r} came before a checkpoint"
        for kind in kinds[1:last]
        if kind not in CHECKPOINT_KINDS
    ]
    present = {_place(item) for item in records if isinstance(item, Checkpoint | RawCheckpoint)}
    seen = set()
    for item in records:
        if isinstance(item, Checkpoint | RawCheckpoint):
            parent = (item.checkpoint_ns, item.parent_checkpoint_id)
            if parent in present and parent not in seen:
                faults.append(
                    f"checkpoint {item.checkpoint_id} of thread {item.thread_id!r} "
                    f"came before its parent {item.parent_checkpoint_id}"
                )
            seen.add(_place(item))
    return faults


def _place(item: Checkpoint | RawCheckpoint) -> tuple[str, str]:
    return item.checkpoint_ns, item.checkpoint_id


def thread_id_of(record: Record) -> str | None:
    """The thread that a record belongs to; None for what belongs to the deployment."""
    found: str | None = getattr(record, "thread_id", None)
    return found


async def list_all(source: Source[Any], query: Query, context: Context) -> list[ThreadRef]:
    """The references of a listing; a loss in it is none of the kit's data."""
    return [ref async for ref in source.list(query, context) if isinstance(ref, ThreadRef)]


async def read_all(source: SourceBase[Any], query: Query, context: Context) -> Contents:
    """Everything that passes the query, from an open source of either sort."""
    contents = Contents()
    if isinstance(source, StreamSource):
        async for item in source.scan(query, context):
            contents.take(item)
            if isinstance(item, ThreadEnd):
                contents.refs.append(
                    ThreadRef(thread_id=item.thread_id, version=item.version or "")
                )
        return contents.finish()
    assert isinstance(source, Source)
    contents.refs = await list_all(source, query, context)
    for start in range(0, len(contents.refs), source.refs_per_read):
        refs = contents.refs[start : start + source.refs_per_read]
        await read_refs(source, refs, context, contents)
    if query.extras:
        for kind in EXTRA_KINDS:
            if source.offers == ANY_KIND or kind in source.offers:
                contents.extras[kind] = [
                    record async for record in source.extras(kind, query, context)
                ]
    return contents.finish()


async def read_refs(
    source: Source[Any], refs: Sequence[ThreadRef], context: Context, contents: Contents
) -> None:
    """One call of `read`, whose threads are those asked for and no others."""
    asked = {ref.thread_id for ref in refs}
    async for item in source.read(refs, context):
        contents.take(item)
        thread_id = item.thread_id if isinstance(item, ThreadEnd) else thread_id_of(item)
        if thread_id not in asked:
            contents.faults.append(f"read brought thread {thread_id!r}, which was not asked for")
    contents.faults += [
        f"read of thread {thread_id!r} brought no ThreadEnd"
        for thread_id in asked
        if thread_id not in contents.ends
    ]


async def read_target(read_back: ReadBack, context: Context) -> Contents:
    """What stands in a sink's target, through the fixture of that name."""
    given = read_back()
    if inspect.isawaitable(given):
        given = await _awaited(given)
    if isinstance(given, SourceBase):
        async with given:
            return await read_all(given, Query(), context)
    contents = Contents()
    records: list[Record] = []
    if isinstance(given, AsyncIterator):
        records += [record async for record in given]
    elif isinstance(given, Iterable):
        records += given
    else:
        raise TypeError(
            f"read_back gave a {type(given).__name__}; it is to give a source or records"
        )
    for record in records:
        thread_id = thread_id_of(record)
        if thread_id is None:
            contents.extras.setdefault(record.kind, []).append(record)
        else:
            contents.threads.setdefault(thread_id, []).append(record)
    for kept in contents.threads.values():
        contents.faults += order_faults(kept)
    return contents


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def same_records(
    got: Iterable[Record], wanted: Iterable[Record], *, exact: bool = False
) -> list[str]:
    """What differs between two sets of records, one line each; nothing where they are equal.

    Equal means: the same records equally often, by canonical form, or byte by byte.
    """
    form = (lambda record: encode_line(record)) if exact else _canonical_line
    had, want = Counter(map(form, got)), Counter(map(form, wanted))
    missing, surplus = want - had, had - want
    return [f"missing ({n}x): {_short(line)}" for line, n in missing.items()] + [
        f"not expected ({n}x): {_short(line)}" for line, n in surplus.items()
    ]


def _canonical_line(record: Record) -> bytes:
    return canonical(encode_line(record))


def _short(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if len(text) <= 400 else f"{text[:300]} … ({len(text)} characters) … {text[-80:]}"
