"""The archive as a sink: threads in immutable parts, each whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar, Self, TypeVar

from lgx import (
    ANY_KIND,
    Bundle,
    Config,
    Context,
    Fact,
    Mark,
    Probe,
    RunInfo,
    Sink,
    ThreadRef,
    UsageError,
    WriteOutcome,
    option,
)
from lgx_plugins.archive.directory import DirectoryStore
from lgx_plugins.archive.inspection import describe
from lgx_plugins.archive.state import load_state
from lgx_plugins.archive.store import Store
from lgx_plugins.archive.writing import ArchiveWriter, clean_archive
from lgx_plugins.blocking import run_blocking

__all__ = ["ArchiveSink", "ArchiveSinkConfig", "StoreSink"]

C = TypeVar("C", bound=Config)

_MAX_LEVEL = 19  # higher ones need more memory than a run may have


class StoreSink(Sink[C]):
    """Writes an archive into a store, or goes on with one.

    A batch is durable when `write` returns. A crash costs the batch that is being written and
    what was gathered for the next one, which the next run repeats.
    """

    accepts = ANY_KIND
    max_writers: ClassVar[int] = 2  # they take turns: while one writes, the next batch gathers
    batch_bytes: ClassVar[int] = 16 << 20
    batch_threads: ClassVar[int] = 10_000
    batch_seconds: ClassVar[float] = 10.0

    def __init__(self, config: C, store: Store, *, level: int, part_size: int) -> None:
        super().__init__(config)
        self._store = store
        self._level = level
        self._part_size = part_size
        self._archive: ArchiveWriter | None = None
        self._busy = asyncio.Lock()

    async def __aenter__(self) -> Self:
        if self._level > _MAX_LEVEL:
            raise UsageError(f"level {self._level} is too high; choose 1 to {_MAX_LEVEL}")
        try:
            await run_blocking(self._store.check, writing=True)
        except BaseException:
            await run_blocking(self._store.close)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async with self._busy:
            archive, self._archive = self._archive, None
            try:
                if archive is not None:
                    await run_blocking(archive.close)
            finally:
                await run_blocking(self._store.close)

    async def probe(self, context: Context) -> Probe:
        if not await run_blocking(self._store.check, writing=True):
            return Probe(facts=(Fact(name="archive", value="will be created"),))
        state = await run_blocking(load_state, self._store)
        return await run_blocking(describe, self._store, state)

    async def clean(self, context: Context) -> Sequence[str]:
        return await run_blocking(clean_archive, self._store)

    async def begin(self, run: RunInfo, context: Context) -> None:
        await run_blocking(self._open, run)

    def _open(self, run: RunInfo) -> None:
        """In the thread itself: `begin` may be cancelled when the lock is taken already."""
        self._archive = ArchiveWriter.open(self._store, self._level, self._part_size, run)

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        return await run_blocking(self._opened.held, [ref.thread_id for ref in refs])

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        async with self._busy:
            errors = await run_blocking(self._opened.write, bundles)
        return [
            WriteOutcome(thread_id=bundle.thread_id, error=errors.get(bundle.thread_id))
            for bundle in bundles
        ]

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        async with self._busy:
            await run_blocking(self._opened.write_extras, kind, bundle)
        return WriteOutcome(thread_id=None)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        async with self._busy:
            await run_blocking(self._opened.forget, thread_ids)

    async def finish(self, context: Context) -> None:
        async with self._busy:
            await run_blocking(self._opened.finish)

    @property
    def _opened(self) -> ArchiveWriter:
        assert self._archive is not None, "used before begin"
        return self._archive


class ArchiveSinkConfig(Config, frozen=True, kw_only=True):
    path: Annotated[
        Path, option("The archive's directory; made where it is missing.", example="threads.lgx")
    ]
    level: Annotated[int, option("zstd's level, 1 (fast) to 19 (small).", at_least=1)] = 9
    part_size: Annotated[
        int, option("Bytes of records in one part, before compression.", at_least=1 << 16)
    ] = 64 << 20


class ArchiveSink(StoreSink[ArchiveSinkConfig]):
    """An archive in a directory."""

    name = "archive"
    summary = "directory of compressed, checksummed parts; incremental and resumable"
    config_type = ArchiveSinkConfig

    def __init__(self, config: ArchiveSinkConfig) -> None:
        store = DirectoryStore(config.path)
        super().__init__(config, store, level=config.level, part_size=config.part_size)
