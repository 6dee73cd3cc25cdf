"""The threads of a file: who they are, and the version of each."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from lgx import Context, Loss, Query, Thread, ThreadError, ThreadRef
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.rows.digests import RowDigest
from lgx_plugins.checkpointers.rows.filters import check_filters
from lgx_plugins.checkpointers.rows.forms import metadata_of
from lgx_plugins.checkpointers.sqlite.cells import add_cells
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES, Tables
from lgx_plugins.checkpointers.sqlite.times import time_of
from lgx_plugins.filters import admits
from lgx_plugins.sqlite.connection import CHUNK_BYTES
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.pages import Cells, size_of

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["MOST_IDS", "Listing", "placeholders"]

MOST_IDS = 500
"""As many parameters as a statement surely takes."""

_LINE = 220
"""About how many bytes a row is as a record, besides its values."""

_WIDTH = 8
"""Cells of a row in the common list of both tables, beside the thread's id and the table."""


class Listing:
    def __init__(self, connection: aiosqlite.Connection, path: Path, tables: Tables) -> None:
        self._connection = connection
        self._path = path
        self._tables = tables

    async def refs(self, query: Query, context: Context) -> AsyncGenerator[ThreadRef | Loss, None]:
        """In the order of the ids' bytes. Every row is read: nothing else tells that somebody
        has rewritten one.

        Raises:
            UsageError: a checkpointer does not keep what a filter asks for.
        """
        check_filters(query)
        ids = query.thread_ids if len(query.thread_ids) <= MOST_IDS else ()
        ids = tuple(one for one in ids if _encodable(one))
        if query.thread_ids and not ids and len(query.thread_ids) <= MOST_IDS:
            return
        gathering = _Gathering()
        with explained(self._path):
            cursor = await self._connection.execute(self._sql(ids), ids)
        try:
            while not gathering.ended:
                for thread in await self._page(cursor, gathering, context):
                    if (found := thread.ref(query)) is not None:
                        yield found
        finally:
            await cursor.close()
        if gathering.open is not None and (found := gathering.open.ref(query)) is not None:
            yield found
        if gathering.odd:
            yield Loss(
                what=f"{gathering.odd} rows of no thread",
                why="their thread_id is no text, as it is in all that a SqliteSaver wrote; "
                "correct them, or remove them",
            )

    async def _page(
        self, cursor: aiosqlite.Cursor, gathering: _Gathering, context: Context
    ) -> list[_Thread]:
        """The threads that end in the next page of rows. Its room is given back before anybody
        waits for them to be taken."""
        await context.budget.take(CHUNK_BYTES)
        try:
            with explained(self._path):
                rows = list(await cursor.fetchmany(1000))
            context.received(size_of(rows))
            return await run_blocking(gathering.take, rows)
        finally:
            context.budget.give_page(CHUNK_BYTES)

    async def expected(self) -> int:
        """How many threads there are."""
        one = " UNION ".join(
            f"SELECT thread_id FROM {table}" for table in self._parts if self._tables.has(table)
        )
        with explained(self._path):
            ((count,),) = await self._connection.execute_fetchall(f"SELECT count(*) FROM ({one})")
        return int(count)

    @property
    def _parts(self) -> Sequence[str]:
        return [table for table in (CHECKPOINTS, WRITES) if self._tables.has(table)]

    def _sql(self, ids: Sequence[str]) -> str:
        """Both tables' rows, a thread's together; SQLite walks along their keys and sorts nothing.

        A thread is whatever has a row in any of them: writes may be there before their
        checkpoint is.
        """
        where = f" WHERE thread_id IN ({placeholders(ids)})" if ids else ""
        parts = []
        for table in self._parts:
            cells = self._tables.cells(table)
            cells += ["NULL"] * (_WIDTH - len(cells))
            parts.append(
                f"SELECT thread_id, typeof(thread_id) = 'text', {int(table == WRITES)}, "
                f"{', '.join(cells)} FROM {table}{where}"
            )
        return " UNION ALL ".join(parts) + " ORDER BY 1"


def placeholders(ids: Sequence[object]) -> str:
    """Numbered, so that several parts of a statement share them."""
    return ", ".join(f"?{number}" for number in range(1, len(ids) + 1))


class _Gathering:
    """Puts rows together to threads.

    Attributes:
        open: the thread that the last row belongs to; more of it may come.
        odd: how many rows belong to none.
        ended: whether there are no more.
    """

    def __init__(self) -> None:
        self.open: _Thread | None = None
        self.odd = 0
        self.ended = False

    def take(self, page: Sequence[Cells]) -> list[_Thread]:
        """The threads that end in this page; an empty one is the last."""
        self.ended = not page
        ended: list[_Thread] = []
        for (thread_id, is_text), rows in itertools.groupby(page, _thread_of):
            if not is_text:
                self.odd += sum(1 for _ in rows)
                continue
            if self.open is None or self.open.key != thread_id:
                if self.open is not None:
                    ended.append(self.open)
                self.open = _Thread(thread_id)
            self.open.take(rows)
        return ended


class _Thread:
    """What is learnt of one thread while its rows pass."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._digest = RowDigest()
        self._size = 0
        self._latest: Cells | None = None

    def take(self, rows: Iterable[Cells]) -> None:
        for row in rows:
            cells = row[3:9] if row[2] == 0 else row[3:]
            self._size += _LINE + sum([len(cell) for cell in cells if type(cell) is bytes])
            if row[2]:
                add_cells(self._digest, WRITES, cells)
                continue
            if cells[0] == b"" and (self._latest is None or cells[1] > self._latest[1]):
                self._latest = cells
            add_cells(self._digest, CHECKPOINTS, cells)

    def ref(self, query: Query) -> ThreadRef | Loss | None:
        """None where the query does not admit it."""
        try:
            thread_id = self.key.decode()
        except UnicodeDecodeError:
            shown = self.key.decode("utf-8", "backslashreplace")
            return Loss(what=f"thread {shown!r}", why="its id is no UTF-8; correct it")
        try:
            if not admits(query, thread_id, self._head(thread_id, query)):
                return None
        except ThreadError as error:
            return Loss(thread_id=thread_id, what="thread", why=str(error))
        size = self._size * 4 // 3  # in base64
        return ThreadRef(thread_id=thread_id, version=self._digest.text(), size_hint=size)

    def _head(self, thread_id: str, query: Query) -> Thread:
        """What filters look at: of the latest checkpoint of the root namespace."""
        if self._latest is None or not (query.metadata or query.since or query.until):
            return Thread(thread_id=thread_id)
        _, _, _, type_, blob, metadata = self._latest
        time = None
        if query.since or query.until:
            time = time_of(type_, blob)
        found = metadata_of(metadata).text if isinstance(metadata, bytes) else UNSET
        return Thread(thread_id=thread_id, updated_at=time, metadata=_compacted(found, metadata))


def _compacted(found: Raw | msgspec.UnsetType, metadata: Any) -> Raw | msgspec.UnsetType:
    """Metadata that a line could not keep as it is can still be looked at."""
    if found is UNSET and isinstance(metadata, bytes):
        try:
            return Raw(bytes(msgspec.json.decode(metadata, type=Raw)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ThreadError(
                "the filters cannot be applied to it: the metadata of its latest checkpoint is no "
                "JSON"
            ) from None
    return found


def _thread_of(row: Cells) -> tuple[Any, Any]:
    return row[0], row[1]


def _encodable(thread_id: str) -> bool:
    """Whether there can be a thread of that id at all."""
    try:
        thread_id.encode()
    except UnicodeEncodeError:
        return False
    return True
