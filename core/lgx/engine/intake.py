"""Intake: lists the threads, asks the sink what it holds, reads the rest whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from lgx.contracts import Sink, Source, StreamSource
from lgx.engine.closing import closing
from lgx.engine.gathering import Gathering
from lgx.engine.plan import Plan
from lgx.engine.run_context import RunContext
from lgx.engine.tally import Tally
from lgx.errors import FatalError, LgxError, RetryableError, ThreadError
from lgx.records import EXTRA_KINDS, Record
from lgx.spool import Bundle, Spool
from lgx.threads import Loss, Mark, ThreadEnd, ThreadRef

__all__ = ["Intake"]

_HELD_AT_FIRST = 16  # refs that a sink is asked about together, so that reading begins soon …
_HELD_AT_ONCE = 500  # … and twice as many each time, up to so many
_READS_OF_SEVERAL = 4  # at once, of sources that read several threads in one
_MOST_READS = 512

Offer: TypeAlias = Callable[[Bundle], Awaitable[None]]
OfferExtras: TypeAlias = Callable[[str, Bundle], Awaitable[None]]


class Intake:
    """Turns what a source yields into bundles, each handed on by `offer` when it is whole."""

    def __init__(
        self,
        plan: Plan,
        context: RunContext,
        tally: Tally,
        *,
        fingerprint: str,
        full: bool,
        concurrency: int,
        offer: Offer,
        dry_run: bool,
    ) -> None:
        self._plan = plan
        self._context = context
        self._tally = tally
        self._fingerprint = fingerprint
        self._full = full
        self._concurrency = concurrency
        self._offer = offer
        self._dry_run = dry_run
        self._broken: LgxError | None = None  # why the listing ended before its end
        self._sink: Sink[Any] = plan.sink
        self._limit = plan.query.limit
        self._awaited = dict.fromkeys(plan.query.thread_ids)
        self._extras: dict[str, Spool] = {}
        self._offered: dict[str, int] = {}

    # -- sources that list ------------------------------------------------------------

    async def list_and_read(self, source: Source[Any], *, read: bool) -> None:
        """Reads every listed thread that the sink does not hold; without `read` only tallies."""
        readers = min(self._concurrency, _READS_OF_SEVERAL)
        if source.refs_per_read == 1:
            readers = min(source.reads_per_place * self._concurrency, _MOST_READS)
        queue: asyncio.Queue[Sequence[ThreadRef] | None] = asyncio.Queue(2 * readers)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._list_all(source, queue, readers, read=read))
            for _ in range(readers):
                group.create_task(self._read_all(source, queue))
        if self._broken is not None:
            raise self._broken
        self._say_what_was_not_there()

    async def _list_all(
        self,
        source: Source[Any],
        queue: asyncio.Queue[Sequence[ThreadRef] | None],
        readers: int,
        *,
        read: bool,
    ) -> None:
        await self._list(source, queue, read=read)
        self._context.progress.total = self._context.progress.listed
        for _ in range(readers):
            await queue.put(None)

    async def _list(
        self, source: Source[Any], queue: asyncio.Queue[Sequence[ThreadRef] | None], *, read: bool
    ) -> None:
        """What was listed is read, also where the listing then fails: that is told after."""
        waiting: list[ThreadRef] = []
        count = 0
        at_once = _HELD_AT_FIRST
        try:
            async with closing(source.list(self._plan.query, self._context)) as items:
                async for item in items:
                    if isinstance(item, Loss):
                        self._tally.unlisted(item)
                        self._awaited.pop(item.thread_id or "", None)
                        continue
                    count += 1
                    self._tally.listed()
                    self._awaited.pop(item.thread_id, None)
                    waiting.append(item)
                    if len(waiting) >= at_once or count == self._limit:
                        await self._sort_out(waiting, queue, source.refs_per_read, read=read)
                        waiting = []
                        at_once = min(2 * at_once, _HELD_AT_ONCE)
                    if count == self._limit:
                        break
        except LgxError as error:
            self._broken = error
        await self._sort_out(waiting, queue, source.refs_per_read, read=read)

    async def _sort_out(
        self,
        refs: Sequence[ThreadRef],
        queue: asyncio.Queue[Sequence[ThreadRef] | None],
        together: int,
        *,
        read: bool,
    ) -> None:
        """Counts those that the sink holds, and queues the others for reading."""
        wanted = []
        held = await self._held(refs)
        for ref in refs:
            mark = held.get(self._target(ref).thread_id)
            if mark is not None and mark.same_copy(self._mark(ref.version)):
                self._tally.unchanged(mark.checkpoints)
            elif read:
                wanted.append(ref)
            else:
                self._tally.would_move(ref)
        for start in range(0, len(wanted), together):
            await queue.put(wanted[start : start + together])

    async def _read_all(
        self, source: Source[Any], queue: asyncio.Queue[Sequence[ThreadRef] | None]
    ) -> None:
        while (refs := await queue.get()) is not None:
            await self._read(source, refs)

    async def _read(self, source: Source[Any], refs: Sequence[ThreadRef]) -> None:
        """Reads some threads; where a read of several fails, those not yet ended one by one."""
        open_refs = {ref.thread_id: ref for ref in refs}
        try:
            async with closing(source.read(refs, self._context)) as items:
                await self._take_in(items, open_refs)
            why = "the source ended without saying what became of it"
        except (ThreadError, RetryableError) as error:
            why = str(error)
        left = list(open_refs.values())
        if len(refs) > 1:
            for ref in left:
                await self._read(source, [ref])
            return
        for ref in left:
            self._tally.failed(ref.thread_id, why, (), 0)

    async def _take_in(
        self, items: AsyncIterator[Record | ThreadEnd], open_refs: dict[str, ThreadRef]
    ) -> None:
        """Spools records until their thread ends, and takes the thread off `open_refs`."""
        thread = self._gathering()
        try:
            async for item in items:
                if not isinstance(item, ThreadEnd):
                    if thread.add(item):
                        await asyncio.sleep(0)
                    continue
                ref = open_refs.pop(item.thread_id, None)
                if ref is None:
                    raise FatalError(
                        f"the source ended thread {item.thread_id!r}, which was not asked for or "
                        "had ended before; its plugin is at fault"
                    )
                done, thread = thread, self._gathering()
                await self._settle(ref, done, item)
        finally:
            thread.spool.close()

    # -- sources that stream ----------------------------------------------------------

    async def scan(self, source: StreamSource[Any], offer_extras: OfferExtras) -> None:
        """Reads everything in one pass. Assistants go ahead of the first thread where the
        stream has them there; the other extras wait for `rest_of_extras`.
        """
        async with closing(source.scan(self._plan.query, self._context)) as items:
            await self._scan(items, offer_extras)
        self._say_what_was_not_there()

    async def _scan(
        self, items: AsyncIterator[Record | ThreadEnd | Loss], offer_extras: OfferExtras
    ) -> None:
        count = 0
        thread = self._gathering()
        try:
            async for item in items:
                full = self._limit is not None and count >= self._limit
                if isinstance(item, ThreadEnd):
                    if full:
                        thread.spool.close()
                        thread = self._gathering()
                        continue
                    count += 1
                    if count == 1:
                        await self._offer_extras("assistant", offer_extras)
                    self._tally.listed()
                    self._awaited.pop(item.thread_id, None)
                    ref = ThreadRef(thread_id=item.thread_id, version=item.version or "")
                    done = thread
                    thread = self._gathering()
                    await self._settle_scanned(ref, done, item)
                elif isinstance(item, Loss):
                    if not full:
                        self._tally.lost((item,), None)
                elif item.kind in EXTRA_KINDS:
                    self._keep_extra(item)
                elif not full:
                    if thread.add(item):
                        await asyncio.sleep(0)
                elif not self._plan.query.extras:
                    break
            self._context.progress.total = self._context.progress.listed
        finally:
            thread.spool.close()

    async def rest_of_extras(self, offer_extras: OfferExtras) -> None:
        """Offers what a stream brought beside its threads; assistants that came late are
        offered again with the whole."""
        for kind in EXTRA_KINDS:
            await self._offer_extras(kind, offer_extras)

    def close(self) -> None:
        for spool in self._extras.values():
            spool.close()

    def _keep_extra(self, record: Record) -> None:
        if not self._plan.query.extras:
            return
        if not self._plan.travels(record.kind):
            self._tally.unheld({record.kind: 1})
            return
        if record.kind not in self._extras:
            self._extras[record.kind] = self._context.spool()
        try:
            self._extras[record.kind].append(record)
        except ThreadError as error:
            self._tally.lost((Loss(what=f"a record of kind {record.kind}", why=str(error)),), None)

    async def _offer_extras(self, kind: str, offer_extras: OfferExtras) -> None:
        spool = self._extras.get(kind)
        if spool is not None and len(spool) != self._offered.get(kind, 0):
            self._offered[kind] = len(spool)
            await offer_extras(kind, Bundle(spool, ref=None, mark=None))

    async def _settle_scanned(self, ref: ThreadRef, thread: Gathering, end: ThreadEnd) -> None:
        held = await self._held([ref])
        mark = held.get(self._target(ref).thread_id)
        if mark is not None and _is_whole(end) and mark.same_copy(self._mark(ref.version)):
            self._tally.unchanged(mark.checkpoints)
            thread.spool.close()
        else:
            await self._settle(ref, thread, end)

    # -- both -------------------------------------------------------------------------

    def _say_what_was_not_there(self) -> None:
        """Whoever names a thread believes that it exists: without it the run is not complete.

        Where another filter may have kept it out, that is no news.
        """
        query = self._plan.query
        if query.metadata or query.status or query.since or query.until or query.limit is not None:
            return
        for thread_id in self._awaited:
            self._tally.unlisted(
                Loss(what="thread", why="the source has no such thread", thread_id=thread_id)
            )

    async def _held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        if self._full or not refs:
            return {}
        return await self._sink.held([self._target(ref) for ref in refs])

    def _target(self, ref: ThreadRef) -> ThreadRef:
        """The reference under which the sink knows a thread."""
        for planned in self._plan.transforms:
            ref = planned.transform.map_ref(ref)
        return ref

    def _mark(self, version: str) -> Mark:
        return Mark(version=version, fingerprint=self._fingerprint)

    async def _settle(self, ref: ThreadRef, thread: Gathering, end: ThreadEnd) -> None:
        """The thread has ended: hands it on, or tallies why not."""
        thread.end(end.thread_id)
        spool = thread.spool
        if end.outcome == "deleted":
            self._tally.gone(thread.checkpoints)
            spool.close()
            return
        self._tally.unheld(thread.unheld)
        if thread.error is not None:
            self._tally.failed(ref.thread_id, thread.error, end.losses, thread.checkpoints)
            spool.close()
            return
        if self._dry_run:  # of a stream: nobody looks at what it brought
            self._tally.would_move(ref, end.losses)
            spool.close()
            return
        whole = _is_whole(end)
        version = end.version if end.version is not None else ref.version
        bundle = Bundle(
            spool,
            ref=self._target(ref),
            mark=self._mark(version) if whole else None,
            outcome="complete" if whole else "partial",
            losses=end.losses,
        )
        await self._offer(bundle)

    def _gathering(self) -> Gathering:
        return Gathering(self._plan, self._context.spool())


def _is_whole(end: ThreadEnd) -> bool:
    return end.outcome == "complete" and not any(loss.holdable for loss in end.losses)
