"""The pipeline: one run, from its plan to its report.

list → held → read → spool → transform → validate → write → report
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, TypeVar

import lgx
from lgx.budget import Budget
from lgx.contracts import RunInfo, Source, StreamSource
from lgx.engine.admission import Admission
from lgx.engine.collector import calm_collector
from lgx.engine.connecting import connecting
from lgx.engine.delivery import Delivery
from lgx.engine.extras import Extras
from lgx.engine.intake import Intake
from lgx.engine.passage import Passage
from lgx.engine.plan import Plan, make_plan
from lgx.engine.requests import Requests
from lgx.engine.run_context import RunContext
from lgx.engine.stop import Stop
from lgx.engine.tally import Tally
from lgx.engine.treatment import Treatment
from lgx.errors import FatalError, LgxError, UsageError
from lgx.progress import Progress
from lgx.records import EXTRA_KINDS
from lgx.registry import Registry
from lgx.report import Report
from lgx.spec import RunSpec

__all__ = ["carry_out", "execute"]

T = TypeVar("T")


async def execute(
    spec: RunSpec,
    registry: Registry,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Report:
    """Runs one pipeline to its end.

    Once threads are moving nothing but a bug raises: what ends the run early is said by the
    report (`aborted`, `signal`), beside what had arrived by then.

    Raises:
        UsageError: the plan is wrong: unknown plugin, bad option, kinds that do not fit.
        LgxError: source or sink cannot be opened; nothing was written.
    """
    plan = make_plan(spec, registry)
    source, sink = f"the source, {spec.source.name}", f"the sink, {spec.sink.name}"
    return await _Execution(
        spec, plan, progress or Progress(), stop or Stop(), source=source, sink=sink
    ).run()


async def carry_out(
    spec: RunSpec, plan: Plan, *, progress: Progress | None = None, stop: Stop | None = None
) -> Report:
    """As `execute`, of a plan that is made; the components in `spec` are only names then."""
    return await _Execution(spec, plan, progress or Progress(), stop or Stop()).run()


class _Execution:
    """The state of one run; `source` and `sink` are said in front of what keeps it from
    connecting."""

    def __init__(
        self,
        spec: RunSpec,
        plan: Plan,
        progress: Progress,
        stop: Stop,
        *,
        source: str = "",
        sink: str = "",
    ) -> None:
        self._source, self._sink = source, sink
        self._spec = spec
        self._plan = plan
        self._progress = progress
        self._stop = stop
        self._context = RunContext(
            requests=Requests(progress, concurrency=spec.concurrency, attempts=spec.attempts),
            budget=Budget(spec.memory),
            progress=progress,
            stop=stop,
            spool_directory=spec.spool_directory,
        )
        self._report = Report(
            source=spec.source.name,
            sink=spec.sink.name,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            dry_run=spec.dry_run,
        )
        self._tally = Tally(self._report, progress, plan.fidelity, spec.spool_directory)
        self._delivery = Delivery(plan.sink, self._context, self._tally)
        treatment = Treatment(plan, self._context.spool)
        admission = Admission(treatment, self._context, self._tally, spec.on_violation)
        self._extras = Extras(
            plan, treatment, admission, self._context, self._tally, dry_run=spec.dry_run
        )
        self._passage = Passage(
            plan.sink,
            treatment,
            admission,
            self._delivery,
            self._context,
            self._tally,
            dry_run=spec.dry_run,
        )
        self._reads = not spec.dry_run or treatment.reads or plan.sink.previews
        self._intake: Intake | None = None

    async def run(self) -> Report:
        report = self._report
        begun = time.monotonic()
        moving = False
        try:
            async with AsyncExitStack() as stack:
                with connecting(self._source):
                    await stack.enter_async_context(self._plan.source)
                with connecting(self._sink):
                    await stack.enter_async_context(self._plan.sink)
                fingerprint = await self._unless_stopped(self._begin())
                moving = True
                with calm_collector():
                    await self._move(fingerprint)
                self._go_on()
                self._check_outcomes()
                self._progress.phase = "finishing"
                if not self._spec.dry_run or self._plan.sink.previews:
                    await self._unless_stopped(self._rest_of_extras())
                    self._go_on()
                if not self._spec.dry_run:
                    await self._plan.sink.finish(self._context)
        except _EndedError:
            report.signal = self._stop.signal
            if self._stop.requested and self._stop.signal is None and report.aborted is None:
                report.aborted = "the run was stopped before its end"
        except LgxError as error:
            if not moving:
                raise
            report.aborted = report.aborted or str(error)
        finally:
            if self._intake is not None:
                self._intake.close()
        self._close(time.monotonic() - begun)
        return report

    def _go_on(self) -> None:
        """Raises where the run is over before its end, so that the endpoints are closed as
        after a failure: what has to appear whole must not appear.
        """
        if self._stop.requested or self._report.aborted is not None:
            raise _EndedError

    def _check_outcomes(self) -> None:
        """That every listed thread has come to an end. What leaks a cancellation, or ends a
        task in another quiet way, must not pass for a complete run.
        """
        listed, open_ones = self._report.threads.listed, self._without_outcome()
        if open_ones:
            raise FatalError(
                f"of {listed} listed thread{'' if listed == 1 else 's'} {open_ones} "
                f"{'has' if open_ones == 1 else 'have'} no outcome: a plugin was cancelled, or "
                "cancelled itself; run again"
            )

    def _without_outcome(self) -> int:
        """How many listed threads have come to no end."""
        threads = self._report.threads
        settled = sum(
            (threads.unchanged, threads.written, threads.partial, threads.failed, threads.gone)
        )
        return threads.listed - settled - len(self._report.would_move)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Does work that a signal may cut off."""
        doing = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise _EndedError
        finally:
            for task in (doing, stopping):
                task.cancel()
            await asyncio.gather(doing, stopping, return_exceptions=True)

    async def _begin(self) -> str:
        """Opens the target for this run, and returns the fingerprint of its copies."""
        plan, report = self._plan, self._report
        with connecting(self._source):
            versions = await plan.source.versions(self._context)
            identity = await plan.source.identity()
        report.versions = {"lgx": lgx.__version__, **versions}
        fingerprint = plan.fingerprint(identity)
        with connecting(self._sink):
            await plan.sink.begin(
                RunInfo(
                    source=identity,
                    started_at=report.started_at,
                    fingerprint=fingerprint,
                    source_name=report.source,
                    kinds=plan.kinds,
                    versions=report.versions,
                    merge=self._spec.merge,
                    dry_run=self._spec.dry_run,
                ),
                self._context,
            )
        with connecting(self._source):
            expected = await plan.source.expected(plan.query, self._context)
        limit = plan.query.limit
        if expected is not None and limit is not None:
            expected = min(expected, limit)
        self._progress.total = expected
        return fingerprint

    async def _move(self, fingerprint: str) -> None:
        """Moves everything; ends early, and in good order, on a signal or a fatal error."""
        self._progress.phase = "moving"
        writers = asyncio.create_task(self._delivery.run())
        reading = asyncio.create_task(self._take_in(fingerprint))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((writers, reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
            if not writers.done():
                await self._settle(reading)
                ending = asyncio.create_task(self._delivery.end())
                await asyncio.wait((writers, ending), return_when=asyncio.FIRST_COMPLETED)
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)
            await asyncio.wait((writers,))
            await self._settle(reading)
            await self._settle(writers)
        finally:
            for task in (writers, reading, stopping):
                task.cancel()
            await asyncio.gather(writers, reading, stopping, return_exceptions=True)
            self._delivery.close()

    async def _settle(self, task: asyncio.Task[None]) -> None:
        """Waits for a part of the run; lgx's own errors abort it, others are bugs and raise."""
        await asyncio.wait((task,))
        if task.cancelled():
            return  # by this class, or by a plugin: `_check_outcomes` tells
        error = _innermost(task.exception())
        if isinstance(error, LgxError):
            if self._report.aborted is None:
                self._report.aborted = str(error)
        elif error is not None:
            raise error

    async def _take_in(self, fingerprint: str) -> None:
        plan = self._plan
        source = plan.source
        intake = self._intake = Intake(
            plan,
            self._context,
            self._tally,
            fingerprint=fingerprint,
            full=self._spec.full,
            concurrency=self._spec.concurrency,
            offer=self._passage.take,
            dry_run=not self._reads,
        )
        if isinstance(source, StreamSource):
            await intake.scan(source, self._extras.move)
        elif isinstance(source, Source):
            await self._extras.read("assistant")
            await intake.list_and_read(source, read=self._reads)
        else:
            raise UsageError(
                f"source {self._spec.source.name} is neither a Source nor a StreamSource"
            )

    async def _rest_of_extras(self) -> None:
        """Moves the extras that come after the threads."""
        if self._intake is not None and isinstance(self._plan.source, StreamSource):
            await self._intake.rest_of_extras(self._extras.move)
            return
        for kind in EXTRA_KINDS:
            if kind != "assistant":
                await self._extras.read(kind)

    # -- report -----------------------------------------------------------------------

    def _close(self, seconds: float) -> None:
        report, progress = self._report, self._progress
        self._tally.close(self._spec.sink.name, self._plan.unheld - self._extras.absent)
        if report.aborted is not None or report.signal is not None:
            unlisted = max(0, (progress.total or 0) - report.threads.listed)
            report.not_reached = self._without_outcome() + unlisted
        report.notes = list(self._context.notes.values())
        report.seconds = round(seconds, 3)
        report.received = progress.received
        report.requests = progress.requests
        report.retries = progress.retries
        progress.phase = "done"


class _EndedError(Exception):
    """The run ends before its end, in good order; never leaves this module."""


def _innermost(error: BaseException | None) -> BaseException | None:
    """The first error of a group that says most: a bug before a fatal error."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    found: list[Any] = [_innermost(inner) for inner in error.exceptions]
    bugs = [inner for inner in found if not isinstance(inner, LgxError)]
    return (bugs or found)[0]  # type: ignore[no-any-return]
