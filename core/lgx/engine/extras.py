"""Extras: what belongs to the deployment rather than to a thread."""

from __future__ import annotations

from lgx.engine.admission import Admission
from lgx.engine.closing import closing
from lgx.engine.plan import Plan
from lgx.engine.run_context import RunContext
from lgx.engine.tally import Tally
from lgx.engine.treatment import Treatment
from lgx.errors import RetryableError, ThreadError
from lgx.records import ANY_KIND
from lgx.spool import Bundle
from lgx.threads import Loss

__all__ = ["Extras"]


class Extras:
    """Moves the records of one kind after the other; a failure is listed, the run goes on.

    In a dry run it only asks sinks that preview what would become of them.

    Attributes:
        absent: kinds that the sink has no place for, and of which the source has none.
    """

    def __init__(
        self,
        plan: Plan,
        treatment: Treatment,
        admission: Admission,
        context: RunContext,
        tally: Tally,
        *,
        dry_run: bool,
    ) -> None:
        self._plan = plan
        self._treatment = treatment
        self._admission = admission
        self._context = context
        self._tally = tally
        self._dry_run = dry_run
        self.absent: set[str] = set()
        self._passes = not dry_run or plan.sink.previews

    async def read(self, kind: str) -> None:
        """Reads and moves one kind, if it is offered, wanted and has a place."""
        source = self._plan.source
        offered = kind in source.offers or source.offers == ANY_KIND
        wanted = self._passes and self._plan.query.extras and offered
        if not wanted:
            return
        if not self._plan.travels(kind):
            if kind in self._plan.unheld and not await self._are_any(kind):
                self.absent.add(kind)
            return
        spool = self._context.spool()
        losses: tuple[Loss, ...] = ()
        try:
            try:
                async with closing(source.extras(kind, self._plan.query, self._context)) as records:
                    async for record in records:
                        spool.append(record)
            except (ThreadError, RetryableError) as error:
                losses = (Loss(what=f"{kind} records", why=str(error)),)
            await self.move(
                kind,
                Bundle(
                    spool,
                    ref=None,
                    mark=None,
                    outcome="partial" if losses else "complete",
                    losses=losses,
                ),
            )
        finally:
            spool.close()

    async def _are_any(self, kind: str) -> bool:
        """Whether the source has any of a kind, or cannot tell."""
        source = self._plan.source
        try:
            async with closing(source.extras(kind, self._plan.query, self._context)) as records:
                async for _ in records:
                    return True
        except (ThreadError, RetryableError):
            return True
        return False

    async def move(self, kind: str, bundle: Bundle) -> None:
        """Treats and writes what came of one kind, or tallies what would become of it; its spool
        stays its maker's to close."""
        if not self._passes:
            return
        losses = bundle.losses
        try:
            if not self._admission.admits_extras(kind, bundle, "source"):
                return
            treated = await self._treatment.apply_extras(bundle)
            try:
                if not self._admission.admits_extras(kind, treated, "sink"):
                    return
                sink = self._plan.sink
                if self._dry_run:
                    outcome = await sink.preview_extras(kind, treated, self._context)
                    self._tally.previewed_extras(kind, treated, outcome)
                else:
                    outcome = await sink.write_extras(kind, treated, self._context)
                    self._tally.wrote_extras(kind, treated, outcome)
            finally:
                if treated is not bundle:
                    treated.close()
        except (ThreadError, RetryableError) as error:
            self._tally.extras_failed(kind, str(error), losses)
