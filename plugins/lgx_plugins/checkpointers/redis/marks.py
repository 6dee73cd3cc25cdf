"""The marks in a store: one hash, by thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from lgx import Context, FatalError
from lgx_plugins.checkpointers.redis.expiry import Expired, is_lessened
from lgx_plugins.checkpointers.redis.keys import Keys
from lgx_plugins.checkpointers.redis.server import Server
from lgx_plugins.checkpointers.rows.marks import Kept
from lgx_plugins.ids import id_bytes

__all__ = ["Marks", "Stored"]


class Stored(Struct, frozen=True):
    """
    Attributes:
        anchor: a key of the thread's: where it is gone, a saver has deleted the thread.
        commit: names the transaction that wrote it.
        expiring: what Redis removes of the thread by itself.
    """

    kept: Kept
    anchor: str
    commit: str
    expiring: tuple[Expired, ...] = ()

    def seen(self, standing: str | None) -> Kept:
        """What was kept, of a thread of whose documents those that stand there have that digest:
        that some have expired is no change of anybody's."""
        if standing is None or not is_lessened(self.kept.written, self.expiring, standing):
            return self.kept
        return msgspec.structs.replace(self.kept, written=standing)


_stored = msgspec.json.Decoder(Stored)


class Marks:
    def __init__(self, server: Server, keys: Keys) -> None:
        self._server = server
        self.key = keys.marks

    async def read(
        self, ids: Sequence[str], context: Context, *, standing: bool = False
    ) -> Mapping[str, Stored]:
        """Those of these threads that have one.

        Args:
            standing: only of threads of which something is there.
        """
        names = {id_bytes(one): one for one in ids}
        if not names:
            return {}
        values = await self._server.ask(context, "HMGET", self.key, *names)
        found: dict[str, Stored] = {}
        for thread_id, value in zip(names.values(), values, strict=True):
            if value is not None:
                found[thread_id] = self._decoded(value)
        if not standing or not found:
            return found
        there = await self._server.ask_all(
            context,
            [("EXISTS", one.anchor.encode("utf-8", "surrogateescape")) for one in found.values()],
        )
        return {
            thread_id: one
            for (thread_id, one), exists in zip(found.items(), there, strict=True)
            if exists == 1
        }

    async def another_source(self, source: str, context: Context) -> str | None:
        """Another source whose threads stand there; None where there is none."""
        cursor = 0
        while True:
            cursor, pairs = await self._server.ask(
                context, "HSCAN", self.key, cursor, "COUNT", 1000
            )
            values = pairs.values() if isinstance(pairs, dict) else pairs[1::2]
            for value in values:
                held = self._decoded(value).kept.source
                if held != source:
                    return held
            if int(cursor) == 0:
                return None

    def value(self, kept: Kept, anchor: bytes, commit: str, expiring: tuple[Expired, ...]) -> bytes:
        held = Stored(kept, anchor.decode("utf-8", "surrogateescape"), commit, expiring)
        return msgspec.json.encode(held)

    def _decoded(self, value: bytes) -> Stored:
        try:
            return _stored.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise FatalError(
                f"a mark in {self.key.decode()!r} of {self._server.place} is none that lgx wrote; "
                "remove that field of it, or the whole: what stands there is then compared"
            ) from None
