"""A server as the source and the sink ask it: requests in pipelines, each one tried again."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from lgx import Context, UsageError
from lgx_plugins.blocking import run_to_end
from lgx_plugins.checkpointers.redis.address import Address
from lgx_plugins.checkpointers.redis.failures import explained

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["CHUNK_BYTES", "Command", "Server"]

Command: TypeAlias = tuple[Any, ...]

CHUNK_BYTES = 2 << 20
"""About how many bytes of documents one pipeline moves."""

_KEYS = 1000
_QUEUED = 500


class Server:
    """Opened and closed by its owner; the first request connects.

    A request that was sent is waited for, also by who is cancelled: a connection that is left
    in between would give its answer to the next one who asks.
    """

    def __init__(self, address: Address, *, budgeted: bool) -> None:
        """`budgeted`: whether room for documents is taken from the budget, which a sink must not
        do: it may be full of threads that wait to be written."""
        self._budgeted = budgeted
        self.place = address.place
        self._address = address
        self._client: Redis | None = None
        self._sized = True
        self._absolute = True

    async def __aenter__(self) -> Server:
        self._client = self._address.client()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def _redis(self) -> Any:
        assert self._client is not None, "asked before it was opened"
        return self._client

    async def ask(self, context: Context, *command: Any) -> Any:
        """The answer to one command, which may be run twice.

        Raises:
            LgxError: it failed.
        """

        async def once() -> Any:
            with explained(self.place):
                return await self._redis.execute_command(*command)

        return await context.request(
            lambda: run_to_end(once()), what=f"{command[0]} of {self.place}"
        )

    async def ask_all(
        self, context: Context, commands: Sequence[Command], *, whole: bool = False
    ) -> list[Any]:
        """The answers to many commands in one round; a refused one's answer is the error.

        Args:
            whole: all of them or none (MULTI and EXEC).

        Raises:
            LgxError: the round failed, or one command did in a way that is not of its own.
        """
        if not commands:
            return []

        async def once() -> list[Any]:
            with explained(self.place):
                pipeline = self._redis.pipeline(transaction=whole)
                async with pipeline:
                    for command in commands:
                        pipeline.execute_command(*command)
                    return list(await pipeline.execute(raise_on_error=False))

        answers = await context.request(
            lambda: run_to_end(once()), what=f"{commands[0][0]} of {self.place}", bulk=True
        )
        for answer in answers:
            if isinstance(answer, Exception) and not _of_one(answer):
                with explained(self.place):
                    raise answer
        return answers

    async def transact(
        self,
        commands: Callable[[], Iterator[Command]],
        proof: tuple[bytes, bytes, bytes],
        context: Context,
    ) -> str | None:
        """Runs any number of commands in one transaction, of which memory holds few at a time;
        why one of them failed, if one did.

        Args:
            commands: gives them, each time it is called.
            proof: a hash, a field and the value that the transaction gives it, and no other does:
                where the answer is lost, it tells whether the transaction was run.

        Raises:
            LgxError: nothing of it was run.
        """
        tried = False

        async def once() -> str | None:
            nonlocal tried
            with explained(self.place):
                if tried and await self._hash_value(*proof[:2]) == proof[2]:
                    return None
                tried = True
                return await self._transact(commands())

        return await context.request(
            lambda: run_to_end(once()), what=f"a transaction of {self.place}", bulk=True
        )

    async def _hash_value(self, key: bytes, field: bytes) -> bytes | None:
        answer = await self._redis.execute_command("HGET", key, field)
        return None if answer is None else bytes(answer)

    async def _transact(self, commands: Iterator[Command]) -> str | None:
        pool = self._redis.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_command("MULTI")
            await connection.read_response()
            while piece := list(itertools.islice(commands, _QUEUED)):
                await connection.send_packed_command(connection.pack_commands(piece))
                for _ in piece:
                    await connection.read_response()
            await connection.send_command("EXEC")
            answers = await connection.read_response()
        except BaseException:
            await connection.disconnect()  # whatever was queued is gone with it
            raise
        finally:
            await pool.release(connection)
        failed = [answer for answer in answers if isinstance(answer, Exception)]
        return str(failed[0]) if failed else None

    async def check(self, context: Context, *, search: bool = False) -> dict[str, str]:
        """Which server it is, if it has what lgx needs.

        Raises:
            UsageError: it is a cluster or a sentinel, or lacks a module.
        """
        info = await self.info(context)
        mode = str(info.get("redis_mode") or info.get("server_mode") or "standalone")
        if mode == "cluster" or info.get("cluster_enabled") in (1, "1"):
            raise UsageError(
                f"{self.place} is part of a Redis Cluster, which lgx does not read or write; copy "
                "its keys to a single server"
            )
        if mode == "sentinel":
            raise UsageError(f"{self.place} is a Redis Sentinel, which holds no keys; name the "
                             "primary itself")  # fmt: skip
        await self._has(context, "RedisJSON", "JSON.GET", "lgx:nothing")
        if search:
            await self._has(context, "RediSearch", "FT._LIST")
        name = "valkey" if "valkey_version" in info else "redis"
        return {name: str(info.get(f"{name}_version", "unknown"))}

    async def info(self, context: Context) -> dict[str, Any]:
        """What the server says of itself; nothing where this user may not ask."""
        import redis

        async def once() -> dict[str, Any]:
            with explained(self.place):
                try:
                    return dict(await self._redis.execute_command("INFO"))
                except redis.exceptions.NoPermissionError:
                    return {}

        return await context.request(lambda: run_to_end(once()), what=f"INFO of {self.place}")

    async def _has(self, context: Context, module: str, *command: str) -> None:
        (answer,) = await self.ask_all(context, [command])
        if isinstance(answer, Exception) and "unknown command" in str(answer):
            raise UsageError(
                f"{self.place} has no {module}, without which no RedisSaver works there; use Redis "
                "8 or Redis Stack, or load the module"
            )

    async def keys(self, pattern: bytes, context: Context) -> AsyncGenerator[list[bytes], None]:
        """The keys that a pattern matches, some of them perhaps twice."""
        cursor: Any = 0
        while True:
            cursor, found = await self.ask(
                context, "SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS
            )
            if found:
                yield [bytes(key) for key in found]
            if int(cursor) == 0:
                return

    async def documents(
        self, keys: Sequence[bytes], context: Context, sizes: Sequence[int] | None = None
    ) -> AsyncGenerator[list[tuple[bytes, bytes | None]], None]:
        """The text of each key's document, some at a time; None where there is none any more, or
        something else. The room for each piece is taken from the budget, and given back when the
        next one is asked for.

        Args:
            sizes: about how many bytes each has, where that is known.
        """
        known = list(sizes) if sizes is not None else await self._sizes(keys, context)
        at = 0
        while at < len(keys):
            end, room = at, 0
            while end < len(keys) and (end == at or room + known[end] <= CHUNK_BYTES):
                room += known[end]
                end += 1
            if self._budgeted:
                await context.budget.take(room)
            try:
                part = keys[at:end]
                answers = await self.ask_all(context, [("JSON.GET", key) for key in part])
                context.received(sum(len(one) for one in answers if isinstance(one, bytes)))
                yield [
                    (key, one if isinstance(one, bytes) else None)
                    for key, one in zip(part, answers, strict=True)
                ]
            finally:
                if self._budgeted:
                    context.budget.give_page(room)
            at = end

    async def expiries(self, keys: Sequence[bytes], context: Context) -> list[int | None]:
        """When each key will be removed, in milliseconds of Unix time; None where it will not."""
        if self._absolute:
            answers = await self.ask_all(context, [("PEXPIRETIME", key) for key in keys])
            if not any(isinstance(one, Exception) for one in answers):
                return [int(one) if int(one) >= 0 else None for one in answers]
            self._absolute = False  # before Redis 7
        seconds, micros = await self.ask(context, "TIME")
        now = int(seconds) * 1000 + int(micros) // 1000
        left = await self.ask_all(context, [("PTTL", key) for key in keys])
        # To the second: what is counted from now would be another moment at each look.
        return [
            (now + int(one) + 500) // 1000 * 1000
            if not isinstance(one, Exception) and int(one) >= 0
            else None
            for one in left
        ]

    async def _sizes(self, keys: Sequence[bytes], context: Context) -> list[int]:
        """About how large documents are; a chunk each where the server does not say."""
        if self._sized:
            answers = await self.ask_all(context, [("JSON.DEBUG", "MEMORY", key) for key in keys])
            if any(not isinstance(one, Exception) for one in answers) or not answers:
                return [max(one, 64) if isinstance(one, int) else 64 for one in answers]
            # Of one key it may be no document; of many the command is not known, or not allowed.
            self._sized = len(keys) == 1
        return [CHUNK_BYTES] * len(keys)


def _of_one(error: Exception) -> bool:
    """Whether an answer is about that command alone."""
    import redis

    text = str(error)
    return isinstance(error, redis.exceptions.ResponseError) and (
        "wrong Redis type" in text
        or "WRONGTYPE" in text
        or "unknown command" in text
        or "could not perform" in text
        or "recursion limit" in text
        or "at line " in text
        or "no permissions to run the 'json.debug" in text
        or "already exists" in text
        or "ndex" in text
    )
