"""One verification: both sides read into ledgers, then compared."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from lgx.budget import Budget
from lgx.contracts import Source, SourceBase
from lgx.engine import Stop
from lgx.engine.requests import Requests
from lgx.engine.run_context import RunContext
from lgx.errors import UsageError
from lgx.forms import form_of, words
from lgx.progress import Progress
from lgx.query import Query
from lgx.registry import Registry
from lgx.report import Note
from lgx.verification.choosing import counterparts_of, renamed_beside, sampled
from lgx.verification.comparison import Comparison
from lgx.verification.counterparts import Counterparts
from lgx.verification.forms import STATE_WORDS, forms_in, may_be_compared
from lgx.verification.ledger import Ledger
from lgx.verification.levels import asked_instead, asked_of, derived_of, level_of, remedy_of
from lgx.verification.reading import source_of
from lgx.verification.report import Side, Verification
from lgx.verification.sampling import Sample
from lgx.verification.scope import Scope
from lgx.verification.sides import Part, read_parts
from lgx.verification.spec import VerifySpec
from lgx.verification.taking import Wanted

__all__ = ["compare"]

_BUSY = 0.05  # seconds after which a comparison lets others run


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


class _Execution:
    def __init__(
        self, spec: VerifySpec, registry: Registry, progress: Progress, stop: Stop
    ) -> None:
        self._spec = spec
        self._registry = registry
        self._progress = progress
        self._stop = stop
        self._sample: Sample | None = None
        self._asked: frozenset[str] = frozenset()
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
        self._asked = asked_of([source for _, _, source in sources])
        parts: list[Part] = []
        watching = asyncio.create_task(self._watch(parts))
        try:
            for role, use, source in sources:
                ledger = Ledger(self._spec.spool_directory)
                parts.append(Part(role=role, use=use, source=source, ledger=ledger, stop=Stop()))
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
        if len(sources) == 2 and not may_be_compared([source.offers for source in sources]):
            here, there = (words(form_of(source.offers)) for source in sources)
            raise UsageError(
                f"nothing can be compared: the source, {sources[0].name}, has {here}, and the "
                f"sink, {sources[1].name}, {there}; compare each with a copy that was written in "
                "its own form"
            )

    def _check_forms(self, parts: Sequence[Part]) -> bool:
        """Whether the checkpoints that came can be compared, if any did: of what is in a file
        only reading it tells."""
        forms = [forms_in(part.ledger.shapes()) for part in parts]
        if len(parts) == 1 or not all(forms) or set(forms[0]) & set(forms[1]):
            if len(parts) == 2:
                sources = [part.source for part in parts]
                any_states = any(STATE_WORDS in own for own in forms)
                self._found.level = level_of(sources, self._asked, states=any_states)
            return True
        told = " and ".join(
            f"{part.title}, has checkpoints {' and '.join(own)}"
            for part, own in zip(parts, forms, strict=True)
        )
        states = [STATE_WORDS in own for own in forms]
        remedy = remedy_of([part.source for part in parts], states)
        self._found.aborted = f"nothing can be compared: {told}; {remedy}"
        return False

    async def _watch(self, parts: Sequence[Part]) -> None:
        """Passes a request to stop on to both sides."""
        await self._stop.wait()
        for part in parts:
            part.stop.request(self._stop.signal)

    # -- reading ----------------------------------------------------------------------

    async def _verify(self, parts: Sequence[Part]) -> None:
        if len(parts) == 1:
            await self._check(parts[0])
            if any(fact.level == "error" for fact in self._found.checks):
                self._describe(parts)  # what is damaged cannot be read to its end
                return
            await self._read_first(parts[0])
        else:
            await self._read_both(parts)
            if self._may_go_on(parts) and self._ask_otherwise(parts):
                await self._read_both(parts)
        self._describe(parts)
        if self._may_go_on(parts) and self._check_forms(parts):
            self._progress.phase = "finishing"
            await self._compare(parts)

    async def _read_both(self, parts: Sequence[Part]) -> None:
        if not self._spec.chooses:
            await self._read(parts, self._spec.query)
            return
        await self._read_first(parts[0])
        if self._may_go_on(parts[:1]):
            await self._read_counterparts(*parts)

    def _ask_otherwise(self, parts: Sequence[Part]) -> bool:
        """Whether both are to be read again, since one has turned out to have states alone, and
        the other can give them in place of its rows."""
        forms = [forms_in(part.ledger.shapes()) for part in parts]
        if not all(forms) or set(forms[0]) & set(forms[1]):
            return False
        asked = asked_instead(
            [part.source for part in parts], [own == [STATE_WORDS] for own in forms]
        )
        if asked is None:
            return False
        self._asked = asked
        if self._sample is not None:
            self._sample = Sample(self._spec.sample or 0, self._found.seed or "")
        for part in parts:
            part.ledger.close()
            part.ledger = Ledger(self._spec.spool_directory)
            part.source = source_of(part.role, part.use, self._registry)
            part.listing = part.report = part.wanted = None
        return True

    async def _check(self, part: Part) -> None:
        """What the place says about itself, asked of an object of its own: some can be read
        but once."""
        if type(part.source).check is SourceBase.check:
            return
        spec = self._spec
        requests = Requests(self._progress, concurrency=spec.concurrency, attempts=spec.attempts)
        context = RunContext(
            requests=requests,
            budget=Budget(spec.memory),
            progress=self._progress,
            stop=self._stop,
            spool_directory=spec.spool_directory,
        )
        async with source_of(part.role, part.use, self._registry) as source:
            assert isinstance(source, SourceBase)
            self._found.checks = list((await source.check(context)).facts)

    async def _read_first(self, part: Part) -> None:
        """Reads what is asked for of the source, or of the one side there is."""
        query, sample = self._spec.query, self._sample
        if sample is None:
            await self._read([part], query)
        elif isinstance(part.source, Source):
            self._progress.phase = "listing"
            listed = msgspec.structs.replace(query, extras=False)
            await read_parts([part], listed, sample.see, self._spec, Progress())
            sample.see(part.failed())  # one that cannot be listed may be of it, too
            if self._may_go_on([part]):
                part.listing = part.report
                part.source = source_of(part.role, part.use, self._registry)
                await self._read([part], sampled(query, sample), sample.chosen)
        else:
            await self._read([part], query, sample.candidates)
            sample.see(part.failed())
            part.wanted = sample.chosen
            part.ledger.keep(sample.ids)

    async def _read_counterparts(self, source: Part, sink: Part) -> None:
        """Reads what the sink has of the source's threads: where it may have copies under other
        ids than it was asked for, in a second look."""
        asked, wanted = counterparts_of(source.ledger, extras=self._spec.query.extras)
        await self._read([sink], asked, wanted)
        if not (asked.thread_ids and self._may_go_on([sink])):
            return
        identities = [part.side().identity for part in (source, sink)]
        if Counterparts([source.ledger, sink.ledger], identities).doubtful():
            sink.listing = sink.report
            sink.source = source_of(sink.role, sink.use, self._registry)
            renamed = renamed_beside(sink.ledger)
            await self._read([sink], Query(extras=False), renamed)
            sink.wanted = lambda thread_ids: wanted(thread_ids) | renamed(thread_ids)

    async def _read(
        self, parts: Sequence[Part], query: Query, wanted: Wanted | None = None
    ) -> None:
        asked = msgspec.structs.replace(query, kinds=self._asked)
        await read_parts(parts, asked, wanted, self._spec, self._progress)

    # -- telling ----------------------------------------------------------------------

    def _may_go_on(self, parts: Sequence[Part]) -> bool:
        """Whether these sides were read to their end; else says why not."""
        reports = [(part, part.report) for part in parts if part.report is not None]
        if self._stop.requested:
            self._found.signal = self._stop.signal
            if self._stop.signal is None:
                self._found.aborted = "the verification was stopped before its end"
        elif any(report.aborted is not None for _, report in reports):
            self._found.aborted = "; ".join(
                f"{part.title}: {report.aborted}"
                for part, report in reports
                if report.aborted is not None and not part.stopped
            )
        return self._found.aborted is None and self._found.signal is None

    def _describe(self, parts: Sequence[Part]) -> None:
        for part in parts:
            setattr(self._found, part.role, part.side())
            if part.report is not None:
                self._found.notes += (
                    msgspec.structs.replace(note, message=f"{part.title}: {note.message}")
                    for note in part.report.notes
                )

    async def _compare(self, parts: Sequence[Part]) -> None:
        unread = [part.unread() for part in parts]
        comparison = Comparison(
            Scope(*(part.held for part in parts), extras=self._spec.query.extras),
            [part.ledger for part in parts],
            self._sides(),
            unread,
            self._found,
            chosen=self._spec.chooses,
            derived=derived_of(
                [part.source for part in parts],
                self._found.level,
                [part.side().identity for part in parts],
                [part.ledger.shapes() for part in parts],
            ),
        )
        last = time.monotonic()
        for _ in comparison.steps():
            if time.monotonic() - last > _BUSY:
                await asyncio.sleep(0)
                last = time.monotonic()
            if self._stop.requested:
                self._may_go_on(())
                return
        self._judge(parts, unread)

    def _judge(self, parts: Sequence[Part], unread: Sequence[dict[str, str]]) -> None:
        """Whether all is equal, or nothing could be told."""
        failed = [
            f"{part.title}: {next(iter(why.values()))}"
            for part, side, why in zip(parts, self._sides(), unread, strict=True)
            if why and not side.threads
        ]
        if failed:
            self._found.aborted = f"no thread could be read: {'; '.join(failed)}"
        elif len(parts) == 2:
            self._found.equal = self._found.exit_code == 0
            if not any(side.threads for side in self._sides()):
                nothing = "neither side holds any thread"
                if self._spec.chooses:
                    nothing = "no thread of the source was chosen"
                self._found.notes.append(Note(message=nothing))

    def _sides(self) -> list[Side]:
        return [side for side in (self._found.source, self._found.sink) if side is not None]
