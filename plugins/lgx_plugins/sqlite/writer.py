"""Writing threads in a transaction that somebody else has begun."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lgx import Bundle, Loss, ThreadError, WriteOutcome
from lgx_plugins.blocking import run_blocking
from lgx_plugins.sqlite.failures import explain
from lgx_plugins.sqlite.names import Names
from lgx_plugins.sqlite.rows import Row, chunks, insert, thread_rows
from lgx_plugins.tables import TABLES

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Writer", "pieces", "placeholders"]

_PARTS = ("checkpoints", "runs", "records")
_PARAMETERS = 500


class Writer:
    """Puts rows in for one source, in place of those that stood there."""

    def __init__(
        self, connection: aiosqlite.Connection, path: Path, names: Names, source: str
    ) -> None:
        self._connection = connection
        self._path = path
        self._names = names
        self._source = source
        self._inserts = {table.name: insert(names, table) for table in TABLES}

    async def store(self, bundles: Sequence[Bundle]) -> list[WriteOutcome]:
        """All together if that works, else by halves, so that one thread fails alone."""
        if not bundles:
            return []
        if len({bundle.thread_id for bundle in bundles}) == len(bundles):
            await self._connection.execute("SAVEPOINT lgx_threads")
            try:
                outcomes = await self._store_together(bundles)
            except ThreadError as error:
                await self._connection.execute("ROLLBACK TO lgx_threads")
                failed = WriteOutcome(thread_id=bundles[0].thread_id, error=str(error))
                outcomes = [failed] if len(bundles) == 1 else []
            await self._connection.execute("RELEASE lgx_threads")
            if outcomes:
                return outcomes
        half = len(bundles) // 2
        return [
            *await self.store(bundles[:half]),
            *await self.store(bundles[half:]),
        ]

    async def _store_together(self, bundles: Sequence[Bundle]) -> list[WriteOutcome]:
        ids = await self._ids([bundle.thread_id for bundle in bundles])
        for part in _PARTS:
            await self._connection.executemany(
                f"DELETE FROM {self._names(part)} WHERE thread = ?",
                [(row,) for row in ids.values()],
            )
        counts: dict[int, list[int]] = {}
        await self.insert(thread_rows(bundles, ids, self._source, counts))
        losses = await self._doubles(counts)
        return [
            WriteOutcome(
                thread_id=bundle.thread_id, losses=tuple(losses.get(ids[bundle.thread_id], ()))
            )
            for bundle in bundles
        ]

    async def _ids(self, thread_ids: Sequence[str]) -> dict[str, int]:
        """The rows of threads, new ones for those that have none."""
        ids: dict[str, int] = {}
        for piece in pieces(thread_ids):
            rows = await self._connection.execute_fetchall(
                f"SELECT thread_id, id FROM {self._names('threads')} "
                f"WHERE source_url = ? AND thread_id IN ({placeholders(piece)})",
                (self._source, *piece),
            )
            ids.update((thread_id.decode(), row) for thread_id, row in rows)
        ((last,),) = await self._connection.execute_fetchall(
            f"SELECT coalesce(max(id), 0) FROM {self._names('threads')}"
        )
        for thread_id in thread_ids:
            if thread_id not in ids:
                last += 1
                ids[thread_id] = last
        return ids

    async def insert(self, rows: Iterator[Row]) -> None:
        """Decodes in a worker thread and inserts in the connection's, a chunk at a time."""
        pending = chunks(rows)
        while (chunk := await run_blocking(next, pending, None)) is not None:
            for table, cells in chunk.items():
                try:
                    await self._connection.executemany(self._inserts[table], cells)
                except (sqlite3.DataError, OverflowError) as error:  # of one value: its thread's
                    raise explain(error, self._path) from error

    async def _doubles(self, counts: Mapping[int, Sequence[int]]) -> dict[int, list[Loss]]:
        """What came twice under one identity: the last stands, the others are listed."""
        losses: dict[int, list[Loss]] = {}
        for number, part in enumerate(("checkpoints", "runs")):
            wanted = [row for row, count in counts.items() if count[number]]
            for piece in pieces(wanted):
                rows = await self._connection.execute_fetchall(
                    f"SELECT thread, count(*) FROM {self._names(part)} "
                    f"WHERE thread IN ({placeholders(piece)}) GROUP BY thread",
                    tuple(piece),
                )
                for row, stored in rows:
                    missing = counts[row][number] - stored
                    if missing:
                        losses.setdefault(row, []).append(
                            Loss(
                                what=f"{missing} doubled {part}",
                                why="they came under an identity that another one of the "
                                "thread has; the last of each stands",
                                checkpoints=missing if part == "checkpoints" else 0,
                                holdable=False,
                            )
                        )
        return losses


def pieces(items: Sequence[int] | Sequence[str]) -> Iterator[Sequence[int] | Sequence[str]]:
    """Pieces of as many parameters as a statement surely takes."""
    for start in range(0, len(items), _PARAMETERS):
        yield items[start : start + _PARAMETERS]


def placeholders(items: Iterable[object]) -> str:
    """Question marks for them."""
    return ", ".join("?" for _ in items)
