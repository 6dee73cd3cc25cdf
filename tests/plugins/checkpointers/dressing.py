"""Raw rows in the dress of threads and states, so that lgx's conformance kits can test those who
read and write nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UnsetType

from lgx import (
    Bundle,
    Checkpoint,
    CheckpointWrite,
    Config,
    Context,
    Coverage,
    Loss,
    Mark,
    Probe,
    Query,
    RawCheckpoint,
    Record,
    RunInfo,
    Sink,
    Source,
    Thread,
    ThreadEnd,
    ThreadRef,
    WriteOutcome,
    decode_line,
    encode_line,
    raw,
)

__all__ = ["HeadedSource", "PlainSource", "RowSink"]

_STATES = frozenset({"thread", "checkpoint"})


class _RowBundle(Bundle):
    """States as rows: each is the blob of a checkpoint, or its document, the thread the blob of
    a write."""

    def __init__(self, bundle: Bundle, *, split: bool) -> None:
        super().__init__(
            bundle.spool,
            ref=bundle.ref,
            mark=bundle.mark,
            outcome=bundle.outcome,
            losses=bundle.losses,
        )
        self._bundle = bundle
        self._split = split

    def __iter__(self) -> Iterator[Record]:
        writes: list[Record] = []
        for record in self._bundle:
            if isinstance(record, Checkpoint):
                line = encode_line(record)
                form: dict[str, Any] = (
                    {"document": raw({"state": line})}
                    if self._split
                    else {"type": "bytes", "blob": line}
                )
                yield RawCheckpoint(
                    thread_id=record.thread_id,
                    checkpoint_ns=record.checkpoint_ns,
                    checkpoint_id=record.checkpoint_id,
                    parent_checkpoint_id=record.parent_checkpoint_id,
                    **form,
                )
            elif isinstance(record, Thread):
                writes.append(
                    CheckpointWrite(
                        thread_id=record.thread_id,
                        checkpoint_ns="",
                        checkpoint_id="",
                        task_id="thread",
                        idx=0,
                        channel="thread",
                        type="bytes",
                        blob=encode_line(record),
                    )
                )
        yield from writes

    def without(self, kinds: Collection[str]) -> Iterator[Record]:
        return (record for record in self if record.kind not in kinds)

    def lines(self) -> Iterator[bytes]:
        return map(encode_line, self)

    def blocks(self) -> Iterator[bytes]:
        return (line + b"\n" for line in self.lines())


class RowSink(Sink[Config]):
    """Gives another sink what it is given, as rows."""

    name = "rows"
    config_type = Config
    accepts = _STATES

    def __init__(self, inner: Sink[Any], *, split: bool = False) -> None:
        """`split`: gives it checkpoints in split form."""
        super().__init__(inner.config)
        self._inner = inner
        self._split = split
        self.batch_threads = inner.batch_threads  # type: ignore[misc]
        self.max_writers = inner.max_writers  # type: ignore[misc]

    async def __aenter__(self) -> RowSink:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.__aexit__(*error)

    async def probe(self, context: Context) -> Probe:
        return await self._inner.probe(context)

    async def begin(self, run: RunInfo, context: Context) -> None:
        await self._inner.begin(run, context)

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        return await self._inner.held(refs)

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        rows = [_RowBundle(bundle, split=self._split) for bundle in bundles]
        return await self._inner.write(rows, context)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        await self._inner.forget(thread_ids)

    async def finish(self, context: Context) -> None:
        await self._inner.finish(context)


class _Wrapped(Source[Config]):
    name = "wrapped"
    config_type = Config

    def __init__(self, inner: Source[Any]) -> None:
        super().__init__(inner.config)
        self._inner = inner
        self.ordered = inner.ordered  # type: ignore[misc]
        self.refs_per_read = inner.refs_per_read  # type: ignore[misc]

    async def __aenter__(self) -> _Wrapped:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.__aexit__(*error)

    async def probe(self, context: Context) -> Probe:
        return await self._inner.probe(context)

    async def identity(self) -> str:
        return await self._inner.identity()

    async def coverage(self) -> Coverage:
        return await self._inner.coverage()

    async def check(self, context: Context) -> Probe:
        return await self._inner.check(context)

    async def expected(self, query: Query, context: Context) -> int | None:
        return await self._inner.expected(query, context)

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        async for item in self._inner.list(query, context):
            yield item

    def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        return self._inner.extras(kind, query, context)


class PlainSource(_Wrapped):
    """The states that a `RowSink` wrote."""

    offers = _STATES

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        states: list[Record] = []
        async for item in self._inner.read(refs, context):
            if isinstance(item, ThreadEnd):
                for state in states:
                    yield state
                yield item
                states = []
            elif isinstance(item, CheckpointWrite):
                states.insert(0, decode_line(item.blob or b""))
            else:
                assert isinstance(item, RawCheckpoint)
                states.append(decode_line(_state(item)))


def _state(record: RawCheckpoint) -> bytes:
    if isinstance(record.document, UnsetType):
        return record.blob or b""
    return msgspec.json.decode(record.document, type=dict[str, bytes])["state"]


class HeadedSource(_Wrapped):
    """The rows of another source, each thread's after a record that stands for it."""

    def __init__(self, inner: Source[Any], heads: Mapping[str, Thread]) -> None:
        super().__init__(inner)
        self.offers = inner.offers | {"thread"}
        self._heads = heads

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        open_thread: str | None = None
        async for item in self._inner.read(refs, context):
            thread_id: str = getattr(item, "thread_id")  # noqa: B009 -- not every kind has one
            if not isinstance(item, ThreadEnd) and thread_id != open_thread:
                open_thread = thread_id
                yield self._heads[thread_id]
            yield item
