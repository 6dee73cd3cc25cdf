"""A database of PostgresSaver's, as it, as lgx and as other programs see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.postgres import PostgresSaver

import lgx
from lgx import Query, Record, RunInfo, Secret, ThreadRef, WriteOutcome
from lgx.testing import PostgresServer, make_bundle, make_context, make_run
from lgx_plugins.checkpointers.postgres import PostgresSaverSink, PostgresSaverSource
from lgx_plugins.checkpointers.postgres.config import PostgresSaverConfig, PostgresSaverSinkConfig

__all__ = ["TABLES", "Store"]

TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


class Store:
    """A database of PostgresSaver's, as it, as lgx and as other programs see it."""

    def __init__(self, server: PostgresServer, dsn: str, directory: Path) -> None:
        self.server = server
        self.dsn = dsn
        self.directory = directory

    @contextmanager
    def saver(self, **options: Any) -> Iterator[PostgresSaver]:
        """PostgresSaver on it, with its tables."""
        with PostgresSaver.from_conn_string(self.dsn) as saver:
            saver.setup()
            for name, value in options.items():
                setattr(saver, name, value)
            yield saver

    def sql(self, text: str, *args: Any) -> list[tuple[Any, ...]]:
        return self.server.execute(self.dsn, text, *args)

    def rows(self, schema: str = "public") -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the three tables, byte by byte, but for how JSON is spelled."""
        return {
            table: self.sql(
                f'SELECT * FROM "{schema}".{table} ORDER BY ({table}.*)::text COLLATE "C"'
            )
            for table in TABLES
        }

    def source(self, **options: Any) -> PostgresSaverSource:
        return PostgresSaverSource(PostgresSaverConfig(dsn=Secret(self.dsn), **options))

    def sink(self, **options: Any) -> PostgresSaverSink:
        return PostgresSaverSink(PostgresSaverSinkConfig(dsn=Secret(self.dsn), **options))

    async def copy_to(self, other: Store, **options: Any) -> lgx.Report:
        """A run from this one into another; `sink_…` are options of the sink."""
        sink = {key[5:]: options.pop(key) for key in [*options] if key.startswith("sink_")}
        source = {key[7:]: options.pop(key) for key in [*options] if key.startswith("source_")}
        return await lgx.run_async(
            lgx.use("postgres-saver", dsn=self.dsn, **source),
            lgx.use("postgres-saver", dsn=other.dsn, **sink),
            **options,
        )

    async def refs(self, query: Query | None = None, **options: Any) -> list[ThreadRef]:
        async with self.source(**options) as source:
            found = [one async for one in source.list(query or Query(), make_context())]
        assert all(isinstance(one, ThreadRef) for one in found)
        return found  # type: ignore[return-value]

    async def read(self, **options: Any) -> dict[str, list[Record]]:
        """The records of every thread; all must be complete."""
        found: dict[str, list[Record]] = {}
        context = make_context()
        async with self.source(**options) as source:
            refs = [
                one
                async for one in source.list(Query(), context)
                if isinstance(one, ThreadRef)
            ]
            waiting: list[Record] = []
            async for item in source.read(refs, context):
                if isinstance(item, Record):
                    waiting.append(item)
                    continue
                assert item.outcome == "complete"
                assert item.losses == ()
                found[item.thread_id], waiting = waiting, []
        assert waiting == []
        return found

    @asynccontextmanager
    async def writing(
        self, run: RunInfo | None = None, **options: Any
    ) -> AsyncIterator[Callable[..., Any]]:
        """A run of the sink; what it gives writes threads, each a list of records."""
        context = make_context(spool_directory=self.directory)
        async with self.sink(**options) as sink:
            await sink.begin(run or make_run(), context)

            async def write(
                *threads: Sequence[Record], version: str = "1", partial: bool = False
            ) -> Sequence[WriteOutcome]:
                bundles = [
                    make_bundle(context, records, version=version, partial=partial)
                    for records in threads
                ]
                try:
                    return await sink.write(bundles, context)
                finally:
                    for bundle in bundles:
                        bundle.close()

            write.sink = sink  # type: ignore[attr-defined]
            yield write
            await sink.finish(context)
