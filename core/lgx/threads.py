"""What is said about a thread while it travels: reference, mark, end, outcome, loss."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = [
    "Loss",
    "Mark",
    "Origin",
    "ReadOutcome",
    "ThreadEnd",
    "ThreadOrigin",
    "ThreadRef",
    "WriteOutcome",
]


class ThreadRef(Struct, frozen=True, kw_only=True):
    """A thread of a source before it is read.

    Attributes:
        thread_id: any string; only servers insist on UUIDs.
        version: opaque; differs whenever anything about the thread has changed.
        size_hint: bytes that reading it will bring, None where the source cannot tell.
    """

    thread_id: str
    version: str
    size_hint: int | None = None


class Mark(Struct, frozen=True, kw_only=True):
    """What a sink keeps beside a whole thread, to know it again.

    Attributes:
        version: the source's version of the copy.
        fingerprint: digest of everything that shaped the copy (transforms and their
            options, fidelity, the source's identity). Another fingerprint means: read again.
        checkpoints: how many checkpoints the copy holds; for reports, not compared.
    """

    version: str
    fingerprint: str
    checkpoints: int = 0

    def same_copy(self, other: Mark) -> bool:
        """Whether a thread with this mark needs no new copy to get the other."""
        return self.version == other.version and self.fingerprint == other.fingerprint


class Loss(Struct, frozen=True, kw_only=True):
    """Something that is known to exist and did not come.

    Attributes:
        what: one noun phrase, such as `checkpoint 1f1e… of namespace ''`.
        why: one lowercase sentence.
        thread_id: None for what belongs to the deployment.
        checkpoints: how many checkpoints this loss stands for.
        holdable: False where no target of that kind could hold it; such a loss is
            listed, and does not change the exit code.
        left: it could be held, and what stands in its place was left there, as was asked
            for; listed apart, and not holdable either.
    """

    what: str
    why: str
    thread_id: str | None = None
    checkpoints: int = 0
    holdable: bool = True
    left: bool = False


class Origin(Struct, frozen=True, array_like=True):
    """What a checkpoint was called where it came from, and when and by what run it was made."""

    checkpoint_id: str
    created_at: str | None
    run_id: str | None


class ThreadOrigin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a thread was where it came from, of which the target has something of its own.

    Attributes:
        target_id: its id there, where that is another.
        checkpoints: from the oldest to the newest.
    """

    target_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    checkpoints: tuple[Origin, ...] = ()


ReadOutcome: TypeAlias = Literal["complete", "partial", "deleted"]


class ThreadEnd(Struct, frozen=True, kw_only=True):
    """Closes the records of one thread in what a source yields.

    Attributes:
        outcome: `complete`; `partial`: stored, never marked, tried again by the next run;
            `deleted`: the thread went away after it was listed, nothing is stored.
        version: the version that the records belong to; None means the listed one.
        losses: what is known to exist and did not come; a holdable one makes it partial.
    """

    thread_id: str
    outcome: ReadOutcome
    version: str | None = None
    losses: tuple[Loss, ...] = ()


class WriteOutcome(Struct, frozen=True, kw_only=True):
    """What became of one bundle in a sink.

    Attributes:
        error: why the thread does not stand in the target; None where it is durable.
        losses: what the target did not take of it; where one is holdable the thread counts
            as partial, and the sink keeps no mark of it.
        fidelity: how far a target that is rebuilt through its API got; None: as planned.
        written: False where the thread stood there already and was left as it was: because it
            is the same, or because that was asked for, with a loss that says so.
        origin: what it was, where the target gave it ids and times of its own; the report
            keeps it.
        records: of a deployment's own records, how many are there now; None: all but those of
            which a holdable loss tells.
        unchanged: how many of those were there already, and were left as they were; where
            `written` is False all were.
    """

    thread_id: str | None
    error: str | None = None
    losses: tuple[Loss, ...] = ()
    fidelity: str | None = None
    written: bool = True
    origin: ThreadOrigin | None = None
    records: int | None = None
    unchanged: int = 0
