"""Thread records, many in one request.

Each thread that is read needs its record, after its history. Asked for one by one they would
cost a third of all requests; so those that are wanted at about the same time go out together,
as soon as one of a few lanes is free.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import Context, RetryableError, Thread, ThreadError, from_fields, raw, split_object
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError
from lgx_plugins.cloud.client import Client

__all__ = ["SMALL", "Lookup"]

SMALL = 64 << 10
"""Records that are expected to be larger are asked for alone, under the memory budget."""

_TOGETHER = 16  # a large batch lets all its threads go on at the same moment, and they jam
_TOGETHER_BYTES = 1 << 20
_LANES = 6
_TTL_SAMPLE = 16

_BARE = ("thread_id", "created_at", "updated_at", "metadata", "status", "config")

_list_decoder = msgspec.json.Decoder(list[dict[str, Raw]])


class _Wanted(Struct):
    thread_id: str
    size: int
    context: Context
    answer: asyncio.Future[Thread]


class _AloneError(Exception):
    """The batch could not answer for this thread: ask for it alone."""


class Lookup:
    """One per source. `close` ends what is under way."""

    def __init__(self, client: Client, *, ttl: bool | None) -> None:
        """`ttl`: whether to ask for each thread's time to live, which only works one by one;
        None: as long as the first threads have one.
        """
        self._client = client
        self._waiting: deque[_Wanted] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._together = True
        self._ttl = ttl
        self._samples = 0
        self._answered = 0
        self._decided = asyncio.Event()

    async def close(self) -> None:
        lanes = tuple(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def record(self, thread_id: str, size: int, context: Context) -> Thread | None:
        """The record of a thread, None where there is no such thread.

        Args:
            size: bytes that it will have, about.

        Raises:
            RetryableError, ThreadError: it cannot be had.
        """
        if not self._together or size > SMALL:
            return await self.get(thread_id, context)
        loop = asyncio.get_running_loop()
        wanted = _Wanted(thread_id, size, context, loop.create_future())
        self._waiting.append(wanted)
        if len(self._lanes) < _LANES:
            self._lanes.add(loop.create_task(self._serve()))
        try:
            thread = await wanted.answer
        except _AloneError:
            return await self.get(thread_id, context)
        return thread if self._ttl is False else await self._with_ttl(thread, context)

    async def get(self, thread_id: str, context: Context) -> Thread | None:
        """The record of one thread, asked for by itself."""
        what = f"record of thread {thread_id}"
        if self._together:
            # The same question as for many: the two ways to ask differ in the fields they give.
            found = await self._search([thread_id], context, what)
            if found and thread_id in found:
                thread = found[thread_id]
                return thread if self._ttl is False else await self._with_ttl(thread, context)
        return await self._single(thread_id, context, what)

    async def bare(self, thread_id: str, context: Context) -> Thread | None:
        """The record without its state, for a thread whose state the server cannot render."""
        found = await self._search(
            [thread_id], context, f"record of thread {thread_id} without its values", select=_BARE
        )
        return found.get(thread_id) if found else None

    async def _single(self, thread_id: str, context: Context, what: str) -> Thread | None:
        try:
            answer = await self._client.light(
                context,
                "GET",
                path_of(thread_id) + ("" if self._ttl is False else "?include=ttl"),
                opening=b"{",
                what=what,
            )
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        thread = _thread(split_object(answer.body))
        if thread.thread_id != thread_id:
            raise ThreadError(
                f"asked for thread {thread_id!r}, the server gave {thread.thread_id!r}"
            )
        return thread

    async def _with_ttl(self, thread: Thread, context: Context) -> Thread:
        """The record with the `ttl` that the server gives when it is asked for one thread."""
        if self._ttl is None:
            if self._samples == _TTL_SAMPLE:
                # Enough are under way to decide; it is decided soon.
                await self._decided.wait()
                return await self._with_ttl(thread, context)
            self._samples += 1
            try:
                return await self._ask_ttl(thread, context)
            finally:
                self._answered += 1
                if self._answered == _TTL_SAMPLE:
                    self._decide(context)
        return await self._ask_ttl(thread, context) if self._ttl else thread

    async def _ask_ttl(self, thread: Thread, context: Context) -> Thread:
        again = await self._single(
            thread.thread_id, context, f"time to live of thread {thread.thread_id}"
        )
        ttl = again.extra.get("ttl") if again and isinstance(again.extra, dict) else None
        if ttl is None:
            return thread
        self._ttl = True
        self._decided.set()
        extra = {} if isinstance(thread.extra, UnsetType) else thread.extra
        return msgspec.structs.replace(thread, extra={**extra, "ttl": ttl})

    def _decide(self, context: Context) -> None:
        if self._ttl is None:
            self._ttl = False
            context.note(
                f"the first {_TTL_SAMPLE} threads have no time to live (TTL), so the others were "
                "not asked for theirs; add --source-ttl to ask for each thread's"
            )
        self._decided.set()

    # -- lanes ------------------------------------------------------------------------

    async def _serve(self) -> None:
        try:
            await self._serve_all()
        finally:
            # In the same step in which it found nothing more to do: whoever asks from now on
            # must see that this lane is gone, and start another.
            lane = asyncio.current_task()
            assert lane is not None
            self._lanes.discard(lane)

    async def _serve_all(self) -> None:
        while self._waiting:
            batch = self._next()
            try:
                found = await self._search(
                    [wanted.thread_id for wanted in batch],
                    batch[0].context,
                    f"records of {len(batch)} threads",
                )
            except (RetryableError, ThreadError) as error:
                # One of them may be at fault; each is asked for alone, unless nothing is heard.
                for wanted in batch:
                    outage = isinstance(error, RetryableError) and error.outage
                    _fail(wanted, error if outage else _AloneError())
                continue
            except BaseException as error:
                for wanted in batch:
                    _fail(wanted, error)
                raise
            for wanted in batch:
                thread = found.get(wanted.thread_id) if found is not None else None
                if thread is None:
                    _fail(wanted, _AloneError())  # gone, or not to be found this way
                elif not wanted.answer.done():
                    wanted.answer.set_result(thread)
                    await asyncio.sleep(0)  # what each does next must not hold up all

    def _next(self) -> list[_Wanted]:
        batch: list[_Wanted] = []
        size = 0
        while self._waiting and len(batch) < _TOGETHER and size < _TOGETHER_BYTES:
            wanted = self._waiting.popleft()
            if not wanted.answer.done():
                batch.append(wanted)
                size += wanted.size
        return batch

    async def _search(
        self,
        thread_ids: list[str],
        context: Context,
        what: str,
        select: tuple[str, ...] = (),
    ) -> dict[str, Thread] | None:
        """The records of those that are there; None where the server ignores `ids`."""
        if not thread_ids:
            return {}
        try:
            answer = await self._client.light(
                context,
                "POST",
                "/threads/search",
                {"ids": thread_ids, "limit": len(thread_ids)}
                | ({"select": select} if select else {}),
                opening=b"[",
                what=what,
            )
        except RefusedError as error:
            if error.status in (400, 422):
                return {}  # an id that this server cannot look for
            raise
        try:
            rows = _list_decoder.decode(answer.body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return {}
        found = {}
        for fields in rows:
            thread = _thread(fields)
            found[thread.thread_id] = thread
        if not found.keys() <= set(thread_ids):
            self._together = False
            return None
        return found


def _thread(fields: dict[str, Raw]) -> Thread:
    record = from_fields({**fields, "kind": _KIND})
    assert isinstance(record, Thread)
    return record


_KIND = raw("thread")


def _fail(wanted: _Wanted, error: BaseException) -> None:
    if wanted.answer.done():
        return
    if isinstance(error, asyncio.CancelledError):
        wanted.answer.cancel()
    else:
        wanted.answer.set_exception(error)
