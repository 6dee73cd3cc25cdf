"""Writing threads: each is staged, and then put in its place in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager

from lgx import Bundle, Context, FatalError, ThreadError, WriteOutcome
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.redis.converting import Converted
from lgx_plugins.checkpointers.redis.keys import EMPTY_ID, EMPTY_TEXT, Keys
from lgx_plugins.checkpointers.redis.lock import StoreLock
from lgx_plugins.checkpointers.redis.marks import Marks, Stored
from lgx_plugins.checkpointers.redis.server import Command, Server
from lgx_plugins.checkpointers.redis.staging import Staged, stage
from lgx_plugins.checkpointers.redis.standing import Standing
from lgx_plugins.checkpointers.rows.conflicts import Course, Policy, judge, left
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.joining import Joiner
from lgx_plugins.checkpointers.rows.marks import to_keep
from lgx_plugins.ids import id_bytes

__all__ = ["Writer"]

_NAMES = 500


class Writer:
    """Puts the threads of one source in. Closed by its maker."""

    def __init__(
        self,
        server: Server,
        keys: Keys,
        lock: StoreLock | None,
        *,
        source: str,
        policy: Policy,
        cipher: Cipher,
        lossy: bool,
    ) -> None:
        """`lock`: None in a dry run."""
        self._server = server
        self._keys = keys
        self._lock = lock
        self._source = source
        self._policy = policy
        self._cipher = cipher
        self._lossy = lossy
        self._joiner = Joiner(cipher)
        self._marks = Marks(server, keys)
        self._standing = Standing(server, keys)

    def close(self) -> None:
        """May be called again."""
        self._joiner.close()
        self._standing.close()

    async def store(
        self, bundle: Bundle, stored: Stored | None, context: Context, *, dry: bool = False
    ) -> WriteOutcome:
        """Writes a thread, or says why not; `dry`: says what would become of it."""
        converted = Converted(bundle, self._joiner, self._cipher, self._keys)
        try:
            return await self._store(converted, stored, context, dry=dry)
        except ThreadError as error:
            return WriteOutcome(thread_id=bundle.thread_id, error=str(error))

    async def _store(
        self, converted: Converted, stored: Stored | None, context: Context, *, dry: bool
    ) -> WriteOutcome:
        bundle = converted.bundle
        thread_id = bundle.thread_id
        await self._standing.open(context)
        await self._standing.renew(thread_id, context)
        standing = await self._standing.digest(thread_id, context)
        judgement = await run_blocking(
            judge,
            self._policy,
            self._source,
            kept=None if stored is None else stored.seen(standing),
            standing=standing,
            coming=converted.digest,
        )
        if judgement.course is Course.LEAVE:
            return left(self._policy, bundle, judgement)
        if judgement.course is Course.ADOPT and (self._lossy or not converted.lost):
            if not dry:
                await self._adopt(converted, context)
            return WriteOutcome(thread_id=thread_id, losses=converted.losses, written=False)
        if dry:
            await run_blocking(converted.digest)
            self._refuse(converted)
            return WriteOutcome(thread_id=thread_id, losses=converted.losses)
        async with self._staged(context) as staged:
            await stage(self._server, converted, staged, context)
            self._refuse(converted)
            await self._check_keys(thread_id, staged, context)
            await self._commit(converted, staged, context)
            await run_blocking(self._standing.replaced, thread_id, staged.places())
        if converted.renumbered:
            context.note(
                "versions of channels that are whole numbers, as InMemorySaver and JavaScript "
                "count them, were written as the texts that RedisSaver counts in",
                thread_id=thread_id,
            )
        return WriteOutcome(thread_id=thread_id, losses=converted.losses)

    def _refuse(self, converted: Converted) -> None:
        if converted.lost and not self._lossy:
            raise ThreadError(converted.refusal())

    async def _check_keys(self, thread_id: str, staged: Staged, context: Context) -> None:
        """That no other thread, and no other program, has one of its keys."""
        taken = [key for key in staged.places() if self._standing.taken(key, thread_id)]
        for key, there in zip(
            taken,
            await self._server.ask_all(context, [("EXISTS", key) for key in taken]),
            strict=True,
        ):
            if there:
                raise ThreadError(
                    f"its key {key.decode('utf-8', 'replace')!r} is that of something else there: "
                    "ids and namespaces with colons may share keys in Redis"
                )

    @asynccontextmanager
    async def _staged(self, context: Context) -> AsyncIterator[Staged]:
        staged = Staged(f"{self._keys.parts}{secrets.token_hex(8)}:")
        try:
            yield staged
        except ThreadError:
            await self._unlink(staged.parts(), context)
            raise
        finally:
            staged.close()

    async def _unlink(self, keys: Iterable[bytes], context: Context) -> None:
        piece: list[bytes] = []
        for key in keys:
            piece.append(key)
            if len(piece) == _NAMES:
                await self._server.ask(context, "UNLINK", *piece)
                piece = []
        if piece:
            await self._server.ask(context, "UNLINK", *piece)

    # -- transactions --------------------------------------------------------------------

    async def _commit(self, converted: Converted, staged: Staged, context: Context) -> None:
        thread_id = converted.bundle.thread_id
        async for keys in self._removal(thread_id, context):
            await run_blocking(staged.remove, keys)
        field = id_bytes(thread_id)
        mark = self._mark(converted, staged.anchor, secrets.token_hex(8))

        def commands() -> Iterator[Command]:
            yield from staged.moves()
            yield "HSET", self._marks.key, field, mark

        assert self._lock is not None, "written in a dry run"
        await self._lock.check(context)
        failed = await self._server.transact(commands, (self._marks.key, field, mark), context)
        if failed is not None:
            await self._server.ask(context, "HDEL", self._marks.key, field)
            raise FatalError(
                f"{self._server.place} did not run a transaction as a whole ({failed}): thread "
                f"{thread_id!r} may stand there in part, without a mark; see that nobody "
                "removes keys that begin with lgx_part, and run again with "
                "--sink-on-conflict replace"
            )

    async def _removal(self, thread_id: str, context: Context) -> AsyncIterator[list[bytes]]:
        """The keys of a thread, whoever wrote it."""
        async with aclosing(self._standing.documents(thread_id, context)) as documents:
            async for key, _, place in documents:
                thread = place.thread_id or EMPTY_ID
                ns = place.ns or EMPTY_TEXT
                yield [
                    key,
                    self._keys.registry(thread, ns, place.checkpoint_id or EMPTY_ID),
                    self._keys.latest(thread, ns),
                    self._keys.shallow_registry(place.thread_id, ns),
                ]

    def _mark(self, converted: Converted, anchor: bytes, commit: str) -> bytes:
        kept = to_keep(self._source, converted.bundle, converted.written)
        return self._marks.value(kept, anchor, commit, converted.expiry.to_come())

    async def _adopt(self, converted: Converted, context: Context) -> None:
        thread_id = converted.bundle.thread_id
        anchor, best = b"", (-1, "")
        async for key, _, place in self._standing.documents(thread_id, context):
            rank = (int(place.task is None), place.checkpoint_id)
            if rank > best:
                anchor, best = key, rank
        mark = self._mark(converted, anchor, secrets.token_hex(8))
        await self._server.ask(context, "HSET", self._marks.key, id_bytes(thread_id), mark)

    async def forget(self, thread_id: str, context: Context) -> None:
        """Removes a thread and its mark."""
        await self._standing.open(context)
        commands: list[Command] = [
            ("UNLINK", *keys) async for keys in self._removal(thread_id, context)
        ]
        commands.append(("HDEL", self._marks.key, id_bytes(thread_id)))
        await self._server.ask_all(context, commands, whole=True)
        await run_blocking(self._standing.replaced, thread_id, ())
