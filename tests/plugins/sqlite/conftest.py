"""A small workshop: bundles from records, sinks that were begun, sources read to their end."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from lgx import (
    Bundle,
    Checkpoint,
    Loss,
    Mark,
    Query,
    Record,
    Run,
    RunInfo,
    Thread,
    ThreadEnd,
    ThreadRef,
    UnknownRecord,
    encode_line,
    raw,
)
from lgx.testing import make_context
from lgx_plugins.sqlite import SqliteSink, SqliteSource
from lgx_plugins.sqlite.config import SqliteConfig, SqliteSourceConfig
from lgx_plugins.tables import not_whole


class Workshop:
    """Makes and reads databases below one directory."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "threads.db"
        self.context = make_context(spool_directory=directory)
        self._bundles: list[Bundle] = []

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

    def bundle(
        self,
        records: Iterable[Record],
        *,
        thread_id: str | None = None,
        version: str = "v1",
        partial: bool = False,
        extras: bool = False,
    ) -> Bundle:
        """A bundle as the engine makes it; closed when the test ends."""
        spool = self.context.spool()
        for record in records:
            thread_id = thread_id if thread_id is not None else getattr(record, "thread_id", None)
            spool.append(record)
        ref = mark = None
        if not extras:
            assert thread_id is not None
            ref = ThreadRef(thread_id=thread_id, version=version)
            if not partial:
                mark = Mark(version=version, fingerprint="f1", checkpoints=spool.checkpoints)
        bundle = Bundle(spool, ref=ref, mark=mark, outcome="partial" if partial else "complete")
        self._bundles.append(bundle)
        return bundle

    def run(
        self, source: str = "http://one", *, merge: bool = False, dry_run: bool = False
    ) -> RunInfo:
        return RunInfo(
            source=source,
            started_at="2026-01-03T00:00:00+00:00",
            fingerprint="f1",
            versions={"lgx": "0.1.0"},
            merge=merge,
            dry_run=dry_run,
        )

    @asynccontextmanager
    async def sink(self, run: RunInfo | None = None, **options: Any) -> AsyncIterator[SqliteSink]:
        """A sink that has begun."""
        config: dict[str, Any] = {"path": self.path, "busy_seconds": 0, **options}
        sink = SqliteSink(SqliteConfig(**config))
        async with sink:
            await sink.begin(run or self.run(), make_context())
            yield sink

    async def write(
        self, *threads: Sequence[Record], run: RunInfo | None = None, **options: Any
    ) -> None:
        """One run that writes these threads, each of which must arrive."""
        async with self.sink(run, **options) as sink:
            outcomes = await sink.write([self.bundle(one) for one in threads], self.context)
            assert [outcome.error for outcome in outcomes] == [None] * len(threads)
            await sink.finish(self.context)

    def source(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        config: dict[str, Any] = {"path": self.path, "busy_seconds": 0, **options}
        return SqliteSource(SqliteSourceConfig(**config))

    async def refs(self, query: Query | None = None, **options: Any) -> list[ThreadRef]:
        async with self.source(**options) as source:
            return [ref async for ref in source.list(query or Query(), self.context)]

    async def lines(self, *, part: str | None = None, **options: Any) -> dict[str, list[bytes]]:
        """Every thread's records as lines, in the order of listing; all must be complete, but
        for one that is not whole."""
        found: dict[str, list[bytes]] = {}
        async with self.source(**options) as source:
            refs = [ref async for ref in source.list(Query(), self.context)]
            lines: list[bytes] = []
            for start in range(0, len(refs), 50):
                async for item in source.read(refs[start : start + 50], self.context):
                    if isinstance(item, ThreadEnd):
                        if item.thread_id == part:
                            expected: object = ("partial", (not_whole(part),))
                        else:
                            expected = ("complete", ())
                        assert (item.outcome, item.losses) == expected, item
                        found[item.thread_id], lines = lines, []
                    else:
                        lines.append(encode_line(item))
        return found

    async def losses(self, thread_id: str, **options: Any) -> tuple[list[Record], list[Loss]]:
        """The records of one thread, and what did not come of it."""
        records: list[Record] = []
        async with self.source(**options) as source:
            refs = [ref async for ref in source.list(Query(), self.context)]
            wanted = [ref for ref in refs if ref.thread_id == thread_id]
            async for item in source.read(wanted, self.context):
                if isinstance(item, ThreadEnd):
                    return records, list(item.losses)
                records.append(item)
        raise AssertionError("the thread did not end")

    async def limit(self, sink: SqliteSink, size: int) -> None:
        """Makes SQLite's limit on the size of a record a small one."""
        connection: Any = sink._open()
        await connection._execute(connection._conn.setlimit, sqlite3.SQLITE_LIMIT_LENGTH, size)

    def files(self) -> list[str]:
        """The names in the directory, temporary ones of spools aside: those have none."""
        return sorted(path.name for path in self.path.parent.iterdir())

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What another program sees; changes are committed."""
        with closing(sqlite3.connect(self.path)) as connection:
            rows = connection.execute(sql, parameters).fetchall()
            connection.commit()
            return rows

    def close(self) -> None:
        for bundle in self._bundles:
            bundle.close()
        assert self.context.budget.used == 0


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Workshop]:
    workshop = Workshop(tmp_path)
    yield workshop
    workshop.close()
