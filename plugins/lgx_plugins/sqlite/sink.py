"""The sink: one transaction a batch, threads and their marks in the same one."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

from lgx import (
    ANY_KIND,
    Bundle,
    Context,
    Mark,
    Probe,
    RunInfo,
    Sink,
    ThreadError,
    ThreadRef,
    UsageError,
    WriteOutcome,
    raw,
)
from lgx_plugins.files import check_target
from lgx_plugins.sqlite.config import SqliteConfig, real_path
from lgx_plugins.sqlite.facts import sink_facts
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.migrations import migrate, schema_version
from lgx_plugins.sqlite.names import Names
from lgx_plugins.sqlite.rows import extra_rows
from lgx_plugins.sqlite.target import Target
from lgx_plugins.sqlite.writer import Writer, pieces, placeholders
from lgx_plugins.tables import EXTRA_TABLES

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["SqliteSink"]


class SqliteSink(Sink[SqliteConfig]):
    """Threads as rows. A database that exists keeps its other tables.

    Threads of several sources stand side by side, told apart by `source_url`; `begin` lets
    a second source in only where the run says `merge`. A write that is cancelled is rolled
    back, and returns when that is done.
    """

    name = "sqlite"
    summary = "tables of a SQLite database, to be queried with sqlite3 or Datasette"
    config_type = SqliteConfig
    accepts = ANY_KIND

    def __init__(self, config: SqliteConfig) -> None:
        super().__init__(config)
        self._path = real_path(config.path)
        self._names = Names(config.table_prefix)
        self._target = Target(self._path, config.busy_seconds)
        self._run: RunInfo | None = None
        self._export = 0

    async def __aenter__(self) -> SqliteSink:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._target.close()

    async def versions(self, context: Context) -> Mapping[str, str]:
        return {"sqlite": sqlite3.sqlite_version}

    async def probe(self, context: Context) -> Probe:
        return await sink_facts(self._path, self._names, self.config.busy_seconds)

    # -- begin and finish ------------------------------------------------------------

    async def begin(self, run: RunInfo, context: Context) -> None:
        self._run = run
        check_target(self._path)
        if run.dry_run:
            await self._begin_dry(run)
            return
        await self._target.open()
        async with self._transaction(edits=False) as connection:
            await migrate(connection, self._path, self._names)
            await self._check_sources(connection, run)
            cursor = await connection.execute(
                f"INSERT INTO {self._names('exports')} "
                "(source_url, started_at, fingerprint, versions) "
                "VALUES (?, ?, ?, CAST(? AS TEXT))",
                (run.source, run.started_at, run.fingerprint, bytes(raw(run.versions))),
            )
            assert cursor.lastrowid is not None
            self._export = cursor.lastrowid

    async def _begin_dry(self, run: RunInfo) -> None:
        connection = await self._target.open_dry()
        if connection is None:
            return
        with explained(self._path):
            if await schema_version(connection, self._path, self._names):
                await self._check_sources(connection, run)
                return
        await self._target.close()

    async def _check_sources(self, connection: aiosqlite.Connection, run: RunInfo) -> None:
        if run.merge:
            return
        for table in ("threads", "assistants", "crons", "store_items"):
            rows = await connection.execute_fetchall(
                f"SELECT source_url FROM {self._names(table)} "
                "WHERE source_url < ?1 OR source_url > ?1 LIMIT 1",
                (run.source,),
            )
            for (other,) in rows:
                raise UsageError(
                    f"{str(self._path)!r} was filled from {other.decode('utf-8', 'replace')!r}, "
                    f"and this run reads {run.source!r}; a copy in an archive counts as a source "
                    "of its own; write to another file, or add --merge to keep both apart in "
                    "this one"
                )

    async def finish(self, context: Context) -> None:
        async with self._transaction() as connection:
            await connection.execute(
                f"UPDATE {self._names('exports')} SET finished_at = ? WHERE id = ?",
                (datetime.now(UTC).isoformat(timespec="milliseconds"), self._export),
            )

    # -- threads ---------------------------------------------------------------------

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        if not self._target.opened:  # a dry run into a file that holds nothing yet
            return {}
        marks: dict[str, Mark] = {}
        with explained(self._path):
            for ids in pieces([ref.thread_id for ref in refs]):
                rows = await self._open().execute_fetchall(
                    "SELECT thread_id, source_version, fingerprint, coalesce(checkpoints, 0) "
                    f"FROM {self._names('threads')} WHERE source_url = ? AND source_version "
                    "IS NOT NULL AND fingerprint IS NOT NULL "
                    f"AND thread_id IN ({placeholders(ids)})",
                    (self._source, *ids),
                )
                for thread_id, version, fingerprint, count in rows:
                    marks[thread_id.decode()] = Mark(
                        version=version.decode("utf-8", "replace"),
                        fingerprint=fingerprint.decode("utf-8", "replace"),
                        checkpoints=count,
                    )
        return marks

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        async with self._transaction() as connection:
            outcomes = await self._writer(connection).store(bundles)
            whole = [b for b, o in zip(bundles, outcomes, strict=True) if o.error is None]
            await connection.execute(
                f"UPDATE {self._names('exports')} SET threads = threads + ?, "
                "checkpoints = checkpoints + ? WHERE id = ?",
                (len(whole), sum(bundle.checkpoints for bundle in whole), self._export),
            )
        return outcomes

    async def forget(self, thread_ids: Sequence[str]) -> None:
        async with self._transaction() as connection:
            await connection.executemany(
                f"DELETE FROM {self._names('threads')} "
                "WHERE thread_id = ? AND source_url = ?",  # the parts go with it, by cascade
                [(thread_id, self._source) for thread_id in thread_ids],
            )

    # -- extras ----------------------------------------------------------------------

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        table = EXTRA_TABLES[kind].name if kind in EXTRA_TABLES else None
        try:
            async with self._transaction() as connection:
                if bundle.outcome != "partial":
                    where = "source_url = ?" if table else "source_url = ? AND kind = ?"
                    await connection.execute(
                        f"DELETE FROM {self._names(table or 'records')} "
                        f"WHERE {where}{'' if table else ' AND thread IS NULL'}",
                        (self._source,) if table else (self._source, kind),
                    )
                await self._writer(connection).insert(extra_rows(bundle, self._source))
        except ThreadError as error:
            return WriteOutcome(thread_id=None, error=str(error))
        return WriteOutcome(thread_id=None)

    # -- inside ----------------------------------------------------------------------

    @property
    def _source(self) -> str:
        assert self._run is not None, "used before begin"
        return self._run.source

    def _open(self) -> aiosqlite.Connection:
        return self._target.connection

    def _writer(self, connection: aiosqlite.Connection) -> Writer:
        return Writer(connection, self._path, self._names, self._source)

    @asynccontextmanager
    async def _transaction(self, *, edits: bool = True) -> AsyncIterator[aiosqlite.Connection]:
        """One of the target's; says meanwhile that edits of threads are lgx's own."""
        info = self._names("info")
        async with self._target.transaction() as connection:
            if edits:
                await connection.execute(f"INSERT INTO {info} VALUES ('writing', '1')")
            yield connection
            if edits:
                await connection.execute(f"DELETE FROM {info} WHERE key = 'writing'")
