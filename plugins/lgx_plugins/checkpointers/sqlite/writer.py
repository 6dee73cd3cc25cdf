"""Writing threads in a transaction that somebody else has begun."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lgx import Bundle, ThreadError, WriteOutcome
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.rows.conflicts import Course, Judgement, Policy, judge, left
from lgx_plugins.checkpointers.rows.digests import RowDigest
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.marks import TABLE, Kept, to_keep
from lgx_plugins.checkpointers.sqlite.cells import add_standing
from lgx_plugins.checkpointers.sqlite.decoding import Decoding
from lgx_plugins.checkpointers.sqlite.listing import placeholders as numbered
from lgx_plugins.checkpointers.sqlite.marks import put_marks, read_marks
from lgx_plugins.checkpointers.sqlite.rows import Thread
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES, Tables
from lgx_plugins.ids import is_text
from lgx_plugins.sqlite.failures import explain
from lgx_plugins.sqlite.pages import Cells
from lgx_plugins.sqlite.writer import pieces, placeholders

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Writer", "preview_first"]

_COLUMNS = {
    CHECKPOINTS: (
        "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
    ),
    WRITES: "thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, value",
}
_ROWS = 100
"""In one statement, and below 1000 values: between two statements Python's lock has to be had
again, which takes longer than a row where other threads are busy."""


class Writer:
    """Puts the threads of one source in."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        path: Path,
        tables: Tables,
        *,
        source: str,
        policy: Policy,
        cipher: Cipher,
        marks: bool = True,
    ) -> None:
        """`marks`: whether there is a table of them; in a dry run there may be none."""
        self._connection = connection
        self._path = path
        self._tables = tables
        self._source = source
        self._policy = policy
        self._cipher = cipher
        self._task_paths = tables.has(WRITES, "task_path")
        self._marks = marks
        paths = ", task_path" if self._task_paths else ""
        self._inserts = {
            CHECKPOINTS: f"INSERT INTO checkpoints ({_COLUMNS[CHECKPOINTS]})",
            WRITES: f"INSERT INTO writes ({_COLUMNS[WRITES]}{paths})",
        }
        self._places = {
            CHECKPOINTS: f"({', '.join('?' * 7)})",
            WRITES: f"({', '.join('?' * (9 if paths else 8))})",
        }

    def decode(self, bundles: Sequence[Bundle]) -> Decoding:
        """Begins to decode them, for `store`; no transaction need have begun."""
        return Decoding(bundles, self._cipher, task_paths=self._task_paths)

    async def store(self, decoding: Decoding) -> list[WriteOutcome]:
        """Those that are new together, the others one by one; an outcome for each."""
        bundles = decoding.bundles
        ids = [bundle.thread_id for bundle in bundles]
        if len(set(ids)) < len(ids):
            await decoding.stop()
            return [one for bundle in bundles for one in await self._alone(bundle)]
        taken = await self._taken(ids)
        if not taken:
            return await self._put(decoding, over=False)
        await decoding.stop()
        kept = await self._kept(ids)
        fresh = [bundle for bundle in bundles if bundle.thread_id not in taken]
        outcomes = {one.thread_id: one for one in await self._put_all(fresh)}
        for bundle in bundles:
            if bundle.thread_id in taken:
                outcomes[bundle.thread_id] = await self._settle(bundle, kept.get(bundle.thread_id))
        return [outcomes[bundle.thread_id] for bundle in bundles]

    async def _alone(self, bundle: Bundle) -> list[WriteOutcome]:
        async with self.decode([bundle]) as decoding:
            return await self.store(decoding)

    async def preview(self, bundle: Bundle) -> WriteOutcome:
        """What `store` would say, as far as can be told without writing."""
        thread = self._thread(bundle)
        try:
            if await self._taken([bundle.thread_id]):
                kept = (await self._kept([bundle.thread_id])).get(bundle.thread_id)
                judgement = await self._judge(thread, kept)
                if judgement.course is Course.LEAVE:
                    return left(self._policy, bundle, judgement)
                if judgement.course is Course.ADOPT:
                    return WriteOutcome(
                        thread_id=bundle.thread_id, losses=thread.losses, written=False
                    )
        except ThreadError as error:
            return WriteOutcome(thread_id=bundle.thread_id, error=str(error))
        return await _fitting(thread)

    # -- threads of which something stands there -------------------------------------

    async def _settle(self, bundle: Bundle, kept: Kept | None) -> WriteOutcome:
        thread = self._thread(bundle)
        try:
            judgement = await self._judge(thread, kept)
        except ThreadError as error:
            return WriteOutcome(thread_id=bundle.thread_id, error=str(error))
        if judgement.course is Course.LEAVE:
            return left(self._policy, bundle, judgement)
        if judgement.course is Course.ADOPT:
            await self._mark([thread])
            return WriteOutcome(thread_id=bundle.thread_id, losses=thread.losses, written=False)
        (outcome,) = await self._put_all([bundle], over=True)
        return outcome

    async def _judge(self, thread: Thread, kept: Kept | None) -> Judgement:
        standing = await self._standing(thread.bundle.thread_id)
        return await run_blocking(
            judge,
            self._policy,
            self._source,
            kept=kept,
            standing=standing,
            coming=thread.digest,
        )

    async def _standing(self, thread_id: str) -> str:
        """The digest of the rows that stand there. It asks for no room in the budget, which may
        be full of threads that wait to be written."""
        digest = RowDigest()
        for table in (CHECKPOINTS, WRITES):
            cursor = await self._connection.execute(
                f"SELECT {', '.join(self._tables.cells(table))} FROM {table} WHERE thread_id = ?",
                (thread_id,),
            )
            try:
                while rows := list(await cursor.fetchmany(1000)):  # a megabyte, or a row
                    await run_blocking(_add, digest, table, rows)
            finally:
                await cursor.close()
        return digest.text()

    async def _taken(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of which there are rows."""
        found: set[str] = set()
        for piece in pieces([one for one in ids if is_text(one)]):
            marks = numbered(piece)
            rows = await self._connection.execute_fetchall(
                f"SELECT thread_id FROM checkpoints WHERE thread_id IN ({marks}) "
                f"UNION SELECT thread_id FROM writes WHERE thread_id IN ({marks})",
                tuple(piece),
            )
            found.update(thread_id.decode() for (thread_id,) in rows)
        return frozenset(found)

    # -- rows ------------------------------------------------------------------------

    async def _put_all(
        self, bundles: Sequence[Bundle], *, over: bool = False
    ) -> list[WriteOutcome]:
        if not bundles:
            return []
        async with self.decode(bundles) as decoding:
            return await self._put(decoding, over=over)

    async def _put(self, decoding: Decoding, *, over: bool) -> list[WriteOutcome]:
        """All together if that works, else by halves, so that one thread fails alone; `over` what
        stands there."""
        bundles, threads = decoding.bundles, decoding.threads
        await self._connection.execute("SAVEPOINT lgx_threads")
        try:
            if over:
                await self.remove([bundle.thread_id for bundle in bundles])
            while chunk := await decoding.next():
                for table, cells in chunk.items():
                    await self._insert_rows(table, cells)
            await self._mark(threads)
        except ThreadError as error:
            await decoding.stop()
            await self._connection.execute("ROLLBACK TO lgx_threads")
            await self._connection.execute("RELEASE lgx_threads")
            if len(bundles) == 1:
                return [WriteOutcome(thread_id=bundles[0].thread_id, error=str(error))]
            half = len(bundles) // 2
            return [
                *await self._put_all(bundles[:half], over=over),
                *await self._put_all(bundles[half:], over=over),
            ]
        await self._connection.execute("RELEASE lgx_threads")
        return [
            WriteOutcome(thread_id=thread.bundle.thread_id, losses=thread.losses)
            for thread in threads
        ]

    async def _insert_rows(self, table: str, cells: Sequence[Sequence[Any]]) -> None:
        try:
            for start in range(0, len(cells), _ROWS):
                some = cells[start : start + _ROWS]
                places = ", ".join(itertools.repeat(self._places[table], len(some)))
                values = list(itertools.chain.from_iterable(some))
                await self._connection.execute(f"{self._inserts[table]} VALUES {places}", values)
        except sqlite3.IntegrityError as error:
            raise ThreadError(
                f"a row of it came twice, or is none that the table takes: {error}"
            ) from error
        except UnicodeEncodeError as error:
            raise _no_text(error.object) from None
        except (sqlite3.DataError, OverflowError) as error:  # of one value: its thread's
            raise explain(error, self._path) from error

    async def remove(self, ids: Sequence[str]) -> None:
        """Takes threads and their marks away, whoever wrote them."""
        for table in (CHECKPOINTS, WRITES, TABLE):
            for piece in pieces(ids):
                await self._connection.execute(
                    f"DELETE FROM {table} WHERE thread_id IN ({placeholders(piece)})", tuple(piece)
                )

    async def _mark(self, threads: Sequence[Thread]) -> None:
        marks: list[tuple[str, Kept]] = []
        for thread in threads:
            one = to_keep(self._source, thread.bundle, thread.written)
            if any(loss.holdable for loss in thread.losses):
                one = msgspec.structs.replace(one, version=None, fingerprint=None)
            marks.append((thread.bundle.thread_id, one))
        await put_marks(self._connection, marks)

    async def _kept(self, ids: Sequence[str]) -> Mapping[str, Kept]:
        return await read_marks(self._connection, ids) if self._marks else {}

    def _thread(self, bundle: Bundle) -> Thread:
        return Thread(bundle, self._cipher, task_paths=self._task_paths)


async def preview_first(bundle: Bundle, cipher: Cipher) -> WriteOutcome:
    """What `Writer.store` would say of a thread, where there are no tables yet."""
    return await _fitting(Thread(bundle, cipher, task_paths=True))


async def _fitting(thread: Thread) -> WriteOutcome:
    """Whether the tables have a place for it."""
    try:
        if not is_text(thread.bundle.thread_id):
            raise _no_text(thread.bundle.thread_id)
        await run_blocking(thread.digest)
    except ThreadError as error:
        return WriteOutcome(thread_id=thread.bundle.thread_id, error=str(error))
    return WriteOutcome(thread_id=thread.bundle.thread_id, losses=thread.losses)


def _no_text(text: str) -> ThreadError:
    return ThreadError(f"{text[:80]!r} holds a lone surrogate, which no text of SQLite's can hold")


def _add(digest: RowDigest, table: str, rows: Sequence[Cells]) -> None:
    for cells in rows:
        add_standing(digest, table, cells)
