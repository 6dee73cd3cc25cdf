"""The tally: what became of each thread, counted once, for progress and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from lgx.progress import Progress
from lgx.provenance import Provenance
from lgx.report import Failure, Report, Unmoved
from lgx.spool import Bundle
from lgx.threads import Loss, ThreadRef, WriteOutcome

__all__ = ["Tally"]


class Tally:
    """Every listed thread ends in exactly one of unchanged, written, partial, failed, gone."""

    def __init__(
        self,
        report: Report,
        progress: Progress,
        fidelity: str,
        spool_directory: Path | None = None,
    ) -> None:
        """`fidelity`: what a thread has reached of which its sink says nothing else."""
        self.report = report
        self._fidelity = fidelity
        self._progress = progress
        self._spool_directory = spool_directory
        self._unheld: Counter[str] = Counter()

    def listed(self) -> None:
        self.report.threads.listed += 1
        self._progress.listed += 1

    def unchanged(self, checkpoints: int) -> None:
        self.report.threads.unchanged += 1
        self.report.checkpoints.unchanged += checkpoints
        self.report.checkpoints.listed += checkpoints
        self._progress.unchanged += 1

    def gone(self, checkpoints: int) -> None:
        self.report.threads.gone += 1
        self.report.checkpoints.gone += checkpoints
        self.report.checkpoints.listed += checkpoints
        self._progress.gone += 1

    def failed(self, thread_id: str, why: str, losses: Sequence[Loss], checkpoints: int) -> None:
        """Nothing of the thread arrived; `checkpoints` of it had been read."""
        self.report.threads.failed += 1
        self._progress.failed += 1
        self.report.failures.append(Failure(thread_id=thread_id, what="thread", why=why))
        self.lost(losses, thread_id)
        self.report.checkpoints.failed += checkpoints
        self.report.checkpoints.listed += checkpoints

    def _refused(self, bundle: Bundle, outcome: WriteOutcome) -> None:
        """The sink has not taken a thread. What it says has been lost of it is of the same
        checkpoints, and counted but once; what it could not hold is not counted, as it is not
        of threads that are written."""
        assert outcome.error is not None
        told = sum(loss.checkpoints for loss in outcome.losses)
        losses = (*bundle.losses, *outcome.losses)
        self.failed(bundle.thread_id, outcome.error, losses, max(0, bundle.checkpoints - told))

    def quarantined(self, thread_id: str, why: str, losses: Sequence[Loss], count: int) -> None:
        self.report.quarantined.append(thread_id)
        self.failed(thread_id, why, losses, count)

    def unlisted(self, loss: Loss) -> None:
        """A thread that could not even be listed; without an id, any number of them."""
        if loss.thread_id is None:
            self.lost((loss,), None)
            return
        self.listed()
        self.failed(loss.thread_id, loss.why, (), loss.checkpoints)

    def wrote(self, bundle: Bundle, outcome: WriteOutcome) -> None:
        """The sink has spoken about a thread."""
        thread_id = bundle.thread_id
        self._progress.waiting -= 1
        losses = (*bundle.losses, *outcome.losses)
        if outcome.error is not None:
            self._refused(bundle, outcome)
            return
        if outcome.origin is not None:
            if self.report.provenance is None:
                self.report.provenance = Provenance(self._spool_directory)
            self.report.provenance.add(thread_id, outcome.origin)
        arrived = bundle.checkpoints - sum(loss.checkpoints for loss in outcome.losses)
        missing = any(loss.holdable for loss in losses)
        if bundle.outcome != "complete" and not missing:
            self.report.failures.append(
                Failure(thread_id=thread_id, what="thread", why="it was read in part only")
            )
        if not outcome.written:
            self.unchanged(arrived)
            self.lost(losses, thread_id)
            return
        counts, checkpoints = self.report.threads, self.report.checkpoints
        if bundle.outcome == "complete" and not missing:
            counts.written += 1
            checkpoints.written += arrived
            self._progress.written += 1
        else:
            counts.partial += 1
            checkpoints.partial += arrived
            self._progress.partial += 1
        checkpoints.listed += arrived
        self.lost(losses, thread_id)
        self._arrived(bundle)
        reached = outcome.fidelity or self._fidelity
        self.report.fidelity[reached] = self.report.fidelity.get(reached, 0) + 1

    def wrote_extras(self, kind: str, bundle: Bundle, outcome: WriteOutcome) -> None:
        losses = (*bundle.losses, *outcome.losses)
        if outcome.error is not None:
            self.extras_failed(kind, outcome.error, losses)
            return
        refused = sum(loss.holdable for loss in outcome.losses)
        arrived = max(0, len(bundle) - refused) if outcome.records is None else outcome.records
        self.lost(losses, None)
        self._count_extras(kind, arrived, outcome.unchanged if outcome.written else arrived)
        if outcome.written:
            self._arrived(bundle)

    def _count_extras(self, kind: str, arrived: int, unchanged: int) -> None:
        """Of a stream that brings a kind again, and more of it, what was written before is there
        already: that is not counted as such."""
        new, old = self.report.extras, self.report.extras_unchanged
        before = new.get(kind, 0) + old.get(kind, 0)
        unchanged = old.get(kind, 0) + max(0, unchanged - before)
        if unchanged:
            old[kind] = unchanged
        if arrived > unchanged or not unchanged:
            new[kind] = arrived - unchanged

    def previewed_extras(self, kind: str, bundle: Bundle, outcome: WriteOutcome) -> None:
        """A dry run has found what would become of a kind."""
        losses = (*bundle.losses, *outcome.losses)
        if outcome.error is not None:
            self.extras_failed(kind, outcome.error, losses)
        else:
            self.lost(losses, None)

    def extras_failed(self, kind: str, why: str, losses: Sequence[Loss]) -> None:
        self.report.failures.append(Failure(thread_id=None, what=f"{kind} records", why=why))
        self.lost(losses, None)

    def previewed(self, bundle: Bundle, outcome: WriteOutcome) -> None:
        """A dry run has found what would become of a thread."""
        assert bundle.ref is not None
        losses = (*bundle.losses, *outcome.losses)
        if outcome.error is not None:
            self._refused(bundle, outcome)
        elif outcome.written:
            self.would_move(bundle.ref, losses)
        else:
            self.unchanged(bundle.checkpoints)
            self.lost(losses, bundle.thread_id)

    def would_move(self, ref: ThreadRef, losses: Sequence[Loss] = ()) -> None:
        self.report.would_move.append(
            Unmoved(thread_id=ref.thread_id, version=ref.version, size_hint=ref.size_hint)
        )
        self.lost(losses, ref.thread_id)

    def unheld(self, kinds: Mapping[str, int]) -> None:
        """Records came of kinds that the sink cannot hold."""
        self._unheld.update(kinds)

    def lost(self, losses: Sequence[Loss], thread_id: str | None) -> None:
        """Lists what did not come; `thread_id`: of those that name none themselves."""
        for loss in losses:
            self.report.losses.append(loss)
            if loss.holdable:
                owner = loss.thread_id if loss.thread_id is not None else thread_id
                self.report.failures.append(Failure(thread_id=owner, what=loss.what, why=loss.why))
                self.report.checkpoints.failed += loss.checkpoints
                self.report.checkpoints.listed += loss.checkpoints

    def close(self, sink: str, offered: frozenset[str]) -> None:
        """Lists what no target of that kind holds."""
        for kind in sorted(offered | set(self._unheld)):
            count = self._unheld[kind]
            what = f"{kind} records"
            if count:
                what = f"{count} {kind} record{'' if count == 1 else 's'}"
            self.report.losses.append(
                Loss(what=what, why=f"the {sink} sink has no place for them", holdable=False)
            )

    def _arrived(self, bundle: Bundle) -> None:
        self.report.bytes += bundle.size
        self._progress.bytes += bundle.size
        self._progress.checkpoints += bundle.checkpoints
