"""Passage: the way of a thread that was read whole, to the sink."""

from __future__ import annotations

import asyncio
from typing import Any

from lgx.contracts import Sink
from lgx.engine.admission import Admission
from lgx.engine.delivery import Delivery
from lgx.engine.run_context import RunContext
from lgx.engine.tally import Tally
from lgx.engine.treatment import Treatment
from lgx.errors import RetryableError, ThreadError
from lgx.spool import Bundle
from lgx.threads import WriteOutcome

__all__ = ["Passage"]


class Passage:
    """Past the validators, through the transforms and to the writers; in a dry run, which writes
    nothing, to what the sink says of it."""

    def __init__(
        self,
        sink: Sink[Any],
        treatment: Treatment,
        admission: Admission,
        delivery: Delivery,
        context: RunContext,
        tally: Tally,
        *,
        dry_run: bool,
    ) -> None:
        self._sink = sink
        self._treatment = treatment
        self._admission = admission
        self._delivery = delivery
        self._context = context
        self._tally = tally
        self._dry_run = dry_run
        self._previewing = asyncio.Semaphore(sink.max_writers)

    async def take(self, bundle: Bundle) -> None:
        """Called once for each thread; it is delivered, or tallied with the reason, and closed."""
        thread_id, losses, count = bundle.thread_id, bundle.losses, bundle.checkpoints
        try:
            if not self._admission.admits_thread(bundle, "source"):
                return
            bundle = await self._treatment.apply(bundle)
            if not self._admission.admits_thread(bundle, "sink"):
                return
        except ThreadError as error:
            bundle.close()
            self._tally.failed(thread_id, str(error), losses, count)
            return
        except BaseException:
            bundle.close()
            raise
        if self._dry_run:
            await self._preview(bundle)
        else:
            await self._delivery.put(bundle)

    async def _preview(self, bundle: Bundle) -> None:
        """Tallies what would become of a thread."""
        try:
            outcome = WriteOutcome(thread_id=bundle.thread_id)
            if self._sink.previews:
                async with self._previewing:
                    outcome = await self._sink.preview(bundle, self._context)
            self._tally.previewed(bundle, outcome)
        except (ThreadError, RetryableError) as error:
            self._tally.failed(bundle.thread_id, str(error), bundle.losses, bundle.checkpoints)
        finally:
            bundle.close()
