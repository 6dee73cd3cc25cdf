"""The source: the documents under a saver's keys."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import ClassVar

from lgx import (
    CheckpointWrite,
    Context,
    Loss,
    Probe,
    Query,
    RawCheckpoint,
    Record,
    Source,
    ThreadEnd,
    ThreadRef,
)
from lgx_plugins.checkpointers.redis.address import Address
from lgx_plugins.checkpointers.redis.config import RedisSaverConfig
from lgx_plugins.checkpointers.redis.facts import store_facts
from lgx_plugins.checkpointers.redis.index import Sum
from lgx_plugins.checkpointers.redis.keys import Keys
from lgx_plugins.checkpointers.redis.listing import Listing
from lgx_plugins.checkpointers.redis.reading import Reader
from lgx_plugins.checkpointers.redis.server import Server
from lgx_plugins.checkpointers.rows.filters import check_filters
from lgx_plugins.checkpointers.state import STATE_KINDS, Form

__all__ = ["RedisSaverSource"]


class RedisSaverSource(Source[RedisSaverConfig]):
    """The documents of RedisSaver and ShallowRedisSaver as records, in the text that they have.

    Keys are walked by SCAN: no search index is needed, and none can be behind. A version covers
    every document of a thread, keys and text; when Redis will remove a document is handed on,
    but no part of it. Redis shows no one moment: what was changed between listing and reading
    has the version of what was read, and the next run reads it again where that is not the last.
    """

    name = "redis-saver"
    summary = "LangGraph's own checkpoints in Redis"
    config_type = RedisSaverConfig
    offers = frozenset({RawCheckpoint.kind, CheckpointWrite.kind}) | STATE_KINDS
    ordered: ClassVar[bool] = True
    refs_per_read: ClassVar[int] = 50

    def __init__(self, config: RedisSaverConfig) -> None:
        super().__init__(config)
        self._address = Address(config.url)
        self._keys = Keys(config.checkpoint_prefix, config.checkpoint_write_prefix)
        self._server = Server(self._address, budgeted=True)
        self._listing = Listing(self._server, self._keys)
        self._form = Form(config.aes_key)

    async def __aenter__(self) -> RedisSaverSource:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listing.close()
        await self._server.__aexit__(exc_type, exc, traceback)

    async def versions(self, context: Context) -> Mapping[str, str]:
        return await self._server.check(context)

    async def probe(self, context: Context) -> Probe:
        version = await self._server.check(context)
        key = self.config.aes_key
        return Probe(facts=await store_facts(self._server, self._keys, version, key, context))

    async def identity(self) -> str:
        return self._address.identity(self.config.checkpoint_prefix)

    async def expected(self, query: Query, context: Context) -> int | None:
        check_filters(query)  # a mistake is best told before anything moves
        return None

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        self._form.choose(query, context)
        async for item in self._listing.refs(query, context):
            yield item

    def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        return self._form.of(self._documents(refs, context))

    async def _documents(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncGenerator[Record | ThreadEnd, None]:
        index = await self._listing.index(context)
        reader = Reader(self._server, self._keys, index)
        for ref in refs:
            version = Sum()
            losses: list[Loss] = []
            async with aclosing(reader.records(ref.thread_id, version, context)) as pieces:
                async for items in pieces:
                    for item in items:
                        if isinstance(item, Loss):
                            losses.append(item)
                        else:
                            yield item
            if not version.rows:
                yield ThreadEnd(thread_id=ref.thread_id, outcome="deleted")
                continue
            yield ThreadEnd(
                thread_id=ref.thread_id,
                outcome="partial" if losses else "complete",
                version=version.text(),
                losses=tuple(losses),
            )
        if reader.expiring:
            context.note(
                "documents of this Redis expire; the time of each is handed on, and kept where the "
                "target is Redis, an archive or a file of lgx's: other checkpointers keep theirs "
                "until somebody removes them"
            )
