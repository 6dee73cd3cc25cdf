"""Reading the sides of a verification, each by a run into a ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from lgx.config import Config, describe
from lgx.contracts import SourceBase
from lgx.engine import Stop, carry_out
from lgx.engine.plan import Plan
from lgx.errors import FatalError, LgxError, UsageError
from lgx.progress import Progress
from lgx.query import Query
from lgx.records import ANY_KIND, EXTRA_KINDS
from lgx.report import Report
from lgx.secrets import redact_url
from lgx.spec import RunSpec, Use
from lgx.threads import Loss
from lgx.verification.ledger import Ledger
from lgx.verification.report import Side
from lgx.verification.scope import Held
from lgx.verification.spec import VerifySpec
from lgx.verification.taking import LedgerSink, Wanted

__all__ = ["Part", "read_parts"]


class Part(Struct, kw_only=True):
    """One side while it is read.

    Attributes:
        role: source or sink.
        wanted: which threads count, where some were chosen.
        listing: of a look at its listing, before it was read.
        stopped: whether it was not read to its end because the other side failed.
    """

    role: str
    use: Use
    source: SourceBase[Any]
    ledger: Ledger
    stop: Stop
    wanted: Wanted | None = None
    sink: LedgerSink | None = None
    listing: Report | None = None
    report: Report | None = None
    stopped: bool = False

    @property
    def title(self) -> str:
        return f"the {self.role}, {self.use.name}"

    @property
    def held(self) -> Held:
        """What is known of it once it was read."""
        assert self.sink is not None
        return Held(title=self.title, offers=self.source.offers, coverage=self.sink.coverage)

    def side(self) -> Side:
        """What is told of it, however far it was read."""
        side = Side(plugin=self.use.name, place=_place(self.source.config))
        if self.sink is not None:
            side.identity = self.sink.identity
        for report in self._reports():
            side.bytes += report.bytes
            side.received += report.received
            side.requests += report.requests
            side.retries += report.retries
            side.versions = report.versions
            side.unread += self._losses(report)
        side.unread = list(dict.fromkeys(side.unread))
        return side

    def _reports(self) -> Sequence[Report]:
        return [report for report in (self.listing, self.report) if report is not None]

    def _losses(self, report: Report) -> list[Loss]:
        """What is known to be there and did not come: losses, and failures that are none."""
        found = [loss for loss in report.losses if loss.holdable and self._counts(loss.thread_id)]
        known = {(loss.thread_id, loss.what) for loss in found}
        found += [
            Loss(what=failure.what, why=failure.why)
            for failure in report.failures
            if failure.thread_id is None and (None, failure.what) not in known
        ]
        return found

    def _counts(self, thread_id: str | None) -> bool:
        return thread_id is None or self.wanted is None or bool(self.wanted([thread_id]))

    def failed(self) -> list[str]:
        """The threads that could not be read whole, whether they count or not."""
        failures = (failure for report in self._reports() for failure in report.failures)
        return [f.thread_id for f in failures if f.thread_id is not None]

    def unread(self) -> dict[str, str]:
        """Those of them that count, and the first reason of each."""
        found: dict[str, str] = {}
        for failure in (one for report in self._reports() for one in report.failures):
            if failure.thread_id is not None and self._counts(failure.thread_id):
                whole = failure.what == "thread"
                words = failure.why if whole else f"{failure.what}: {failure.why}"
                found.setdefault(failure.thread_id, words)
        return found


def _place(config: Config) -> str:
    """Where it is, in the user's words."""
    told = (i for i in describe(type(config)) if i.required and not i.secret)
    return " ".join(redact_url(str(getattr(config, info.name))) for info in told)


async def read_parts(
    parts: Sequence[Part],
    query: Query,
    wanted: Wanted | None,
    spec: VerifySpec,
    progress: Progress,
) -> None:
    """Reads sides at once. Where one cannot be opened, or breaks off, the other is not read
    to its end.

    Raises:
        UsageError: of any of them.
        LgxError: one cannot be opened; where both cannot, with both reasons.
    """

    async def read(part: Part) -> None:
        try:
            # An earlier moment is one of the source's.
            own = query if part is parts[0] else msgspec.structs.replace(query, as_of=None)
            await _read(part, own, wanted, spec, progress, spec.memory // len(parts))
        finally:
            whole = part.report is not None and part.report.aborted is None
            if not (whole or part.stopped):
                for other in parts:
                    if other is not part and not other.stop.requested:
                        other.stopped = True
                        other.stop.request()

    outcomes = await asyncio.gather(*map(read, parts), return_exceptions=True)
    failed = [(p, error) for p, error in zip(parts, outcomes, strict=True) if error is not None]
    for _, error in failed:
        if isinstance(error, UsageError) or not isinstance(error, LgxError):
            raise error
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        words = "; ".join(f"{part.title}: {error}" for part, error in failed)
        raise FatalError(words) from failed[0][1]


async def _read(
    part: Part,
    query: Query,
    wanted: Wanted | None,
    spec: VerifySpec,
    progress: Progress,
    memory: int,
) -> None:
    part.wanted = wanted
    part.sink = LedgerSink(part.ledger, part.source, wanted)
    plan = Plan(
        source=part.source,
        sink=part.sink,
        transforms=(),
        validators=(),
        query=query,
        kinds=ANY_KIND,  # whatever comes is looked at
        excluded=frozenset() if query.extras else frozenset(EXTRA_KINDS),
        unheld=frozenset(),
        fidelity="state",
    )
    run = RunSpec(
        source=part.use,
        sink=Use(name=part.sink.name),
        query=query,
        concurrency=spec.concurrency,
        memory=memory,
        attempts=spec.attempts,
        spool_directory=spec.spool_directory,
    )
    try:
        part.report = await carry_out(run, plan, progress=_PartProgress(progress), stop=part.stop)
    except LgxError as error:
        error.args = tuple(_as_named(part, str(word)) for word in error.args)
        raise
    report = part.report
    part.report = msgspec.structs.replace(
        report,
        aborted=None if report.aborted is None else _as_named(part, report.aborted),
        notes=[
            msgspec.structs.replace(note, message=_as_named(part, note.message))
            for note in report.notes
        ],
    )


def _as_named(part: Part, words: str) -> str:
    """A source names its options after its role, and here it may read the sink."""
    return words.replace("--source", "--sink") if part.role == "sink" else words


class _PartProgress(Progress):
    """How far one side is; what is counted here is counted in `whole` as well."""

    def __init__(self, whole: Progress) -> None:
        object.__setattr__(self, "whole", whole)
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        before = getattr(self, name, None) or 0
        object.__setattr__(self, name, value)
        whole: Progress = self.__dict__["whole"]
        if name == "phase":
            if value == "moving":
                whole.phase = value
        elif name == "waiting_for":
            whole.waiting_for = value
        elif isinstance(value, int):
            # A thread that was not chosen is settled, and no other display says "unchanged" of it.
            name = "written" if name == "unchanged" else name
            setattr(whole, name, (getattr(whole, name) or 0) + value - before)
