"""What becomes of a thread of which something stands in the target already."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Annotated, Literal, TypeAlias

from msgspec import Struct

from lgx import Bundle, Loss, WriteOutcome, option
from lgx_plugins.checkpointers.rows.marks import Kept

__all__ = ["Course", "Judgement", "OnConflict", "Policy", "judge", "left"]

Policy: TypeAlias = Literal["fail", "skip", "replace"]

OnConflict: TypeAlias = Annotated[
    Policy,
    option(
        "What to do with a thread that stands there with other content, and is no copy that lgx "
        "wrote from this source and nobody has gone on with: fail lists it as failed, skip "
        "leaves it, replace removes it first. A thread that has not changed at the source since "
        "it was copied is looked at only with --full."
    ),
]
"""The option of every sink that writes a checkpointer's tables, `on_conflict`."""


class Course(Enum):
    """What is done about it."""

    WRITE = auto()
    """Nothing is there, or a copy of this source's as lgx left it: it is replaced."""

    ADOPT = auto()
    """The same is there; it is marked as what it is."""

    LEAVE = auto()
    """Something else is there, and stays."""


class Judgement(Struct, frozen=True):
    """`why`: what stands there, for a sentence; of `LEAVE` alone."""

    course: Course
    why: str = ""


_WRITE = Judgement(Course.WRITE)
_ADOPT = Judgement(Course.ADOPT)


def judge(
    policy: Policy,
    source: str,
    *,
    kept: Kept | None,
    standing: str | None,
    coming: Callable[[], str],
) -> Judgement:
    """
    Args:
        source: the run's.
        kept: the mark that stands there.
        standing: the digest of the rows that stand there, None where there are none.
        coming: gives the digest of the rows that would be written; called at most once, and
            only where it matters. What it raises passes through.
    """
    if standing is None:
        return _WRITE
    if kept is not None and kept.source != source:
        return _against(
            policy,
            f"as a copy from {kept.source}; the tables have one place for an id, also with --merge",
        )
    if kept is not None and kept.written == standing:
        return _WRITE
    if coming() == standing:
        return _ADOPT
    if kept is not None:
        return _against(policy, "as a copy that was changed there after lgx wrote it")
    return _against(policy, "with other content, which lgx did not write")


def _against(policy: Policy, why: str) -> Judgement:
    return _WRITE if policy == "replace" else Judgement(Course.LEAVE, why)


def left(policy: Policy, bundle: Bundle, judgement: Judgement) -> WriteOutcome:
    """What is said of a thread in whose place another was left."""
    thread_id, why = bundle.thread_id, judgement.why
    if policy == "skip":
        loss = Loss(
            what="thread",
            why=f"it stands there {why}, and was left (--sink-on-conflict skip)",
            thread_id=thread_id,
            checkpoints=bundle.checkpoints,
            holdable=False,
            left=True,
        )
        return WriteOutcome(thread_id=thread_id, losses=(loss,), written=False)
    return WriteOutcome(
        thread_id=thread_id,
        error=f"it stands there {why}; --sink-on-conflict replace or skip says what becomes of it",
    )
