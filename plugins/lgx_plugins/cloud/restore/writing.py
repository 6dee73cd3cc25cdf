"""One thread, from its bundle to a copy that is compared and marked, or to nothing."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import (
    Bundle,
    Checkpoint,
    Context,
    LgxError,
    Loss,
    RetryableError,
    RunInfo,
    Thread,
    ThreadError,
    WriteOutcome,
    split_object,
)
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import UnknownFateError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryReader
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.holdings import Holding, Holdings
from lgx_plugins.cloud.restore.label import Label, Origin
from lgx_plugins.cloud.restore.naming import target_id
from lgx_plugins.cloud.restore.target import HttpTarget, TakenError
from lgx_plugins.cloud.restore.threads import missing, thread_metadata, thread_ttl
from lgx_plugins.replay import Memory, Outcome, compare_thread, foresee, replay_thread

__all__ = ["ThreadWriter"]

_TRIES = 3  # of a thread whose building was cut off by a request of unknown fate
_ONE_IN = 20  # threads are compared, of a sample
_HISTORY_PAGE = 1000


class _Job(Struct, frozen=True):
    """A thread that is to be built."""

    bundle: Bundle
    thread: Thread | None
    thread_id: str  # the target's
    graph_id: str | None
    metadata: dict[str, Raw]


class ThreadWriter:
    """Builds threads on one server; any number at once."""

    def __init__(self, client: Client, config: CloudSinkConfig, graphs: Graphs) -> None:
        self._client = client
        self._config = config
        self._graphs = graphs
        self._history = HistoryReader(client, _HISTORY_PAGE)
        self._holdings = Holdings(client)
        self._memory = Memory()

    # -- what comes of a thread ---------------------------------------------------------

    async def preview(self, bundle: Bundle, run: RunInfo, context: Context) -> WriteOutcome:
        """As `write`, as far as it can be told without changing anything."""
        job = await self._job(bundle, run, context)
        there = await self._there(job, context)
        if there is not None and not await self._replaceable(job, there, run, context):
            refusal = self._refusal(job)
            if refusal is not None:
                return refusal
        return WriteOutcome(thread_id=bundle.thread_id, losses=tuple(foresee(bundle)))

    async def write(self, bundle: Bundle, run: RunInfo, context: Context) -> WriteOutcome:
        """
        Raises:
            ThreadError, RetryableError: the thread does not stand there.
        """
        job = await self._job(bundle, run, context)
        there = await self._there(job, context)
        if there is not None:
            if not await self._replaceable(job, there, run, context):
                adopted = await self._adopted(job, run, context)
                if adopted is not None:
                    return adopted
                refusal = self._refusal(job)
                if refusal is not None:
                    return refusal
            await self._target(job, run, context).remove()
        return await self._build(job, run, context)

    async def _job(self, bundle: Bundle, run: RunInfo, context: Context) -> _Job:
        thread = next((record for record in bundle if isinstance(record, Thread)), None)
        graph_id = _graph_of(thread)
        if graph_id is not None:
            graph_id = await self._graphs.of(graph_id, context)
        elif bundle.checkpoints:
            raise ThreadError(
                "its metadata names no graph, without which no server takes its history"
            )
        return _Job(
            bundle,
            thread,
            target_id(bundle.thread_id, run.source if run.merge else None),
            graph_id,
            thread_metadata(thread, graph_id),
        )

    async def _there(self, job: _Job, context: Context) -> Holding | None:
        return (await self._holdings.find([job.thread_id], context)).get(job.thread_id)

    async def _replaceable(self, job: _Job, there: Holding, run: RunInfo, context: Context) -> bool:
        """Whether what stands there is an earlier copy of this source's thread that nobody has
        gone on with since, or what is left of an attempt at one."""
        label = there.label
        if label is None or label.source != run.source:
            return False
        if label.unfinished is not None:
            return True
        if self._config.on_conflict == "replace":
            return True
        return await self._head(job, context) == label.head

    async def _head(self, job: _Job, context: Context) -> str | None:
        page = await self._history.page(job.thread_id, "", context, limit=1)
        context.budget.give_page(page.taken)
        return page.rows[0].checkpoint_id if page.rows else None

    async def _adopted(self, job: _Job, run: RunInfo, context: Context) -> WriteOutcome | None:
        """The outcome for a thread that already stands there, with the same content."""
        target = self._target(job, run, context)
        outcome = await compare_thread(job.bundle, target)
        if outcome is None or not outcome.exact:
            return None
        found = await self._finish(job, target, outcome, run, context)
        return msgspec.structs.replace(found, written=False)

    def _refusal(self, job: _Job) -> WriteOutcome | None:
        """What becomes of a thread that stands there with other content; None: it is replaced."""
        thread_id = job.bundle.thread_id
        if self._config.on_conflict == "replace":
            return None
        if self._config.on_conflict == "skip":
            why = "it stands there with other content, which was left (--sink-on-conflict skip)"
            count = job.bundle.checkpoints
            loss = Loss(what="thread", why=why, checkpoints=count, holdable=False)
            return WriteOutcome(thread_id=thread_id, losses=(loss,), written=False)
        return WriteOutcome(
            thread_id=thread_id,
            error="it stands there with other content; choose with --sink-on-conflict replace or "
            "skip what becomes of it",
        )

    async def forget(self, thread_ids: Sequence[str], run: RunInfo, context: Context) -> None:
        """Removes the copies of these threads that this run's source was read for."""
        merged = run.source if run.merge else None
        ids = [target_id(thread_id, merged) for thread_id in thread_ids]
        for thread_id, holding in (await self._holdings.find(ids, context)).items():
            if holding.label is not None and holding.label.source == run.source:
                what = f"removal of thread {thread_id}"
                await self._client.light(
                    context, "DELETE", path_of(thread_id), opening=None, what=what
                )

    # -- building -----------------------------------------------------------------------

    async def _build(self, job: _Job, run: RunInfo, context: Context) -> WriteOutcome:
        target = self._target(job, run, context)
        for tried in range(1, _TRIES + 1):
            try:
                outcome = await replay_thread(
                    job.bundle,
                    target,
                    self._memory.of(job.graph_id),
                    verify=self._compares(job),
                )
                return await self._finish(job, target, outcome, run, context)
            except TakenError:
                raise  # it is not this run's to remove
            except (UnknownFateError, RetryableError) as error:
                await self._remove(target, error)
                if tried == _TRIES:
                    raise
            except ThreadError as error:
                await self._remove(target, error)
                raise
        raise AssertionError("the last try returns or raises")

    async def _remove(self, target: HttpTarget, error: LgxError) -> None:
        """Leaves nothing half built; where that fails, the next run finds it by its label."""
        try:
            await target.remove()
        except (ThreadError, RetryableError) as failed:
            raise ThreadError(
                f"{error}; what was built of it could not be removed ({failed}): the next run does"
            ) from error

    async def _finish(
        self,
        job: _Job,
        target: HttpTarget,
        outcome: Outcome,
        run: RunInfo,
        context: Context,
    ) -> WriteOutcome:
        """Marks a thread as whole, where it is, and tells what it lacks."""
        losses = [*outcome.losses]
        built = await target.finish(self._label(job, outcome, run, whole=not _holdable(losses)))
        lacking = missing(job.bundle.thread_id, job.thread, job.metadata, built)
        if _holdable(lacking) and not _holdable(losses):
            await target.finish(self._label(job, outcome, run, whole=False))
        if job.thread_id != job.bundle.thread_id:
            context.note(
                f"stands there as {job.thread_id}: servers insist on UUIDs",
                thread_id=job.bundle.thread_id,
            )
        return WriteOutcome(
            thread_id=job.bundle.thread_id,
            losses=(*losses, *lacking),
            fidelity=outcome.fidelity,
        )

    def _target(self, job: _Job, run: RunInfo, context: Context) -> HttpTarget:
        return HttpTarget(
            self._client,
            self._history,
            self._holdings,
            context,
            thread_id=job.thread_id,
            metadata=job.metadata,
            label=Label(source=run.source, thread_id=_other(job)),
            graph_id=job.graph_id,
            ttl=thread_ttl(job.thread),
            body_bytes=self._config.body_size << 20,
        )

    def _label(self, job: _Job, outcome: Outcome, run: RunInfo, *, whole: bool) -> Label:
        mark = job.bundle.mark if whole else None
        return Label(
            version=mark.version if mark else "",
            fingerprint=mark.fingerprint if mark else "",
            checkpoints=mark.checkpoints if mark else 0,
            source=run.source,
            fidelity=outcome.fidelity,
            head=outcome.head,
            thread_id=_other(job),
            provenance=tuple(_origins(job.bundle)) if self._config.provenance else (),
        )

    def _compares(self, job: _Job) -> bool:
        if self._config.verify == "sample":
            digest = hashlib.sha256(job.thread_id.encode()).digest()
            return digest[0] % _ONE_IN == 0
        return self._config.verify == "all"


def _graph_of(thread: Thread | None) -> str | None:
    if thread is None or isinstance(thread.metadata, UnsetType):
        return None
    said = split_object(thread.metadata).get("graph_id")
    try:
        return None if said is None else msgspec.json.decode(said, type=str | None)
    except msgspec.ValidationError:
        raise ThreadError("its metadata names as graph_id what is no text") from None


def _other(job: _Job) -> str | None:
    return job.bundle.thread_id if job.bundle.thread_id != job.thread_id else None


def _holdable(losses: list[Loss]) -> bool:
    return any(loss.holdable for loss in losses)


class _Run(Struct):
    run_id: str | None = None


def _origins(bundle: Bundle) -> Iterator[Origin]:
    """Of the root checkpoints, which are those that are built."""
    for record in bundle:
        if isinstance(record, Checkpoint) and record.checkpoint_ns == "":
            run = _Run()
            if not isinstance(record.metadata, UnsetType):
                with contextlib.suppress(msgspec.MsgspecError):
                    run = msgspec.json.decode(record.metadata, type=_Run)
            yield Origin(record.checkpoint_id, record.created_at, run.run_id)
