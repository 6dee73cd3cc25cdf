"""What is to become of a thread of which something stands on the target already."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Literal, TypeAlias

from msgspec import Struct

from lgx import Bundle, Checkpoint, FatalError, Loss, ThreadError, WriteOutcome
from lgx_plugins.cloud.restore.jobs import Job
from lgx_plugins.cloud.restore.label import Label
from lgx_plugins.cloud.restore.target import HttpTarget
from lgx_plugins.cloud.restore.threads import Built
from lgx_plugins.replay import Outcome, compare_thread

__all__ = ["Conflict", "Course", "Judge", "Judgement"]

Conflict: TypeAlias = Literal["fail", "skip", "replace"]


class Course(Enum):
    """What is done about it."""

    BUILD = auto()
    """Nothing is there."""

    REPLACE = auto()
    """What is there goes, and the thread is built."""

    ADOPT = auto()
    """The same is there; it is marked as what it is."""

    KEEP = auto()
    """It is there still, and no copy: the source's came from here."""

    LEAVE = auto()
    """Something else is there, and stays."""


class Judgement(Struct, frozen=True):
    """
    Attributes:
        outcome: of the thread as it is found; of `ADOPT` and `KEEP` alone.
        why: what stands there, for a sentence; of `LEAVE`, and of `REPLACE` where that was
            asked for.
    """

    course: Course
    outcome: Outcome | None = None
    why: str = ""


class Judge:
    """Looks at what stands there, and changes nothing."""

    def __init__(self, conflict: Conflict) -> None:
        self._conflict = conflict

    async def judge(self, job: Job, target: HttpTarget) -> Judgement:
        """
        Raises:
            RetryableError, ThreadError: the server does not tell.
        """
        there = job.place.holding
        if there is None:
            return Judgement(Course.BUILD)
        label = there.label
        if label is not None and label.unfinished:
            if await target.used():
                return self._against("half built by a run that was cut short, and in use since")
            return Judgement(Course.REPLACE)  # whoever left it
        why = "with other content"
        newest = await target.newest()
        own = label is None and _is_original(job.bundle, newest)
        if own and job.run.source_name == "cloud":
            raise FatalError(
                f"thread {job.thread_id} has on the target the ids of its checkpoints at "
                f"{job.run.source}: source and target are the same server by two names; name "
                "another with --sink-url"
            )
        if label is not None and there.is_copy(job.bundle.thread_id, job.run):
            same = newest[:1] == [label.head] * (label.head is not None)
            if same and _untouched(label, await target.look()) and not await target.used():
                return Judgement(Course.REPLACE)
            # Not all that may have been done shows in its content: an answer to an interrupt.
            return self._against("as a copy with which somebody has gone on")
        if label is not None and label.source != job.run.source:
            why = (
                f"as a copy of a thread of {label.source}, which is another source (with --merge "
                "this one would get an id of its own, and both would stand there)"
            )
        elif label is not None:
            why = "as a copy of another thread of this source"
            return self._against(why)  # the same content would not make one of two
        found = await self._same(job, target)
        if found is not None:
            return Judgement(Course.KEEP if own else Course.ADOPT, outcome=found)
        return self._against(why)

    def _against(self, why: str) -> Judgement:
        course = Course.REPLACE if self._conflict == "replace" else Course.LEAVE
        return Judgement(course, why=why)

    def left(self, job: Job, judgement: Judgement) -> WriteOutcome:
        """What is said of a thread in whose place another was left."""
        thread_id, why = job.bundle.thread_id, judgement.why
        if self._conflict == "skip":
            loss = Loss(
                what="thread",
                why=f"it stands there {why}, and was left (--sink-on-conflict skip)",
                thread_id=thread_id,
                checkpoints=job.bundle.checkpoints,
                holdable=False,
                left=True,
            )
            return WriteOutcome(thread_id=thread_id, losses=(loss,), written=False)
        if job.bundle.outcome == "partial" and _is_whole(job):
            why = "it was read in part only, and the whole copy that stands there was left"
            return WriteOutcome(thread_id=thread_id, error=why)
        return WriteOutcome(
            thread_id=thread_id,
            error=f"it stands there {why}; --sink-on-conflict replace or skip says what becomes "
            "of it",
        )

    async def _same(self, job: Job, target: HttpTarget) -> Outcome | None:
        """What would be said of the thread there; None where it is not the same."""
        try:
            built = await target.look()
            if not _alike(job, built):
                return None
            outcome = await compare_thread(job.bundle, target)
        except ThreadError:
            return None  # its history is out of reach, or none that an API gives
        return outcome if outcome.exact else None


def _is_whole(job: Job) -> bool:
    """Whether a whole copy of some thread stands there."""
    there = job.place.holding
    return there is not None and there.label is not None and there.label.mark is not None


def _is_original(bundle: Bundle, newest: Sequence[str]) -> bool:
    """Whether these checkpoints are the bundle's own: servers give to copies ids of theirs."""
    wanted = set(newest)
    return bool(wanted) and any(
        isinstance(record, Checkpoint) and record.checkpoint_id in wanted for record in bundle
    )


def _untouched(label: Label, built: Built) -> bool:
    """Whether nobody has changed state or metadata of a copy since it was finished."""
    return label.state_at == built.state_updated_at and label.metadata == built.metadata_digest


def _alike(job: Job, built: Built) -> bool:
    """Whether the record lacks nothing of the source's."""
    return not any(loss.holdable for loss in job.missing(built, exact=True))
