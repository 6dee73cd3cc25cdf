"""What stands in a store that is written to: which keys there are, and whose they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from lgx import Context, ThreadError
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.redis.documents import Place, place_of
from lgx_plugins.checkpointers.redis.fields import add_document
from lgx_plugins.checkpointers.redis.keys import EMPTY_ID, EMPTY_TEXT, Keys
from lgx_plugins.checkpointers.redis.listing import patterns
from lgx_plugins.checkpointers.redis.server import Server
from lgx_plugins.checkpointers.rows.digests import RowDigest
from lgx_plugins.ids import id_bytes
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Standing"]

_SCHEMA = "CREATE TABLE names (key PRIMARY KEY, thread) WITHOUT ROWID"
_KNOWN = "SELECT 1 FROM names WHERE key = ?"
_PAGE = 500


class Standing:
    """The names of all keys, on disk: threads are found by the beginnings of theirs, and asked
    for the rest. Closed by its owner."""

    def __init__(self, server: Server, keys: Keys) -> None:
        self._server = server
        self._keys = keys
        self._names: ScratchDatabase | None = None

    def close(self) -> None:
        names, self._names = self._names, None
        if names is not None:
            names.close()

    async def open(self, context: Context) -> None:
        """Looks at what there is; once, before anything else."""
        if self._names is not None:
            return
        names = ScratchDatabase(_SCHEMA, cache=8 << 20)
        try:
            names.execute("CREATE INDEX by_thread ON names (thread)")
            await self._look(names, context)
        except BaseException:
            names.close()
            raise
        self._names = names

    async def _look(self, names: ScratchDatabase, context: Context) -> None:
        for pattern in patterns(self._keys):
            async for found in self._server.keys(pattern, context):
                await run_blocking(
                    names.insert,
                    "INSERT OR IGNORE INTO names VALUES (?, NULL)",
                    [(key,) for key in found],
                )

    async def renew(self, thread_id: str, context: Context) -> None:
        """Looks at everything again if a saver has gone on with a thread since: its latest
        checkpoint, or a write of that, is one that was not there."""
        try:
            thread = thread_id or EMPTY_ID
            pointer = self._keys.latest(thread, EMPTY_TEXT)
            begin = self._keys.checkpoint(thread, EMPTY_TEXT, "")
        except ThreadError:
            return  # no key can hold it
        (latest,) = await self._server.ask_all(context, [("GET", pointer)])
        if not isinstance(latest, bytes):
            return
        found = [latest]
        if latest.startswith(begin):
            registry = self._keys.registry(
                thread, EMPTY_TEXT, latest[len(begin) :].decode("utf-8", "replace")
            )
            (writes,) = await self._server.ask_all(context, [("ZRANGE", registry, 0, -1)])
            found += writes if isinstance(writes, list) else []
        names = self._table()
        new = [key for key in found if names.row(_KNOWN, (key,)) is None]
        there = await self._server.ask_all(context, [("EXISTS", key) for key in new])
        if 1 in there:  # not one of those that have expired
            await self._look(names, context)

    async def digest(self, thread_id: str, context: Context) -> str | None:
        """Of the documents of a thread; None where there are none."""
        digest = RowDigest()
        async for key, text, _ in self.documents(thread_id, context):
            await run_blocking(add_document, digest, key, text)
        return digest.text() if digest.rows else None

    async def documents(
        self, thread_id: str, context: Context
    ) -> AsyncGenerator[tuple[bytes, bytes, Place], None]:
        """What stands there of a thread: keys, texts, and what they are of."""
        names = self._table()
        for stored in (thread_id,) if thread_id else ("", EMPTY_ID):
            for writes in (False, True):
                try:
                    begin = self._keys.begins(stored, writes=writes)
                except ThreadError:
                    continue  # no key can hold it
                after, end = begin, begin[:-1] + b";"  # the byte behind the colon
                while True:
                    rows = names.rows(
                        "SELECT key FROM names WHERE key >= ? AND key < ? "
                        f"AND (thread IS NULL OR thread = ?) ORDER BY key LIMIT {_PAGE}",
                        (after, end, id_bytes(thread_id)),
                    )
                    if not rows:
                        break
                    after = rows[-1][0] + b"\0"
                    async for item in self._of(thread_id, [key for (key,) in rows], context):
                        yield item

    async def _of(
        self, thread_id: str, keys: list[bytes], context: Context
    ) -> AsyncGenerator[tuple[bytes, bytes, Place], None]:
        names = self._table()
        async for piece in self._server.documents(keys, context):
            for key, text in piece:
                if text is None:
                    continue
                try:
                    place = place_of(key, text, self._keys)
                except ThreadError:
                    continue  # another program's
                owner = id_bytes(place.thread_id)
                names.execute("UPDATE names SET thread = ? WHERE key = ?", (owner, key))
                if place.thread_id == thread_id:
                    yield key, text, place

    def taken(self, key: bytes, thread_id: str) -> bool:
        """Whether something stands under a key that is not this thread's. Its documents were
        looked at."""
        row = self._table().row("SELECT thread FROM names WHERE key = ?", (key,))
        return row is not None and row[0] != id_bytes(thread_id)

    def replaced(self, thread_id: str, keys: Iterable[bytes]) -> None:
        """Takes note of what a thread consists of now."""
        names = self._table()
        owner = id_bytes(thread_id)
        names.execute("DELETE FROM names WHERE thread = ?", (owner,))
        names.insert("INSERT OR REPLACE INTO names VALUES (?, ?)", ((key, owner) for key in keys))

    def _table(self) -> ScratchDatabase:
        assert self._names is not None, "asked before it was opened"
        return self._names
