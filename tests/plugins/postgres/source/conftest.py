"""A small workshop: databases that are filled, read to their end, and edited by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lgx import (
    Checkpoint,
    Loss,
    Query,
    Record,
    Run,
    Secret,
    Thread,
    ThreadEnd,
    ThreadRef,
    UnknownRecord,
    canonical,
    encode_line,
    raw,
)
from lgx.testing import PostgresServer, make_bundle, make_context, make_run
from lgx_plugins.postgres import PostgresSink, PostgresSource
from lgx_plugins.postgres.config import PostgresSinkConfig, PostgresSourceConfig

# A session that its client has left takes a moment to notice.
_ENDED = """
DO $$ BEGIN
    FOR attempt IN 1..1000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'lgx');
        PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
    END LOOP;
END $$
"""


class Workshop:
    """Makes and reads the tables of one database."""

    def __init__(self, server: PostgresServer, dsn: str, directory: Path) -> None:
        self.server = server
        self.dsn = dsn
        self.directory = directory
        self.context = make_context(spool_directory=directory)

    @property
    def place(self) -> str:
        """As messages name it."""
        return self.source()._address.place

    def thread(self, thread_id: str, checkpoints: int = 2, note: str = "") -> list[Record]:
        """Records of one thread: every field that has a column, and one that has none."""
        return [
            Thread(
                thread_id=thread_id,
                created_at="2026-01-01T00:00:00+00:00",
                updated_at="2026-01-02T00:00:00+00:00",
                status="idle",
                metadata=raw({"owner": "alice", "note": note}),
                values=raw({"messages": [{"type": "human", "id": "m1", "content": "hi"}]}),
                interrupts=raw({}),
                config=raw({"configurable": {}}),
                extra={"state_updated_at": raw("2026-01-02T00:00:00+00:00")},
            ),
            *(
                Checkpoint(
                    thread_id=thread_id,
                    checkpoint_ns="",
                    checkpoint_id=f"1f{number:06}",
                    parent_checkpoint_id=f"1f{number - 1:06}" if number else None,
                    created_at=f"2026-01-01T00:00:{number % 60:02}+00:00",
                    values=raw({"n": number, "note": note}),
                    next=raw([]),
                    tasks=raw([]),
                    metadata=raw({"step": number}),
                    interrupts=raw([]),
                )
                for number in range(checkpoints)
            ),
            Run(thread_id=thread_id, run_id="r1", status="success", extra={"kwargs": raw({})}),
            UnknownRecord(
                name="memo",
                thread_id=thread_id,
                body=raw({"kind": "memo", "thread_id": thread_id, "text": note}),
            ),
        ]

    def sink(self, **options: Any) -> PostgresSink:
        return PostgresSink(PostgresSinkConfig(dsn=Secret(self.dsn), **options))

    def source(self, **options: Any) -> PostgresSource:
        return PostgresSource(PostgresSourceConfig(dsn=Secret(self.dsn), **options))

    async def write(
        self,
        *threads: Sequence[Record],
        origin: str = "http://one",
        partial: bool = False,
        **options: Any,
    ) -> None:
        """One run that writes these threads, each of which must arrive; others stay."""
        async with self.sink(**options) as sink:
            await sink.begin(make_run(source=origin, merge=True), make_context())
            bundles = [make_bundle(self.context, one, partial=partial) for one in threads]
            try:
                outcomes = await sink.write(bundles, self.context)
            finally:
                for bundle in bundles:
                    bundle.close()
            assert [outcome.error for outcome in outcomes] == [None] * len(threads)
            await sink.finish(self.context)

    async def refs(self, query: Query | None = None, **options: Any) -> list[ThreadRef]:
        async with self.source(**options) as source:
            found = [ref async for ref in source.list(query or Query(), self.context)]
        return [ref for ref in found if isinstance(ref, ThreadRef)]

    async def versions(self) -> dict[str, str]:
        return {ref.thread_id: ref.version for ref in await self.refs()}

    async def records(self, **options: Any) -> dict[str, list[bytes]]:
        """Every thread's records in their canonical form, in the order of listing; all must be
        complete."""
        async with self.source(**options) as source:
            return await self.records_of(source)

    async def records_of(self, source: PostgresSource) -> dict[str, list[bytes]]:
        """The same of a source that is open."""
        found: dict[str, list[bytes]] = {}
        refs = [ref async for ref in source.list(Query(), self.context)]
        assert all(isinstance(ref, ThreadRef) for ref in refs), refs
        lines: list[bytes] = []
        for start in range(0, len(refs), source.refs_per_read):
            part: Any = refs[start : start + source.refs_per_read]
            async for item in source.read(part, self.context):
                if isinstance(item, ThreadEnd):
                    assert (item.outcome, item.losses) == ("complete", ()), item
                    found[item.thread_id], lines = lines, []
                else:
                    lines.append(canonical(encode_line(item)))
        assert sorted(found) == sorted(getattr(ref, "thread_id") for ref in refs)  # noqa: B009
        return found

    async def losses(self, thread_id: str, **options: Any) -> tuple[list[Record], list[Loss]]:
        """The records of one thread, and what did not come of it."""
        records: list[Record] = []
        async with self.source(**options) as source:
            refs = [ref async for ref in source.list(Query(), self.context)]
            wanted: Any = [ref for ref in refs if ref.thread_id == thread_id]
            async for item in source.read(wanted, self.context):
                if isinstance(item, ThreadEnd):
                    return records, list(item.losses)
                records.append(item)
        raise AssertionError("the thread did not end")

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What another program sees; changes are committed."""
        return self.server.execute(self.dsn, sql, *parameters)

    def sessions(self, condition: str = "true") -> list[int]:
        """The server's processes that serve lgx in this database."""
        rows = self.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            f"AND application_name = 'lgx' AND {condition} ORDER BY backend_start"
        )
        return [pid for (pid,) in rows]

    def await_end(self) -> None:
        """Waits until no session of lgx is left."""
        self.query(_ENDED)

    def terminate(self, *pids: int) -> None:
        """Ends sessions, and waits until they have ended."""
        for pid in pids:
            assert self.query("SELECT pg_terminate_backend($1, 20000)", pid) == [(True,)]


@pytest.fixture
async def shop(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> AsyncIterator[Workshop]:
    workshop = Workshop(postgres_server, database, tmp_path)
    yield workshop
    assert workshop.context.budget.used == 0
    workshop.await_end()
    assert workshop.sessions() == []
