"""Reading the documents of a thread as records."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeAlias

from msgspec import Raw

from lgx import CheckpointWrite, Context, Loss, RawCheckpoint, ThreadError
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.redis.documents import place_of, record_of
from lgx_plugins.checkpointers.redis.index import Entry, Index, Sum
from lgx_plugins.checkpointers.redis.keys import EMPTY_ID, EMPTY_TEXT, Keys
from lgx_plugins.checkpointers.redis.server import Command, Server
from lgx_plugins.checkpointers.rows.ordering import Deferred
from lgx_plugins.checkpointers.rows.redisform import EXPIRES, SCORE

__all__ = ["Item", "Reader"]

Item: TypeAlias = RawCheckpoint | CheckpointWrite | Loss
"""A record, or why a document cannot be read."""

_NONE: list[Entry] = []


class Reader:
    """
    Attributes:
        expiring: whether Redis will remove any of what was read.
    """

    def __init__(self, server: Server, keys: Keys, index: Index) -> None:
        self._server = server
        self._keys = keys
        self._index = index
        self.expiring = False

    async def records(
        self, thread_id: str, version: Sum, context: Context
    ) -> AsyncGenerator[list[Item], None]:
        """Checkpoints, parents first, then writes; a piece at a time. `version` takes each
        document."""
        deferred = Deferred()
        try:
            pages = self._index.entries(thread_id, writes=False)
            while page := await run_blocking(next, pages, _NONE):
                now = [
                    entry
                    for entry in page
                    if not deferred.defers(entry.ns, entry.checkpoint_id, entry.parent)
                ]
                async for items in self._read(thread_id, now, version, context):
                    yield items
            for ns, checkpoint_id in deferred.places():
                late = self._index.at(thread_id, ns, checkpoint_id)
                if late is not None:
                    async for items in self._read(thread_id, [late], version, context):
                        yield items
        finally:
            deferred.close()
        pages = self._index.entries(thread_id, writes=True)
        while page := await run_blocking(next, pages, _NONE):
            async for items in self._read(thread_id, page, version, context):
                yield items

    async def _read(
        self, thread_id: str, entries: Sequence[Entry], version: Sum, context: Context
    ) -> AsyncGenerator[list[Item], None]:
        keys = [entry.key for entry in entries]
        sizes = [entry.size for entry in entries]
        async with aclosing(self._server.documents(keys, context, sizes)) as pieces:
            async for piece in pieces:
                ends = await self._server.expiries([key for key, _ in piece], context)
                scores = await self._scores(thread_id, entries, piece, context)
                items: list[Item] = []
                for (key, text), end in zip(piece, ends, strict=True):
                    if text is None:
                        continue
                    version.add(key, text)
                    item = self._item(thread_id, key, text, end, scores.get(key))
                    if item is not None:
                        items.append(item)
                yield items

    async def _scores(
        self,
        thread_id: str,
        entries: Sequence[Entry],
        piece: Sequence[tuple[bytes, bytes | None]],
        context: Context,
    ) -> dict[bytes, int]:
        """Where writes stand in their sorted sets, for those that a saver has put there."""
        wanted = {key for key, text in piece if text is not None}
        writes = [entry for entry in entries if entry.is_write and entry.key in wanted]
        commands: list[Command] = []
        for entry in writes:
            ns, checkpoint_id = entry.ns or EMPTY_TEXT, entry.checkpoint_id or EMPTY_ID
            full = self._keys.registry(thread_id or EMPTY_ID, ns, checkpoint_id)
            shallow = self._keys.shallow_registry(thread_id, ns)
            commands += [("ZSCORE", full, entry.key), ("ZSCORE", shallow, entry.key)]
        answers = await self._server.ask_all(context, commands)
        found: dict[bytes, int] = {}
        for at, entry in enumerate(writes):
            for answer in answers[2 * at : 2 * at + 2]:
                if answer is not None and not isinstance(answer, Exception):
                    found.setdefault(entry.key, round(float(answer)))
        return found

    def _item(
        self, thread_id: str, key: bytes, text: bytes, end: int | None, score: int | None
    ) -> Item | None:
        extra: dict[str, Raw] = {}
        if end is not None:
            self.expiring = True
            extra[EXPIRES] = Raw(b"%d" % end)
        what = f"document {key.decode('utf-8', 'backslashreplace')!r}"
        try:
            place = place_of(key, text, self._keys)
            if place.thread_id != thread_id:
                return None  # it was replaced by one of another thread
            what = (
                f"checkpoint {place.checkpoint_id!r} of namespace {place.ns!r}"
                if place.task is None
                else f"write {place.idx} of task {place.task!r} of {place.checkpoint_id!r}"
            )
            if score is not None and score != max(place.idx, 0):
                extra[SCORE] = Raw(b"%d" % score)
            found: RawCheckpoint | CheckpointWrite = record_of(place, text, extra)
            return found
        except ThreadError as error:
            return Loss(
                what=what,
                why=f"{error}; correct it in Redis, or remove its key",
                thread_id=thread_id,
                checkpoints=int(b":" in key and what.startswith("checkpoint")),
            )
