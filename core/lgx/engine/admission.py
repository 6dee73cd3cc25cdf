"""Admission: what a violation costs, of a thread or of the deployment's own records."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lgx.engine.run_context import RunContext
from lgx.engine.tally import Tally
from lgx.engine.treatment import Treatment, summarise
from lgx.errors import FatalError
from lgx.spool import Bundle

__all__ = ["Admission"]

At: TypeAlias = Literal["source", "sink"]


class Admission:
    """Asks the validators; by `on_violation` the run ends, what breaks a rule is kept out and
    tallied, or it is told and passes.

    Both methods raise a FatalError where the run ends, and a ThreadError where a validator fails.
    """

    def __init__(
        self,
        treatment: Treatment,
        context: RunContext,
        tally: Tally,
        on_violation: Literal["fail", "quarantine", "warn"],
    ) -> None:
        self._treatment = treatment
        self._context = context
        self._tally = tally
        self._on_violation = on_violation

    def admits_thread(self, bundle: Bundle, at: At) -> bool:
        """Whether a thread passes; else it is closed."""
        why = self._violations(bundle, at)
        if why is None:
            return True
        thread_id = bundle.thread_id
        if self._on_violation == "warn":
            self._context.note(why, thread_id=thread_id)
            return True
        if self._on_violation == "quarantine":
            losses, count = bundle.losses, bundle.checkpoints
            bundle.close()
            self._tally.quarantined(thread_id, f"quarantined: {why}", losses, count)
            return False
        raise _ends(f"thread {thread_id!r} breaks", why)

    def admits_extras(self, kind: str, bundle: Bundle, at: At) -> bool:
        """Whether what came of one kind passes."""
        why = self._violations(bundle, at)
        if why is None:
            return True
        if self._on_violation == "warn":
            self._context.note(f"{kind} records: {why}")
            return True
        if self._on_violation == "quarantine":
            self._tally.extras_failed(kind, f"quarantined: {why}", bundle.losses)
            return False
        raise _ends(f"the {kind} records break", why)

    def _violations(self, bundle: Bundle, at: At) -> str | None:
        found = self._treatment.violations(bundle, at)
        return summarise(found) if found else None


def _ends(what: str, why: str) -> FatalError:
    return FatalError(f"{what} a rule: {why}; mend the data, or use --on-violation quarantine")
