"""Keeps a second run off a store: a key that its holder prolongs, and that ends with it."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from lgx import Context, FatalError, LgxError, LockedError
from lgx_plugins.checkpointers.redis.server import Server

__all__ = ["StoreLock"]

_MILLISECONDS = 30_000
_EVERY = 8.0


class _Holder(Struct):
    token: str
    who: str


_holder = msgspec.json.Decoder(_Holder)


class StoreLock:
    """A killed run's lock ends by itself within half a minute."""

    def __init__(self, server: Server, key: bytes) -> None:
        self._server = server
        self._key = key
        self._value = b""
        self._prolonging: asyncio.Task[None] | None = None
        self._context: Context | None = None

    async def acquire(self, context: Context) -> None:
        """
        Raises:
            LockedError: another run has it.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        who = f"process {os.getpid()} on host {socket.gethostname()} since {now}"
        value = msgspec.json.encode(_Holder(secrets.token_hex(16), who))
        # `release` must know of it, even if this is cancelled before the answer has come.
        self._value, self._context = value, context
        answer = await self._server.ask(context, "SET", self._key, value, "NX", "PX", _MILLISECONDS)
        if answer is None and await self._held(context) != value:  # not by an answer that was lost
            raise LockedError(
                f"{self._server.place} is being written by {self._who(await self._held(context))};"
                " wait for it to end (a killed one's lock ends within 30 seconds), or write "
                "elsewhere"
            )
        self._prolonging = asyncio.create_task(self._prolong(context))

    async def check(self, context: Context) -> None:
        """Asked before each transaction.

        Raises:
            FatalError: it was lost: the run stood still for longer than it lasts.
        """
        if await self._held(context) != self._value:
            raise FatalError(
                f"the lock on {self._server.place} was lost: this run stood still, or somebody "
                "removed it, and another may be writing; run again"
            )

    async def release(self) -> None:
        """May be called again."""
        task, self._prolonging = self._prolonging, None
        context, self._context = self._context, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if context is None:
            return
        try:
            if await self._held(context) == self._value:
                await self._server.ask(context, "DEL", self._key)
        except LgxError:
            return  # it ends by itself

    async def _prolong(self, context: Context) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            try:
                if await self._held(context) == self._value:
                    await self._server.ask(context, "PEXPIRE", self._key, _MILLISECONDS)
            except LgxError:
                continue  # the next transaction asks by itself

    async def _held(self, context: Context) -> bytes | None:
        answer = await self._server.ask(context, "GET", self._key)
        return None if answer is None else bytes(answer)

    def _who(self, value: bytes | None) -> str:
        try:
            return _holder.decode(value or b"").who
        except msgspec.MsgspecError:
            return "another run"
