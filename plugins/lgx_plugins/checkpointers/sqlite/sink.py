"""The sink: one transaction a batch, threads and their marks in the same one."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from lgx import (
    Bundle,
    Context,
    Mark,
    Probe,
    RunInfo,
    Sink,
    StoreItem,
    ThreadRef,
    UsageError,
    WriteOutcome,
)
from lgx_plugins.checkpointers.rebuilding import (
    TAKES_WITH,
    Rebuilder,
    held_as_rows,
    previewed_as_rows,
    written_as_rows,
)
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.forms import KINDS
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverSinkConfig, identity_of
from lgx_plugins.checkpointers.sqlite.facts import saver_target_facts
from lgx_plugins.checkpointers.sqlite.marks import another_source, has_marks, read_marks
from lgx_plugins.checkpointers.sqlite.schema import MARKS, SAVER_TABLES
from lgx_plugins.checkpointers.sqlite.store_facts import target_store_facts
from lgx_plugins.checkpointers.sqlite.store_writing import StoreWriter, foresee
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, Tables, find_tables
from lgx_plugins.checkpointers.sqlite.writer import Writer, preview_first
from lgx_plugins.files import check_target
from lgx_plugins.sqlite.config import real_path
from lgx_plugins.sqlite.connection import tables
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.target import Target

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["SqliteSaverSink"]

_LOG_PAGES = 16_384
_CACHE = 16 << 20  # bytes


class SqliteSaverSink(Sink[SqliteSaverSinkConfig]):
    """Threads in the tables of LangGraph's SqliteSaver, which then reads them as its own.

    The tables are made as the saver's own `setup()` makes them, or used as they stand; beside
    them lies one of marks. A thread that stands there and is no copy of this source's as lgx
    left it stays, unless `on_conflict` says otherwise; one with the same rows is marked, and
    not written. A write that is cancelled is rolled back, and returns when that is done.
    """

    name = "sqlite-saver"
    summary = "a file that LangGraph's SqliteSaver and AsyncSqliteSaver go on with"
    config_type = SqliteSaverSinkConfig
    accepts = KINDS
    takes_with = TAKES_WITH
    previews: ClassVar[bool] = True
    max_writers: ClassVar[int] = 2  # one decodes while the other writes
    batch_bytes: ClassVar[int] = 8 << 20

    def __init__(self, config: SqliteSaverSinkConfig) -> None:
        super().__init__(config)
        self.rebuilder = Rebuilder(config.graph, config.verify)
        self.accepts = KINDS | self.rebuilder.kinds | {StoreItem.kind}
        self._path = real_path(config.path)
        self._cipher = Cipher(config.aes_key)
        self._target = Target(self._path, config.busy_seconds)
        self._run: RunInfo | None = None
        self._writer: Writer | None = None
        self._marks = False

    async def __aenter__(self) -> SqliteSaverSink:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer = None
        await self._target.close()
        await self.rebuilder.close()

    async def versions(self, context: Context) -> Mapping[str, str]:
        return {"sqlite": sqlite3.sqlite_version}

    async def probe(self, context: Context) -> Probe:
        found = await saver_target_facts(self._path, self.config.busy_seconds)
        store = await target_store_facts(self._path, self.config.busy_seconds)
        return Probe(facts=(*found.facts, *store))

    # -- begin -----------------------------------------------------------------------

    async def begin(self, run: RunInfo, context: Context) -> None:
        await self.rebuilder.open()
        self._run = run
        check_target(self._path)
        if run.source == identity_of(self._path):
            raise UsageError(
                f"{str(self._path)!r} is the source, too; name another file with --sink-path"
            )
        if run.dry_run:
            await self._begin_dry(run)
            return
        connection = await self._target.open()
        with explained(self._path):
            # Of this connection: pages are written twice, and synced, less often.
            await connection.execute_fetchall(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
            await connection.execute_fetchall(f"PRAGMA cache_size = -{_CACHE >> 10}")
        async with self._target.transaction():
            for statement in (*SAVER_TABLES, MARKS):
                await connection.execute(statement)
            found = await self._usable(connection)
            await self._check_sources(connection, run)
        self._begun(connection, found, run, marks=True)

    async def _begin_dry(self, run: RunInfo) -> None:
        connection = await self._target.open_dry()
        if connection is None:
            return
        with explained(self._path):
            if CHECKPOINTS.encode() not in await tables(connection):
                await self._target.close()
                return
            found = await self._usable(connection)
            marks = await has_marks(connection)
            if marks:
                await self._check_sources(connection, run)
        self._begun(connection, found, run, marks=marks)

    def _begun(
        self, connection: aiosqlite.Connection, found: Tables, run: RunInfo, *, marks: bool
    ) -> None:
        self._marks = marks
        self._writer = Writer(
            connection,
            self._path,
            found,
            source=run.source,
            policy=self.config.on_conflict,
            cipher=self._cipher,
            marks=marks,
        )

    async def _usable(self, connection: aiosqlite.Connection) -> Tables:
        found = await find_tables(connection, self._path)
        missing = found.missing()
        if missing:
            raise UsageError(
                f"the tables in {str(self._path)!r} have no {missing[0]}, so they are not of a "
                "SqliteSaver that lgx knows; write to another file"
            )
        return found

    async def _check_sources(self, connection: aiosqlite.Connection, run: RunInfo) -> None:
        other = None if run.merge else await another_source(connection, run.source)
        if other is not None:
            raise UsageError(
                f"{str(self._path)!r} was filled from {other!r}, and this run reads "
                f"{run.source!r}; a copy in an archive counts as a source of its own; write to "
                "another file, or add --merge: threads that both have then stay as they are"
            )

    # -- threads ---------------------------------------------------------------------

    @held_as_rows
    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        if not (self._target.opened and self._marks):  # a dry run into what holds nothing yet
            return {}
        with explained(self._path):
            ids = [ref.thread_id for ref in refs]
            kept = await read_marks(self._target.connection, ids, standing=True)
        return {
            thread_id: Mark(
                version=mark.version, fingerprint=mark.fingerprint, checkpoints=mark.checkpoints
            )
            for thread_id, mark in kept.items()
            if mark.source == self._source
            and mark.version is not None
            and mark.fingerprint is not None
        }

    @written_as_rows
    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        writer = self._write()
        async with writer.decode(bundles) as decoding, self._target.transaction():
            return await writer.store(decoding)

    @previewed_as_rows
    async def preview(self, bundle: Bundle, context: Context) -> WriteOutcome:
        if self._writer is None:
            return await preview_first(bundle, self._cipher)
        with explained(self._path):
            return await self._writer.preview(bundle)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        writer = self._write()
        async with self._target.transaction() as connection:
            kept = await read_marks(connection, thread_ids)
            await writer.remove([key for key, mark in kept.items() if mark.source == self._source])

    # -- the store -------------------------------------------------------------------

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        target = self._target
        writer = StoreWriter(target.connection, self._path, self.config, target.transaction)
        return await writer.write(bundle)

    async def preview_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        return await foresee(self._path, self.config, bundle, context)

    # -- inside ----------------------------------------------------------------------

    @property
    def _source(self) -> str:
        assert self._run is not None, "used before begin"
        return self._run.source

    def _write(self) -> Writer:
        assert self._writer is not None, "written before begin, or in a dry run"
        return self._writer
