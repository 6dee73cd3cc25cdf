"""The threads of a moment: who they are, and the version of each."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from msgspec import UNSET, Raw

from lgx import Context, FatalError, Loss, Query, Thread, ThreadError, ThreadRef
from lgx_plugins.checkpointers.postgres.tables import CHECKPOINTS, Tables
from lgx_plugins.checkpointers.postgres.versions import server_number, threads_sql
from lgx_plugins.checkpointers.rows.filters import check_filters
from lgx_plugins.filters import admits
from lgx_plugins.postgres.cursors import listed_rows
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.snapshot import Moment

__all__ = ["Listing"]

_AT_ONCE = 1000
_AT_ONCE_WITH_METADATA = 100


class Listing:
    def __init__(self, moment: Moment, tables: Tables, place: str) -> None:
        self._moment = moment
        self._tables = tables
        self._place = place

    async def refs(self, query: Query, context: Context) -> AsyncGenerator[ThreadRef | Loss, None]:
        """In the order of the ids' bytes.

        Raises:
            UsageError: a checkpointer does not keep what a filter asks for.
        """
        check_filters(query)
        wanted = [one for one in query.thread_ids if _holdable(one)]
        if query.thread_ids and not wanted:
            return
        server = await context.request(self._server, what="number of the server")
        rows = listed_rows(
            self._moment,
            self._place,
            self._sql(query, wanted),
            context,
            most=_AT_ONCE_WITH_METADATA if query.metadata else _AT_ONCE,
            what="list of threads",
        )
        try:
            async with aclosing(rows):
                async for row in rows:
                    found = _ref(row, query, server)
                    if found is not None:
                        yield found
        except ThreadError as error:  # none of them in particular
            raise FatalError(f"the threads in {self._place} cannot be listed: {error}") from error

    async def _server(self) -> str:
        async with self._moment.keeper() as keeper:
            with explained(self._place, again=True):
                return await server_number(keeper)

    def _sql(self, query: Query, wanted: list[str]) -> str:
        tables = self._tables
        threads = threads_sql(tables, wanted)
        time, metadata, latest = "NULL", "NULL", ""
        if query.since or query.until or query.metadata:
            time, metadata = "k.ts", "k.metadata"
            newest = "" if tables.shallow else ", p.checkpoint_id DESC"
            latest = (
                "LEFT JOIN LATERAL (SELECT p.checkpoint ->> 'ts' AS ts, "
                f"p.metadata::text AS metadata FROM {tables.names(CHECKPOINTS)} AS p "
                f"WHERE {tables.text(CHECKPOINTS, 'thread_id', 'p')} = l.id "
                f"ORDER BY p.checkpoint_ns <> ''{newest} LIMIT 1) AS k ON true "
            )
        return (
            f"SELECT l.id, l.version, l.size, {time}, {metadata} FROM ({threads}) AS l {latest}"
            "ORDER BY convert_to(l.id, 'UTF8')"
        )


def _ref(row: Any, query: Query, server: str) -> ThreadRef | Loss | None:
    thread_id, version, size, time, metadata = row
    thread = Thread(
        thread_id=thread_id,
        updated_at=time,
        metadata=UNSET if metadata is None else Raw(metadata.encode()),
    )
    try:
        if not admits(query, thread_id, thread):
            return None
    except ThreadError as error:
        return Loss(thread_id=thread_id, what="thread", why=str(error))
    # The text itself says nothing to anybody.
    version = hashlib.blake2b(f"{server} {version}".encode(), digest_size=16).hexdigest()
    return ThreadRef(thread_id=thread_id, version=version, size_hint=size)


def _holdable(thread_id: str) -> bool:
    """Whether the server can have such an id at all."""
    try:
        thread_id.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in thread_id
