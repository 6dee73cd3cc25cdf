"""The archive as a source: the newest version of each thread, or an earlier one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar, Self, TypeAlias, TypeVar

from lgx import (
    ANY_KIND,
    Config,
    Context,
    Loss,
    Probe,
    Query,
    Record,
    Source,
    Thread,
    ThreadEnd,
    ThreadError,
    ThreadRef,
    UsageError,
    decode_line,
    option,
)
from lgx_plugins.archive.directory import DirectoryStore
from lgx_plugins.archive.extras import read_extras
from lgx_plugins.archive.index import MAX_WINDOW, Frame
from lgx_plugins.archive.inspection import describe
from lgx_plugins.archive.part import CHECKPOINT, RAW_CHECKPOINT
from lgx_plugins.archive.reader import STREAM_BYTES, PartReader, build_table
from lgx_plugins.archive.state import State, load_state
from lgx_plugins.archive.store import Store
from lgx_plugins.archive.threads import Place, Summary, ThreadTable
from lgx_plugins.blocking import run_blocking
from lgx_plugins.filters import admits
from lgx_plugins.ids import id_bytes
from lgx_plugins.losses import Losses

__all__ = ["ArchiveSource", "ArchiveSourceConfig", "StoreSource"]

C = TypeVar("C", bound=Config)
Lines: TypeAlias = list[bytes]

_STREAM_MEMORY = MAX_WINDOW + (4 << 20)


class StoreSource(Source[C]):
    """Reads an archive from a store. Parts are verified by their SHA-256 before they are
    believed, or where the store's parts are not read twice each thread by its own.

    A list without filters also verifies, in the former case, the parts that hold nothing
    current, so that reading an archive whole finds any change to any of its files.
    """

    ordered: ClassVar[bool] = True
    keeps_earlier: ClassVar[bool] = True
    refs_per_read: ClassVar[int] = 500
    offers = ANY_KIND

    def __init__(self, config: C, store: Store, *, origin: str | None) -> None:
        super().__init__(config)
        self._store = store
        self._wanted = origin
        self._state: State | None = None
        self._origin: str | None = None
        self._reader: PartReader | None = None
        self._table: ThreadTable | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        try:
            await run_blocking(self._store.check, writing=False)
            self._state = await run_blocking(load_state, self._store)
            self._origin = _choose(self._state.sources, self._wanted, self._store.place)
        except BaseException:
            await run_blocking(self._store.close)
            raise
        self._reader = PartReader(self._store, self._state.parts)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None
        await run_blocking(self._store.close)

    async def versions(self, context: Context) -> Mapping[str, str]:
        assert self._state is not None
        manifest = self._state.manifest
        if manifest.finished_at is None:
            context.note(
                f"no run has finished yet of those into {self._store.place!r}: it holds what had "
                "come before the first one was cut short, or one is at work"
            )
        if not self._state.listed:
            context.note(
                f"what lies at {self._store.place!r} may not be listed: a part that is missing "
                "comes to light only when it is read"
            )
        return {manifest.format: str(manifest.version)}

    async def probe(self, context: Context) -> Probe:
        assert self._state is not None
        return await run_blocking(describe, self._store, self._state)

    async def check(self, context: Context) -> Probe:
        """Reads every byte of every version, whatever the origin."""
        assert self._state is not None
        return await run_blocking(describe, self._store, self._state)

    async def identity(self) -> str:
        assert self._state is not None
        archive = f"archive:{self._state.manifest.archive}"
        return archive if self._origin is None else f"{archive}/{self._origin}"

    def _numbers(self, state: State, query: Query) -> list[int]:
        """The parts in question, by their place in the state."""
        early = len(state.as_of(query.as_of))
        return [n for n in range(early) if state.parts[n].source == self._origin]

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        state, reader = self._state, self._reader
        assert state is not None
        assert reader is not None
        table = await self._opened_table(query)
        current: set[int] = set()
        count = 0
        pages = _chosen(table, query.thread_ids) if query.thread_ids else table.summaries()
        while (page := await run_blocking(next, pages, None)) is not None:
            for summary in page:
                current.add(summary.part)
                try:
                    if not await self._admits(query, summary):
                        continue
                except ThreadError as error:
                    yield Loss(thread_id=summary.thread_id, what="thread", why=str(error))
                    continue
                if count == query.limit:
                    return
                count += 1
                yield ThreadRef(
                    thread_id=summary.thread_id,
                    version=summary.sha256,
                    size_hint=summary.bytes,
                )
        if not query.filtered and query.as_of is None and self._store.reads_twice:
            for number in range(len(state.parts)):
                if number not in current:
                    await run_blocking(reader.verify, number)

    async def _opened_table(self, query: Query) -> ThreadTable:
        """The threads at the moment of the query that came first."""
        state, reader = self._state, self._reader
        assert state is not None
        assert reader is not None
        async with self._opening:
            if self._table is None:
                numbers = [n for n in self._numbers(state, query) if state.parts[n].extras is None]
                await run_blocking(self._build_table, reader, numbers)
            assert self._table is not None
            return self._table

    def _build_table(self, reader: PartReader, numbers: Sequence[int]) -> None:
        """In the thread itself: by cancellation the result would be lost, and never closed."""
        self._table = build_table(reader, numbers)

    async def _admits(self, query: Query, summary: Summary) -> bool:
        if not query.filtered:
            return True
        if query.metadata and summary.metadata_left_out:
            record = await run_blocking(self._first_record, summary.thread_id)
            if isinstance(record, Thread):
                return admits(query, summary.thread_id, record)
        thread = Thread(
            thread_id=summary.thread_id,
            updated_at=summary.updated_at,
            status=summary.status,
            metadata=summary.metadata,
        )
        return admits(query, summary.thread_id, thread)

    def _first_record(self, thread_id: str) -> Record | None:
        assert self._table is not None
        assert self._reader is not None
        place = self._table.places(thread_id)[0]
        lines = next(self._lines(place, None), [])
        return decode_line(lines[0]) if lines else None

    def _lines(self, place: Place, frame: bytes | None) -> Iterator[Lines]:
        """The lines of a piece; from its frame, where that was decompressed already."""
        assert self._reader is not None
        if frame is not None:
            text = frame[place.start : place.start + place.bytes]
            return iter([text.split(b"\n")[:-1]] if text else [])
        where = Frame(place.frame_offset, place.frame_size, place.frame_bytes)
        return self._reader.stream(place.part, where, place.start, place.bytes)

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        """Threads come in the order in which they stand in the parts."""
        reader = self._reader
        assert reader is not None
        table = await self._opened_table(Query())
        found = await run_blocking(table.locate, [ref.thread_id for ref in refs])
        frame: bytes | None = None
        at: tuple[int, int] | None = None
        held = 0
        try:
            for thread_id, places in found:
                first = places[0] if places else None
                if first is not None and (first.part, first.frame_offset) != at:
                    at = (first.part, first.frame_offset)
                    frame = None
                    if held:
                        context.budget.give_page(held)
                        held = 0
                    large = first.frame_bytes > STREAM_BYTES or len(places) > 1
                    size = _STREAM_MEMORY if large else 2 * first.frame_bytes + 1
                    await context.budget.take(size)
                    held = size
                    if not large:
                        where = Frame(first.frame_offset, first.frame_size, first.frame_bytes)
                        frame = await run_blocking(reader.frame, first.part, where)
                        context.received(first.frame_size)
                async for item in self._thread(thread_id, places, frame, context):
                    yield item
        finally:
            if held:
                context.budget.give_page(held)

    async def _thread(
        self, thread_id: str, places: Sequence[Place], frame: bytes | None, context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        reader = self._reader
        assert reader is not None
        if not places:
            yield ThreadEnd(thread_id=thread_id, outcome="deleted")
            return
        digest = hashlib.sha256()
        losses = Losses(thread_id)
        number = 0
        for place in places:
            count = 0
            lines = self._lines(place, frame)
            while (some := await _next(lines, blocking=frame is None)) is not None:
                count += len(some)
                for line in some:
                    number += 1
                    digest.update(line)
                    digest.update(b"\n")
                    try:
                        yield decode_line(line)
                    except ThreadError as error:
                        is_checkpoint = line.startswith((CHECKPOINT, RAW_CHECKPOINT))
                        losses.add(f"record {number}", str(error), checkpoints=is_checkpoint)
            if count != place.records or digest.hexdigest()[:32] != place.sha256:
                raise reader.damaged(place.part, f"thread {thread_id!r} is not as its index says")
            if frame is None:
                context.received(place.frame_size)
        last = places[-1]
        malformed = losses.take()
        yield ThreadEnd(
            thread_id=thread_id,
            outcome="partial" if malformed or last.outcome == "partial" else "complete",
            version=last.sha256,
            losses=(*last.losses, *malformed),
        )

    async def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        assert self._state is not None
        assert self._reader is not None
        numbers = self._numbers(self._state, query)
        lines = read_extras(self._reader, [n for n in numbers if self._parts_kind(n) == kind])
        while (some := await _next(lines, blocking=True)) is not None:
            for line in some:
                yield decode_line(line)

    def _parts_kind(self, number: int) -> str | None:
        assert self._state is not None
        return self._state.parts[number].extras


async def _next(lines: Iterator[Lines], *, blocking: bool) -> Lines | None:
    if blocking:
        return await run_blocking(next, lines, None)
    return next(lines, None)


def _choose(sources: Sequence[str], wanted: str | None, place: str) -> str | None:
    """The source whose threads are to be read; None for an archive without any."""
    if wanted is not None:
        if wanted not in sources:
            held = ", ".join(map(repr, sources)) or "nothing"
            raise UsageError(f"archive {place!r} holds nothing of {wanted!r}; it holds {held}")
        return wanted
    if len(sources) > 1:
        held = ", ".join(map(repr, sources))
        raise UsageError(
            f"archive {place!r} holds threads of several sources; "
            f"choose one with --source-origin: {held}"
        )
    return sources[0] if sources else None


def _chosen(table: ThreadTable, thread_ids: Sequence[str]) -> Iterator[list[Summary]]:
    """The asked threads that are held, in order, a page for each."""
    for thread_id in sorted(set(thread_ids), key=id_bytes):
        summary = table.find(thread_id)
        if summary is not None:
            yield [summary]


class ArchiveSourceConfig(Config, frozen=True, kw_only=True):
    path: Annotated[Path, option("The archive's directory.", example="threads.lgx")]
    origin: Annotated[
        str | None,
        option("Which source's threads to read, where the archive holds several."),
    ] = None


class ArchiveSource(StoreSource[ArchiveSourceConfig]):
    """An archive in a directory."""

    name = "archive"
    summary = "directory of compressed, checksummed parts"
    config_type = ArchiveSourceConfig

    def __init__(self, config: ArchiveSourceConfig) -> None:
        super().__init__(config, DirectoryStore(config.path), origin=config.origin)
