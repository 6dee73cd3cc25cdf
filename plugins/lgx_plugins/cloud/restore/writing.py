"""One thread, from its bundle to a copy that is compared and marked, or to nothing."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from lgx import (
    Budget,
    Bundle,
    Context,
    LgxError,
    RetryableError,
    RunInfo,
    ThreadError,
    WriteOutcome,
)
from lgx_plugins.cloud.answers import UnknownFateError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryReader
from lgx_plugins.cloud.restore.attempt import Attempt, TakenError
from lgx_plugins.cloud.restore.bodies import note_oversize
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.conflicts import Course, Judge
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.holdings import Holdings, Place
from lgx_plugins.cloud.restore.jobs import Job, job_of
from lgx_plugins.cloud.restore.likeness import Likeness
from lgx_plugins.cloud.restore.living import lost_ttl
from lgx_plugins.cloud.restore.marking import Marking
from lgx_plugins.cloud.restore.naming import Renamed
from lgx_plugins.cloud.restore.room import Room
from lgx_plugins.cloud.restore.standing import Standing
from lgx_plugins.cloud.restore.target import HttpTarget
from lgx_plugins.cloud.restore.threads import expected, thread_ttl
from lgx_plugins.cloud.restore.unkept import Unkept
from lgx_plugins.replay import Memory, Outcome, foresee, replay_thread

__all__ = ["ThreadWriter"]

_TRIES = 3  # of a thread whose building was cut off by a request of unknown fate
_ONE_IN = 20  # threads are compared, of a sample
_HISTORY_PAGE = 1000


class ThreadWriter:
    """Builds threads on one server; any number at once."""

    def __init__(
        self, client: Client, config: CloudSinkConfig, graphs: Graphs, holdings: Holdings
    ) -> None:
        self._client = client
        self._config = config
        self._body_bytes = config.body_size << 20
        self._graphs = graphs
        self._holdings = holdings
        # What is read back is counted with the thread that it is of.
        self._history = HistoryReader(client, _HISTORY_PAGE, Budget(sys.maxsize))
        self._room = Room()
        self._judge = Judge(config.on_conflict)
        self._likeness = Likeness(graphs)
        self._memory = Memory()
        self._learnt: set[str | None] = {None}  # threads without a graph have no history
        self._learning: dict[str | None, asyncio.Lock] = {}
        self.absent: dict[str, Place] = {}
        """Where nothing stood when it was looked at, by the ids of threads to come: creating one
        tells whether that has changed."""
        self.renamed = Renamed()
        self._unkept = Unkept()

    # -- what comes of a thread ---------------------------------------------------------

    async def preview(self, bundle: Bundle, run: RunInfo, context: Context) -> WriteOutcome:
        """As `write`, as far as it can be told without changing anything."""
        async with self._room.of(bundle, self._body_bytes, context):
            job = await self._job(bundle, run, context)
            target = self._target(job, context)
            judgement = await self._judge.judge(job, target)
            if judgement.course is Course.LEAVE:
                return self._judge.left(job, judgement)
            if judgement.course is Course.KEEP:
                return WriteOutcome(thread_id=bundle.thread_id, written=False)
            if judgement.outcome is not None:
                built = await target.look()
                found = (*judgement.outcome.losses, *job.missing(built, exact=True))
                return WriteOutcome(thread_id=bundle.thread_id, losses=found, written=False)
        if judgement.course is Course.REPLACE and judgement.why:
            why = f"what stands there {judgement.why} would be replaced"
            context.note(why, thread_id=bundle.thread_id)
        note_oversize(bundle, context)
        if job.other is not None:
            context.note(
                "threads whose ids are no UUIDs get one that is made of the id, always the same"
            )
        async with self._room.of(bundle, self._body_bytes, context):
            unlike = await self._likeness.losses(job, context)
        lacking = [*unlike, *job.missing(expected(job.thread, job.sent, job.tip), exact=True)]
        self._unkept.tell(bundle, context)
        foreseen = foresee(bundle, self._memory.of(job.graph_id))
        return WriteOutcome(thread_id=bundle.thread_id, losses=(*foreseen, *lacking))

    async def write(self, bundle: Bundle, run: RunInfo, context: Context) -> WriteOutcome:
        """
        Raises:
            ThreadError, RetryableError: the thread does not stand there.
        """
        listed = bundle.thread_id in self.absent
        async with self._room.of(bundle, self._body_bytes, context):
            try:
                return await self._write(bundle, run, context)
            except TakenError as error:
                if not listed:
                    raise
                taken = error
            return await self._write(bundle, run, context, taken)  # it has come since

    async def _write(
        self, bundle: Bundle, run: RunInfo, context: Context, taken: TakenError | None = None
    ) -> WriteOutcome:
        """`taken`: what came of doing so, because somebody made the thread meanwhile."""
        job = await self._job(bundle, run, context)
        holding = job.place.holding
        if taken is not None and holding is not None and holding.label is not None:
            if holding.label.unfinished:
                raise taken  # by a run that is at work: two would replace each other's for ever
            if holding.stands_for(bundle, run):
                return WriteOutcome(thread_id=bundle.thread_id, written=False)
        target = self._target(job, context)
        judgement = await self._judge.judge(job, target)
        if judgement.course is Course.LEAVE:
            return self._judge.left(job, judgement)
        if judgement.course is Course.KEEP:
            return WriteOutcome(thread_id=bundle.thread_id, written=False)
        if judgement.outcome is not None:
            found = await self._finish(job, target, judgement.outcome, context)
            return msgspec.structs.replace(found, written=False)
        if judgement.course is Course.BUILD:
            return await self._build(job, target, context)
        for _ in foresee(bundle):
            pass  # what cannot be built at all is not to cost what stands there
        await self._holdings.remove(job.thread_id, context)
        try:
            return await self._build(job, target, context)
        except (ThreadError, RetryableError) as error:
            raise ThreadError(f"{error}; what stood in its place was removed before") from error

    async def _job(self, bundle: Bundle, run: RunInfo, context: Context) -> Job:
        place = self.absent.pop(bundle.thread_id, None)
        if place is None:
            places = await self._holdings.places([bundle.thread_id], run, context)
            place = places[bundle.thread_id]
        return await job_of(bundle, place, self._graphs, run, context)

    async def forget(self, thread_ids: Sequence[str], run: RunInfo, context: Context) -> None:
        """Removes the copies of these threads that this run's source was read for."""
        places = await self._holdings.places(thread_ids, run, context)
        for thread_id, place in places.items():
            if place.holding is not None and place.holding.is_copy(thread_id, run):
                await self._holdings.remove(place.thread_id, context)

    # -- building -----------------------------------------------------------------------

    async def _build(self, job: Job, target: HttpTarget, context: Context) -> WriteOutcome:
        cut = False
        for tried in range(1, _TRIES + 1):
            try:
                compares = cut or self._compares(job)
                async with self._in_turn(job.graph_id):
                    memory = self._memory.of(job.graph_id)
                    outcome = await replay_thread(job.bundle, target, memory, verify=compares)
                cut = cut or target.retried
                if cut and not outcome.exact and tried < _TRIES:
                    # What was cut off may have gone on at the server, into this one.
                    await target.remove()
                    continue
                return await self._finish(job, target, outcome, context, compared=compares)
            except TakenError as error:
                await self._disown(target, error)  # and not this run's to remove
                raise
            except (UnknownFateError, RetryableError) as error:
                await self._remove(target, error)
                cut = True
                if tried == _TRIES:
                    raise
            except ThreadError as error:
                await self._remove(target, error)
                await self._likeness.losses(job, context)
                if job.mapped is None:
                    raise
                raise ThreadError(
                    f"the updates of a thread of {job.mapped} do not fit the graph {job.graph_id} "
                    f"(--sink-map-graph): {error}"
                ) from error
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def _in_turn(self, graph_id: str | None) -> AsyncIterator[None]:
        """Lets the first thread of each graph go before the others, which profit by what is
        learnt from it."""
        if graph_id not in self._learnt:
            async with self._learning.setdefault(graph_id, asyncio.Lock()):
                if graph_id not in self._learnt:
                    try:
                        yield
                    finally:
                        self._learnt.add(graph_id)
                    return
        yield

    async def _disown(self, target: HttpTarget, error: TakenError) -> None:
        """Sees to it that another run's copy, into which steps of this one may have gone, does
        not pass for whole."""
        try:
            spoiled = await target.marking.disown()
        except (ThreadError, RetryableError) as failed:
            raise ThreadError(
                f"{error}; whether steps of this one went into theirs cannot be told ({failed}): "
                "lgx verify does"
            ) from error
        if spoiled:
            raise ThreadError(
                "another run made a copy of it at the same time, into which steps of this one may "
                "have gone; it is no longer marked as whole: --sink-on-conflict replace makes it "
                "anew"
            ) from error

    async def _remove(self, target: HttpTarget, error: LgxError) -> None:
        """Leaves nothing half built; where that fails, the next run finds it by its label."""
        try:
            await target.remove()
        except TakenError as taken:
            await self._disown(target, taken)
            raise
        except (ThreadError, RetryableError) as failed:
            raise ThreadError(
                f"{error}; what was built of it could not be removed ({failed}): the next run does"
            ) from error

    async def _finish(
        self,
        job: Job,
        target: HttpTarget,
        outcome: Outcome,
        context: Context,
        *,
        compared: bool = True,
    ) -> WriteOutcome:
        """Marks a thread as whole, where it is, and tells what it lacks."""
        bundle, origin = job.bundle, job.origin()
        built = await target.look()
        losses = (
            *outcome.losses,
            *job.missing(built, exact=outcome.exact),
            *await lost_ttl(self._client, job.thread, job.thread_id, context),
        )
        whole = not any(loss.holdable for loss in losses)
        if not outcome.exact:
            await self._likeness.losses(job, context)  # for its note, which tells why
        kept = origin if self._config.provenance else None
        label = job.finished(outcome, built, whole=whole, compared=compared, origin=kept)
        await target.marking.finish(label, built)
        self._holdings.removals.stands(job.thread_id)
        if not compared:
            context.note(
                f"threads were not compared with what was written (--sink-verify "
                f"{self._config.verify}); lgx verify does, and so does a run that compares all"
            )
        self._unkept.tell(bundle, context)
        if job.other is not None:
            self.renamed.add(job.other, job.thread_id)
        return WriteOutcome(
            thread_id=bundle.thread_id,
            losses=losses,
            fidelity=outcome.fidelity,
            origin=origin,
        )

    def _target(self, job: Job, context: Context) -> HttpTarget:
        # Histories mostly grow: their newest steps are larger than most.
        step = 2 * job.bundle.size // max(1, job.bundle.checkpoints)
        standing = Standing(
            self._client, self._history, self._holdings, job.thread_id, context, step
        )
        attempt = Attempt(self._holdings, standing, job.thread_id, context)
        marking = Marking(self._client, standing, attempt, context, job.thread_id, job.building)
        return HttpTarget(
            self._client,
            standing,
            attempt,
            marking,
            self._graphs,
            context,
            thread_id=job.thread_id,
            metadata=job.sent.fields,
            graph_id=job.graph_id,
            ttl=thread_ttl(job.thread),
            body_bytes=self._body_bytes,
        )

    def _compares(self, job: Job) -> bool:
        if self._config.verify == "sample":
            digest = hashlib.sha256(job.thread_id.encode()).digest()
            return digest[0] % _ONE_IN == 0
        return self._config.verify == "all"
