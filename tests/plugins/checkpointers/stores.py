"""A database of PostgresSaver's, as it, as lgx and as other programs see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from langgraph.checkpoint.postgres import PostgresSaver

import lgx
from lgx import Query, Record, RunInfo, Secret, ThreadRef, WriteOutcome
from lgx.testing import PostgresServer, make_bundle, make_context, make_run
from lgx_plugins.checkpointers.postgres import PostgresSaverSink, PostgresSaverSource
from lgx_plugins.checkpointers.postgres.config import PostgresSaverConfig, PostgresSaverSinkConfig

__all__ = ["TABLES", "Databases", "Store"]

COLUMNS = {
    "checkpoints": ("text",) * 5 + ("jsonb",) * 2,
    "checkpoint_blobs": ("text",) * 5 + ("bytea",),
    "checkpoint_writes": ("text",) * 4 + ("int", "text", "text", "bytea", "text"),
}
"""Their types, as migrations of PostgresSaver leave them."""

TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


_EMPTY = """
DO $$
DECLARE name text;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR name IN SELECT nspname FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
    CREATE SCHEMA public;
END $$;
"""


class Databases:
    """Databases that tests use one after the other: to empty one takes a fiftieth of the time
    that a new one does."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._free: list[str] = []

    def take(self) -> str:
        """The DSN of an empty one."""
        return self._free.pop() if self._free else self._server.new_database()

    def give(self, dsn: str) -> None:
        """Takes one back, whoever is connected to it."""
        name = urlsplit(dsn).path[1:]
        self._server.execute(self._server.dsn, f"ALTER DATABASE {name} RESET ALL")
        self._server.execute(dsn, _EMPTY)
        self._free.append(dsn)

    def close(self) -> None:
        for dsn in self._free:
            self._server.drop_database(dsn)


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

    def fill(self, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        """Puts rows of another store in, of the tables that PostgresSaver makes."""
        with self.saver():
            pass
        for table, held in rows.items():
            if held:
                columns = [
                    f"unnest(${number}::{kind}[])" for number, kind in enumerate(COLUMNS[table], 1)
                ]
                self.sql(
                    f"INSERT INTO {table} SELECT {', '.join(columns)}",
                    *map(list, zip(*held, strict=True)),
                )

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
                one async for one in source.list(Query(), context) if isinstance(one, ThreadRef)
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
