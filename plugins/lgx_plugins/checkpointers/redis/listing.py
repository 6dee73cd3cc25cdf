"""The threads of a store, and the version of each: every document is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from lgx import Context, Loss, Query, Thread, ThreadError, ThreadRef
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.redis.documents import Place, place_of
from lgx_plugins.checkpointers.redis.index import Index, Listed
from lgx_plugins.checkpointers.redis.keys import EMPTY_ID, Keys, escaped
from lgx_plugins.checkpointers.redis.server import Server
from lgx_plugins.checkpointers.rows.filters import check_filters
from lgx_plugins.checkpointers.rows.forms import metadata_of
from lgx_plugins.filters import admits

__all__ = ["Listing", "patterns"]

_MOST_IDS = 20
"""So many threads are looked for by the beginnings of their keys; of more, all keys are read."""

_SHOWN = 5


class _Checkpoint(msgspec.Struct):
    ts: str | None = None


class _Document(msgspec.Struct):
    checkpoint: _Checkpoint


_document = msgspec.json.Decoder(_Document)


class Listing:
    """What is known of a store; closed by its owner."""

    def __init__(self, server: Server, keys: Keys) -> None:
        self._server = server
        self._keys = keys
        self._index: Index | None = None
        self._building = asyncio.Lock()
        self._odd: list[str] = []
        self._count = 0

    def close(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            index.close()

    async def refs(self, query: Query, context: Context) -> AsyncGenerator[ThreadRef | Loss, None]:
        """In the order of the ids' bytes.

        Raises:
            UsageError: a checkpointer does not keep what a filter asks for.
        """
        check_filters(query)
        index = await self.index(context, query)
        threads = index.threads()
        nothing = Listed("", "", None, 0)
        while (listed := await run_blocking(next, threads, nothing)) is not nothing:
            found = await self._ref(listed, query, context)
            if found is not None:
                yield found
        if self._count:
            more = "" if self._count <= _SHOWN else f" and {self._count - _SHOWN} more"
            yield Loss(
                what=f"{self._count} keys: {', '.join(self._odd)}{more}",
                why="what stands there is no document of a RedisSaver's as lgx knows them; if "
                "another program's, read with another prefix",
            )

    async def index(self, context: Context, query: Query | None = None) -> Index:
        """What there is; looked at once."""
        async with self._building:
            if self._index is None:
                await self._server.check(context)
                index = Index()
                try:
                    for pattern in patterns(self._keys, query):
                        async for found in self._server.keys(pattern, context):
                            await self._take(index, found, context)
                except BaseException:
                    index.close()
                    raise
                self._index = index
            return self._index

    async def _take(self, index: Index, found: list[bytes], context: Context) -> None:
        keys = list(dict.fromkeys(found))
        async with aclosing(self._server.documents(keys, context)) as pieces:
            async for piece in pieces:
                await run_blocking(self._put, index, piece)

    def _put(self, index: Index, piece: Sequence[tuple[bytes, bytes | None]]) -> None:
        documents: list[tuple[bytes, bytes, Place]] = []
        for key, text in piece:
            if text is None:
                continue  # gone, or no document at all
            try:
                documents.append((key, text, place_of(key, text, self._keys)))
            except ThreadError:
                self._count += 1
                if self._count <= _SHOWN:
                    self._odd.append(repr(key.decode("utf-8", "backslashreplace")))
        index.put(documents)

    async def _ref(self, listed: Listed, query: Query, context: Context) -> ThreadRef | Loss | None:
        thread_id = listed.thread_id
        try:
            head = Thread(thread_id=thread_id)
            if listed.latest is not None and (query.metadata or query.since or query.until):
                head = await self._head(thread_id, listed.latest, context)
            if not admits(query, thread_id, head):
                return None
        except ThreadError as error:
            return Loss(thread_id=thread_id, what="thread", why=str(error))
        size = listed.size * 4 // 3
        return ThreadRef(thread_id=thread_id, version=listed.version, size_hint=size)

    async def _head(self, thread_id: str, key: bytes, context: Context) -> Thread:
        """What filters look at: of the latest checkpoint of the root namespace."""
        head = Thread(thread_id=thread_id)
        async with aclosing(self._server.documents([key], context)) as pieces:
            async for ((_, text),) in pieces:
                if text is None:
                    continue
                place = place_of(key, text, self._keys)
                try:
                    time = _document.decode(text).checkpoint.ts
                except msgspec.MsgspecError:
                    time = None
                metadata = metadata_of(place.metadata).text
                head = Thread(thread_id=thread_id, updated_at=time, metadata=metadata)
        return head


def patterns(keys: Keys, query: Query | None = None) -> list[bytes]:
    """What SCAN is to match, for all documents of the threads that a query names."""
    ids = query.thread_ids if query is not None else ()
    if not ids or len(ids) > _MOST_IDS:
        return [
            escaped(f"{prefix}:") + b"*" for prefix in (keys.checkpoint_prefix, keys.write_prefix)
        ]
    found: dict[bytes, None] = {}
    for one in ids:
        for stored in (one,) if one else ("", EMPTY_ID):
            for prefix in (keys.checkpoint_prefix, keys.write_prefix):
                try:
                    found[escaped(f"{prefix}:{stored}:") + b"*"] = None
                except ThreadError:  # no key can hold it
                    continue
    return list(found)
