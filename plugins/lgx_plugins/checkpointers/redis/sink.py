"""The sink: documents that RedisSaver goes on with, each thread in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar

from lgx import (
    Bundle,
    Context,
    Fact,
    Mark,
    Probe,
    RunInfo,
    Sink,
    ThreadRef,
    UsageError,
    WriteOutcome,
)
from lgx_plugins.blocking import run_to_end
from lgx_plugins.checkpointers.rebuilding import (
    TAKES_WITH,
    Rebuilder,
    held_as_rows,
    previewed_as_rows,
    written_as_rows,
)
from lgx_plugins.checkpointers.redis.address import Address
from lgx_plugins.checkpointers.redis.config import RedisSaverSinkConfig
from lgx_plugins.checkpointers.redis.facts import server_facts
from lgx_plugins.checkpointers.redis.keys import Keys
from lgx_plugins.checkpointers.redis.lock import StoreLock
from lgx_plugins.checkpointers.redis.marks import Marks
from lgx_plugins.checkpointers.redis.schema import create_indexes
from lgx_plugins.checkpointers.redis.server import Server
from lgx_plugins.checkpointers.redis.staging import clean
from lgx_plugins.checkpointers.redis.writing import Writer
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.forms import KINDS

__all__ = ["RedisSaverSink"]


class RedisSaverSink(Sink[RedisSaverSinkConfig]):
    """Threads under the keys of RedisSaver, which then reads them as its own.

    Documents of a Redis come as they are. Others are written in the forms that RedisSaver's
    reader understands, which are more than its serializer writes; a thread with a value that it
    could not load as what it is fails, unless `allow_lossy`. Indexes are made as the saver's own
    `setup()` makes them; marks lie in a hash. A thread is staged under keys of lgx's own, and
    put in its place in one transaction: it stands there whole or not at all.
    """

    name = "redis-saver"
    summary = "a Redis that LangGraph's RedisSaver and AsyncRedisSaver go on with"
    config_type = RedisSaverSinkConfig
    accepts = KINDS
    takes_with = TAKES_WITH
    previews: ClassVar[bool] = True

    def __init__(self, config: RedisSaverSinkConfig) -> None:
        super().__init__(config)
        self.rebuilder = Rebuilder(config.graph, config.verify)
        self.accepts = KINDS | self.rebuilder.kinds
        self._address = Address(config.url)
        self._keys = Keys(config.checkpoint_prefix, config.checkpoint_write_prefix)
        self._cipher = Cipher(config.aes_key)
        self._server = Server(self._address, budgeted=False)
        self._marks = Marks(self._server, self._keys)
        self._lock = StoreLock(self._server, self._keys.lock)
        self._run: RunInfo | None = None
        self._context: Context | None = None
        self._writer: Writer | None = None

    async def __aenter__(self) -> RedisSaverSink:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await run_to_end(self._close())
        await self.rebuilder.close()

    async def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        try:
            await self._lock.release()
        finally:
            await self._server.__aexit__(None, None, None)

    async def versions(self, context: Context) -> Mapping[str, str]:
        return await self._server.check(context, search=True)

    async def probe(self, context: Context) -> Probe:
        version = await self._server.check(context, search=True)
        facts = [*await server_facts(self._server, version, context)]
        there = {bytes(name).decode() for name in await self._server.ask(context, "FT._LIST")}
        for name in (self.config.checkpoint_prefix, self.config.checkpoint_write_prefix):
            state = "is there" if name in there else "will be made"
            facts.append(Fact(name="index", value=f"{name} {state}"))
        return Probe(facts=tuple(facts))

    async def begin(self, run: RunInfo, context: Context) -> None:
        await self.rebuilder.open()
        self._run = run
        self._context = context
        if self._address.is_place_of(run.source):
            raise UsageError(
                f"{self._address.place} is the source, too, and prefixes do not keep all keys of "
                "two RedisSavers apart; name another with --sink-url"
            )
        await self._server.check(context, search=True)
        if self._address.database != 0:
            raise UsageError(
                f"{self._address.place} is not database 0, the only one of which RediSearch keeps "
                "indexes: no RedisSaver would find the threads; name that one"
            )
        if not run.dry_run:
            await self._lock.acquire(context)
            await create_indexes(self._server, self._keys, context)
            await clean(self._server, self._keys, context)
        other = None
        if not run.merge:
            other = await self._marks.another_source(run.source, context)
        if other is not None:
            raise UsageError(
                f"{self._address.place} was filled from {other!r}, and this run reads "
                f"{run.source!r}; a copy in an archive counts as a source of its own; write to "
                "another one, or add --merge: threads that both have then stay as they are"
            )
        self._writer = Writer(
            self._server,
            self._keys,
            None if run.dry_run else self._lock,
            source=run.source,
            policy=self.config.on_conflict,
            cipher=self._cipher,
            lossy=self.config.allow_lossy,
        )

    @held_as_rows
    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        run, context = self._begun()
        stored = await self._marks.read([ref.thread_id for ref in refs], context, standing=True)
        return {
            thread_id: Mark(
                version=one.kept.version,
                fingerprint=one.kept.fingerprint,
                checkpoints=one.kept.checkpoints,
            )
            for thread_id, one in stored.items()
            if one.kept.source == run.source
            and one.kept.version is not None
            and one.kept.fingerprint is not None
        }

    @written_as_rows
    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        writer = self._write()
        stored = await self._marks.read([bundle.thread_id for bundle in bundles], context)
        outcomes: list[WriteOutcome] = []
        seen: set[str] = set()
        for bundle in bundles:
            if bundle.thread_id in seen:
                stored = await self._marks.read([bundle.thread_id], context)
            seen.add(bundle.thread_id)
            outcomes.append(await writer.store(bundle, stored.get(bundle.thread_id), context))
        return outcomes

    @previewed_as_rows
    async def preview(self, bundle: Bundle, context: Context) -> WriteOutcome:
        stored = await self._marks.read([bundle.thread_id], context)
        return await self._write().store(bundle, stored.get(bundle.thread_id), context, dry=True)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        run, context = self._begun()
        writer = self._write()
        for thread_id, one in (await self._marks.read(thread_ids, context)).items():
            if one.kept.source == run.source:
                await writer.forget(thread_id, context)

    async def clean(self, context: Context) -> Sequence[str]:
        await self._server.check(context)
        await self._lock.acquire(context)
        count = await clean(self._server, self._keys, context)
        return (f"{count} keys that begin with {self._keys.parts}",) if count else ()

    def _begun(self) -> tuple[RunInfo, Context]:
        assert self._run is not None, "used before begin"
        assert self._context is not None, "used before begin"
        return self._run, self._context

    def _write(self) -> Writer:
        assert self._writer is not None, "written before begin"
        return self._writer
