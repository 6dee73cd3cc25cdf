"""One verification: both sides read into ledgers, then compared."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from lgx.budget import Budget
from lgx.contracts import SourceBase
from lgx.engine import Stop, carry_out
from lgx.engine.plan import Plan
from lgx.engine.requests import Requests
from lgx.engine.run_context import RunContext
from lgx.errors import FatalError, LgxError, UsageError
from lgx.facts import Probe
from lgx.progress import Progress
from lgx.query import Query
from lgx.records import ANY_KIND, EXTRA_KINDS
from lgx.registry import Registry
from lgx.report import Report
from lgx.spec import RunSpec, Use
from lgx.verification.comparison import Comparison
from lgx.verification.fingerprint import id_bytes
from lgx.verification.joint import PartProgress
from lgx.verification.ledger import Ledger
from lgx.verification.reading import source_of
from lgx.verification.report import Side, Verification
from lgx.verification.sampling import Sample
from lgx.verification.scope import Held, Scope
from lgx.verification.spec import VerifySpec
from lgx.verification.taking import LedgerSink, Wanted

__all__ = ["compare"]

_BY_ID = 500  # threads that a sink is asked for by their ids; of more, all are listed
_BUSY = 0.05  # seconds after which a comparison lets others run
_CHECKPOINTS = (
    frozenset({"checkpoint"}),
    frozenset({"raw_checkpoint", "channel_blob", "checkpoint_write"}),
)


async def compare(
    spec: VerifySpec,
    registry: Registry,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Verification:
    """Does what `spec` says; the result tells whether it came to its end.

    Raises:
        UsageError: an unknown plugin, a bad option, or two places that nothing compares.
        LgxError: a side cannot be opened.
    """
    return await _Execution(spec, registry, progress or Progress(), stop or Stop()).run()


class _Part(Struct):
    """One side while it is read."""

    role: str
    use: Use
    source: SourceBase[Any]
    ledger: Ledger
    stop: Stop
    sink: LedgerSink | None = None
    report: Report | None = None
    stopped: bool = False  # because the other side failed

    @property
    def title(self) -> str:
        return f"the {self.role}, {self.use.name}"


class _Execution:
    def __init__(
        self, spec: VerifySpec, registry: Registry, progress: Progress, stop: Stop
    ) -> None:
        self._spec = spec
        self._registry = registry
        self._progress = progress
        self._stop = stop
        self._sample: Sample | None = None
        seed = None
        if spec.sample is not None:
            seed = spec.seed or uuid.uuid4().hex[:12]
            self._sample = Sample(spec.sample, seed)
        self._found = Verification(
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            sample=spec.sample,
            seed=seed,
        )

    async def run(self) -> Verification:
        begun = time.monotonic()
        uses = [(r, u) for r, u in (("source", self._spec.source), ("sink", self._spec.sink)) if u]
        sources = [(role, use, source_of(role, use, self._registry)) for role, use in uses]
        self._check_plan([source for _, _, source in sources])
        parts: list[_Part] = []
        watching = asyncio.create_task(self._watch(parts))
        try:
            for role, use, source in sources:
                ledger = Ledger(self._spec.spool_directory)
                parts.append(_Part(role, use, source, ledger, Stop()))
            await self._verify(parts)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            for part in parts:
                part.ledger.close()
        self._found.seconds = round(time.monotonic() - begun, 3)
        self._progress.phase = "done"
        return self._found

    def _check_plan(self, sources: Sequence[SourceBase[Any]]) -> None:
        if not sources:
            raise UsageError("there is nothing to verify without a source or a sink")
        if self._spec.query.as_of and not sources[0].keeps_earlier:
            raise UsageError(
                f"--as-of reads earlier states, and the {sources[0].name} source has none but "
                "the present one; read from an archive"
            )
        kinds = [source.offers for source in sources]
        if ANY_KIND in kinds or len(kinds) == 1:
            return
        if not any(all(offers & form for offers in kinds) for form in _CHECKPOINTS):
            raise UsageError(
                f"{sources[0].name} and {sources[1].name} cannot be compared: the one has "
                "checkpoints in a form that the other does not give"
            )

    async def _watch(self, parts: Sequence[_Part]) -> None:
        """Passes a request to stop on to both sides."""
        await self._stop.wait()
        for part in parts:
            part.stop.request(self._stop.signal)

    # -- reading ----------------------------------------------------------------------

    async def _verify(self, parts: Sequence[_Part]) -> None:
        if len(parts) == 1:
            await self._check(parts[0])
            if any(fact.level == "error" for fact in self._found.checks):
                return self._describe(parts)  # what is damaged cannot be read
            await self._read(parts, self._spec.query)
        elif self._spec.chooses:
            await self._read(parts[:1], self._spec.query)
            if self._may_go_on(parts[:1]):
                await self._read_chosen(parts)
        else:
            await self._read(parts, self._spec.query)
        self._describe(parts)
        if self._may_go_on(parts):
            await self._compare(parts)
        return None

    async def _check(self, part: _Part) -> None:
        """What the place says about itself, with an object of its own: some read once."""
        if type(part.source).check is SourceBase.check:
            return
        source = source_of(part.role, part.use, self._registry)
        context = RunContext(
            requests=Requests(
                self._progress, concurrency=self._spec.concurrency, attempts=self._spec.attempts
            ),
            budget=Budget(self._spec.memory),
            progress=self._progress,
            stop=self._stop,
            spool_directory=self._spec.spool_directory,
        )

        async def check() -> Probe:
            async with source:
                return await source.check(context)

        self._found.checks = list((await check()).facts)

    async def _read_chosen(self, parts: Sequence[_Part]) -> None:
        """Reads of the sink the threads that were read of the source, whatever its filters."""
        held = parts[0].ledger
        if self._sample is not None:
            held.keep(self._sample.ids)
        ids = []
        for entry in held.entries():
            ids.append(entry.thread_id)
            if len(ids) > _BY_ID:
                break
        by_id = len(ids) <= _BY_ID and all(map(_is_uuid, ids))
        extras = self._spec.query.extras
        query = Query(extras=extras)
        if by_id:
            # With a limit, which changes nothing, an absent one is no failure of the reading.
            query = Query(thread_ids=tuple(ids), limit=max(1, len(ids)), extras=extras)

        def wanted(thread_ids: Sequence[str]) -> set[str]:
            # Where an id is no UUID, a server has the thread under one that is made of it, and
            # only its metadata tell which it is.
            return {name for name in thread_ids if held.holds(id_bytes(name)) or _may_be_made(name)}

        if ids or extras:
            await self._read(parts[1:], query, wanted)

    async def _read(
        self, parts: Sequence[_Part], query: Query, wanted: Wanted | None = None
    ) -> None:
        """Reads sides at once. Where one cannot be opened, or breaks off, the other is not read
        to its end.

        Raises:
            LgxError: one cannot be opened; with two of them both reasons.
        """
        if wanted is None and self._sample is not None:
            wanted = self._sample.wanted

        async def read(part: _Part) -> None:
            try:
                await self._read_part(part, query, wanted, len(parts))
            finally:
                if part.report is None or part.report.aborted is not None:
                    for other in parts:
                        if other is not part and not other.stop.requested:
                            other.stopped = True
                            other.stop.request()

        outcomes = await asyncio.gather(*map(read, parts), return_exceptions=True)
        failed = [(p, e) for p, e in zip(parts, outcomes, strict=True) if e is not None]
        for _, error in failed:
            if not isinstance(error, LgxError) or isinstance(error, UsageError):
                raise error
        if len(failed) == 1:
            raise failed[0][1]
        if failed:
            words = "; ".join(f"{part.title}: {error}" for part, error in failed)
            raise FatalError(words) from failed[0][1]

    async def _read_part(
        self, part: _Part, query: Query, wanted: Wanted | None, together: int
    ) -> None:
        spec = self._spec
        part.sink = LedgerSink(part.ledger, part.source, wanted)
        plan = Plan(
            source=part.source,
            sink=part.sink,
            transforms=(),
            validators=(),
            query=msgspec.structs.replace(
                query, as_of=query.as_of if part.role == "source" else None
            ),
            kinds=part.source.offers,
            excluded=frozenset() if query.extras else frozenset(EXTRA_KINDS),
            unheld=frozenset(),
            fidelity="state",
        )
        run = RunSpec(
            source=part.use,
            sink=Use(name=part.sink.name),
            query=plan.query,
            concurrency=spec.concurrency,
            memory=spec.memory // together,
            attempts=spec.attempts,
            spool_directory=spec.spool_directory,
        )
        progress = PartProgress(self._progress)
        part.report = await carry_out(run, plan, progress=progress, stop=part.stop)

    # -- telling ----------------------------------------------------------------------

    def _may_go_on(self, parts: Sequence[_Part]) -> bool:
        """Whether these sides were read to their end; else says why not."""
        for part in parts:
            report = part.report
            if report is None:
                continue
            if report.signal is not None:
                self._found.signal = report.signal
            if report.aborted is not None and not part.stopped:
                words = f"{part.title}: {report.aborted}"
                before = f"{self._found.aborted}; " if self._found.aborted else ""
                self._found.aborted = before + words
        if self._stop.requested and self._stop.signal is None and self._found.aborted is None:
            self._found.aborted = "the verification was stopped before its end"
        return self._found.aborted is None and self._found.signal is None

    def _describe(self, parts: Sequence[_Part]) -> None:
        """What is known of each side, however far it was read."""
        for part in parts:
            side = Side(plugin=part.use.name)
            report, sink = part.report, part.sink
            if sink is not None:
                side.identity = sink.identity
            if report is not None:
                side.bytes, side.received = report.bytes, report.received
                side.requests, side.retries = report.requests, report.retries
                side.versions = report.versions
                side.unread = [loss for loss in report.losses if loss.holdable]
                self._found.notes += report.notes
            setattr(self._found, part.role, side)

    async def _compare(self, parts: Sequence[_Part]) -> None:
        held = [
            Held(
                title=part.title,
                offers=part.source.offers,
                coverage=part.sink.coverage,
            )
            for part in parts
            if part.sink is not None
        ]
        sides = [side for side in (self._found.source, self._found.sink) if side is not None]
        unread = [_unread(part.report) for part in parts if part.report is not None]
        comparison = Comparison(
            Scope(*held, extras=self._spec.query.extras),
            [part.ledger for part in parts],
            sides,
            unread,
            self._found,
            chosen=self._spec.chooses,
        )
        last = time.monotonic()
        for _ in comparison.steps():
            if time.monotonic() - last > _BUSY:
                await asyncio.sleep(0)
                last = time.monotonic()
            if self._stop.requested:
                self._found.signal = self._stop.signal
                self._may_go_on(())
                return
        self._judge(parts, unread)

    def _judge(self, parts: Sequence[_Part], unread: Sequence[dict[str, str]]) -> None:
        """Whether all is equal, or nothing could be told."""
        counts = self._found.threads
        compared = counts.equal + counts.different + counts.missing + counts.additional
        failed = [(part, why) for part, why in zip(parts, unread, strict=True) if why]
        if failed and not compared and not any(side.threads for side in self._sides()):
            self._found.aborted = "no thread could be read: " + "; ".join(
                f"{part.title}: {next(iter(why.values()))}" for part, why in failed
            )
        elif len(parts) == 2:
            self._found.equal = self._found.exit_code == 0

    def _sides(self) -> list[Side]:
        return [side for side in (self._found.source, self._found.sink) if side is not None]


def _unread(report: Report) -> dict[str, str]:
    """The threads that could not be read whole, and the first reason of each."""
    found: dict[str, str] = {}
    for failure in report.failures:
        if failure.thread_id is not None:
            words = failure.why if failure.what == "thread" else f"{failure.what}: {failure.why}"
            found.setdefault(failure.thread_id, words)
    return found


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _may_be_made(text: str) -> bool:
    """Whether a server may have the thread under an id that was made of another."""
    return _is_uuid(text) and uuid.UUID(text).version == 5
