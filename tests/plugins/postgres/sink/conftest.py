"""A small workshop: bundles, sinks that were begun, and what stands in the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lgx import (
    Bundle,
    Checkpoint,
    Query,
    Record,
    Run,
    RunInfo,
    Secret,
    Thread,
    UnknownRecord,
    canonical,
    encode_line,
    raw,
)
from lgx.testing import make_bundle, make_context, make_run, read_all
from lgx.testing.conformance.bundles import extras_bundle
from lgx_plugins.postgres import PostgresSink, PostgresSource
from lgx_plugins.postgres.config import PostgresSinkConfig, PostgresSourceConfig

Sql = Callable[..., list[tuple[Any, ...]]]


class Workshop:
    """Writes into one database and looks at it."""

    def __init__(self, dsn: str, sql: Sql, directory: Path) -> None:
        self.dsn = dsn
        self.sql = sql
        self.context = make_context(spool_directory=directory)
        self._bundles: list[Bundle] = []

    def thread(
        self, thread_id: str, checkpoints: int = 2, note: str = "", **fields: Any
    ) -> list[Record]:
        """Records of one thread, of every kind of row."""
        return [
            Thread(
                thread_id=thread_id,
                created_at="2026-01-01T00:00:00+00:00",
                updated_at="2026-01-02T00:00:00Z",
                status="idle",
                metadata=raw({"owner": "alice", "note": note}),
                values=raw({"messages": [{"type": "human", "id": "m1", "content": "hi"}]}),
                interrupts=raw({}),
                config=raw({"configurable": {}}),
                extra={"state_updated_at": raw("2026-01-02T00:00:00+00:00")},
            ),
            *(self.checkpoint(thread_id, number, note, **fields) for number in range(checkpoints)),
            Run(thread_id=thread_id, run_id="r1", status="success", extra={"kwargs": raw({})}),
            UnknownRecord(
                name="memo",
                thread_id=thread_id,
                body=raw({"kind": "memo", "thread_id": thread_id, "text": note}),
            ),
        ]

    def checkpoint(self, thread_id: str, number: int, note: str = "", **fields: Any) -> Checkpoint:
        known: dict[str, Any] = {
            "values": raw({"n": number, "note": note}),
            "next": raw([]),
            "tasks": raw([]),
            "metadata": raw({"step": number}),
            "interrupts": raw([]),
            **fields,
        }
        return Checkpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=f"1f{number:06}",
            parent_checkpoint_id=f"1f{number - 1:06}" if number else None,
            created_at=f"2026-01-01T00:00:{number % 60:02}.000001+00:00",
            **known,
        )

    def bundle(
        self, records: Sequence[Record], *, version: str = "1", partial: bool = False
    ) -> Bundle:
        """Closed when the test ends."""
        bundle = make_bundle(self.context, records, version=version, partial=partial)
        self._bundles.append(bundle)
        return bundle

    def extras(self, records: Iterable[Record], *, partial: bool = False) -> Bundle:
        bundle = extras_bundle(self.context, records, partial=partial)
        self._bundles.append(bundle)
        return bundle

    @asynccontextmanager
    async def sink(self, run: RunInfo | None = None, **options: Any) -> AsyncIterator[PostgresSink]:
        """A sink that has begun."""
        sink = PostgresSink(PostgresSinkConfig(**{"dsn": Secret(self.dsn), **options}))
        async with sink:
            await sink.begin(run or make_run(), make_context())
            yield sink

    async def write(
        self,
        *threads: Sequence[Record],
        run: RunInfo | None = None,
        version: str = "1",
        **options: Any,
    ) -> None:
        """One run that writes these threads, each of which must arrive."""
        async with self.sink(run, **options) as sink:
            bundles = [self.bundle(one, version=version) for one in threads]
            outcomes = await sink.write(bundles, self.context)
            assert [outcome.error for outcome in outcomes] == [None] * len(threads)
            await sink.finish(self.context)

    async def read(self, *, in_order: bool = True, **options: Any) -> dict[str, list[bytes]]:
        """The canonical lines of every thread, in order, which is to be a source's."""
        config = PostgresSourceConfig(**{"dsn": Secret(self.dsn), **options})
        async with PostgresSource(config) as source:
            contents = await read_all(source, Query(), make_context())
        assert contents.faults == [] or not in_order
        return {key: canonical_lines(records) for key, records in contents.threads.items()}

    def written(self, table: str = "checkpoints") -> dict[int, str]:
        """The transaction that wrote each row last."""
        return dict(self.sql(f"SELECT id, xmin::text FROM langgraph_{table}"))

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        tables = ("threads", "checkpoints", "runs", "records")
        return {
            table: self.sql(f"SELECT count(*) FROM langgraph_{table}")[0][0] for table in tables
        }

    def check_whole(self) -> None:
        """Each mark stands beside as many checkpoints as it says; no part is without thread."""
        wrong = self.sql(
            "SELECT thread_id FROM langgraph_threads AS t WHERE checkpoints IS DISTINCT FROM "
            "(SELECT count(*) FROM langgraph_checkpoints AS c WHERE c.thread = t.id)"
        )
        assert wrong == []
        assert self.sql(
            "SELECT count(*) FROM langgraph_checkpoints AS c WHERE NOT EXISTS "
            "(SELECT FROM langgraph_threads AS t WHERE t.id = c.thread)"
        ) == [(0,)]

    def close(self) -> None:
        for bundle in self._bundles:
            bundle.close()
        assert self.context.budget.used == 0


def canonical_lines(records: Iterable[Record]) -> list[bytes]:
    return [canonical(encode_line(record)) for record in records]


@pytest.fixture
def lines() -> Callable[[Iterable[Record]], list[bytes]]:
    """The canonical lines of records."""
    return canonical_lines


@pytest.fixture
async def shop(database: str, sql: Sql, tmp_path: Path) -> AsyncIterator[Workshop]:
    workshop = Workshop(database, sql, tmp_path)
    yield workshop
    workshop.close()
