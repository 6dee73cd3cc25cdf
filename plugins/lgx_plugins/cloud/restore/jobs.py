"""A thread that is to be built: what it is, and what its copy is to be called and to bear."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
from msgspec import Struct, UnsetType

from lgx import (
    Bundle,
    Checkpoint,
    Context,
    Loss,
    Origin,
    RunInfo,
    Thread,
    ThreadError,
    ThreadOrigin,
)
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.holdings import Place
from lgx_plugins.cloud.restore.label import Label
from lgx_plugins.cloud.restore.naming import kept_id
from lgx_plugins.cloud.restore.threads import (
    Built,
    Sent,
    Tip,
    graph_of,
    missing,
    sent_of,
    tip_of,
)
from lgx_plugins.replay import Outcome

__all__ = ["Job", "job_of"]


class Job(Struct, frozen=True):
    """
    Attributes:
        place: where it stands on the target, or is to stand.
        graph_id: the target's; None for a thread without history that names none.
        mapped: the source's graph, where that is another.
        sent: its metadata, as it is given to the target.
        tip: of its history.
    """

    bundle: Bundle
    run: RunInfo
    thread: Thread | None
    place: Place
    graph_id: str | None
    mapped: str | None
    sent: Sent
    tip: Tip

    @property
    def thread_id(self) -> str:
        """The target's."""
        return self.place.thread_id

    @property
    def other(self) -> str | None:
        """The source's id, where the target's is another; as servers keep it."""
        own = self.bundle.thread_id
        return None if own == self.thread_id else kept_id(own)

    @property
    def building(self) -> Label:
        """The label while it is being built, but for the attempt."""
        return Label(
            source=self.run.source,
            here=self.thread_id,
            thread_id=self.other,
            graph_id=self.mapped,
        )

    def finished(
        self,
        outcome: Outcome,
        built: Built,
        *,
        whole: bool,
        compared: bool,
        origin: ThreadOrigin | None,
    ) -> Label:
        """The label once it stands.

        Args:
            built: it as it stands.
            whole: nothing that could be held is missing, as far as is known.
            compared: whether that is known.
            origin: what it was, where that is to be kept there.
        """
        mark = self.bundle.mark if whole else None
        return Label(
            version=mark.version if mark else "",
            fingerprint=mark.fingerprint if mark else "",
            checkpoints=outcome.checkpoints - len(outcome.inserted) if mark else 0,
            source=self.run.source,
            fidelity=outcome.fidelity,
            head=outcome.head,
            state_at=built.state_updated_at,
            metadata=built.metadata_digest,
            compared=compared,
            here=self.thread_id,
            thread_id=self.other,
            graph_id=self.mapped,
            provenance=origin,
        )

    def missing(self, built: Built, *, exact: bool) -> list[Loss]:
        """What the target's record lacks; see `threads.missing`."""
        return missing(
            self.bundle.thread_id,
            self.thread,
            self.sent,
            built,
            self.tip,
            bare=not (self.tip.there or self.bundle.losses),
            exact=exact,
        )

    def origin(self) -> ThreadOrigin:
        """What it was where it came from, with the root checkpoints, which are those built."""
        thread = self.thread
        return ThreadOrigin(
            target_id=self.thread_id if self.other is not None else None,
            created_at=thread.created_at if thread is not None else None,
            updated_at=thread.updated_at if thread is not None else None,
            checkpoints=tuple(self._checkpoints()),
        )

    def _checkpoints(self) -> Iterator[Origin]:
        for record in self.bundle:
            if isinstance(record, Checkpoint) and record.checkpoint_ns == "":
                made = _Metadata()
                if not isinstance(record.metadata, UnsetType):
                    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                        made = _metadata.decode(record.metadata)
                yield Origin(record.checkpoint_id, record.created_at, made.run_id)


class _Metadata(Struct):
    run_id: str | None = None


_metadata = msgspec.json.Decoder(_Metadata)


async def job_of(
    bundle: Bundle, place: Place, graphs: Graphs, run: RunInfo, context: Context
) -> Job:
    """
    Raises:
        ThreadError: the thread cannot be built on this target.
        RetryableError: the server does not answer.
    """
    thread = next((record for record in bundle if isinstance(record, Thread)), None)
    own = graph_id = graph_of(thread) or (graphs.default if bundle.checkpoints else None)
    if own is not None:
        graph_id = await graphs.of(own, context)
    elif bundle.checkpoints:
        raise ThreadError(
            "its metadata names no graph, without which no server takes its history; name one of "
            "the target's with --sink-graph-id"
        )
    mapped = own if own != graph_id else None
    sent, tip = sent_of(thread, graph_id), tip_of(_newest(bundle))
    return Job(bundle, run, thread, place, graph_id, mapped, sent, tip)


def _newest(bundle: Bundle) -> Checkpoint | None:
    for record in reversed(bundle.spool):
        if isinstance(record, Checkpoint) and record.checkpoint_ns == "":
            return record
    return None
