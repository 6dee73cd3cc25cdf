"""A thread that is to be built: what it is, and what its copy is to be called and to bear."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
from msgspec import Struct, UnsetType

from lgx import Bundle, Checkpoint, Context, Origin, RunInfo, Thread, ThreadError
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.holdings import Place
from lgx_plugins.cloud.restore.label import Label
from lgx_plugins.cloud.restore.threads import Sent, graph_of, sent_of

__all__ = ["Job", "job_of"]


class Job(Struct, frozen=True):
    """
    Attributes:
        place: where it stands on the target, or is to stand.
        graph_id: the target's; None for a thread without history that names none.
        sent: its metadata, as it is given to the target.
    """

    bundle: Bundle
    run: RunInfo
    thread: Thread | None
    place: Place
    graph_id: str | None
    sent: Sent

    @property
    def thread_id(self) -> str:
        """The target's."""
        return self.place.thread_id

    @property
    def other(self) -> str | None:
        """The source's id, where the target's is another."""
        own = self.bundle.thread_id
        return None if own == self.thread_id else own

    @property
    def building(self) -> Label:
        """The label while it is being built, but for the attempt."""
        return Label(source=self.run.source, thread_id=self.other)

    def finished(self, fidelity: str, head: str | None, *, whole: bool, origins: bool) -> Label:
        """The label once it stands; `whole`: nothing that could be held is missing."""
        mark = self.bundle.mark if whole else None
        return Label(
            version=mark.version if mark else "",
            fingerprint=mark.fingerprint if mark else "",
            checkpoints=mark.checkpoints if mark else 0,
            source=self.run.source,
            fidelity=fidelity,
            head=head,
            thread_id=self.other,
            provenance=tuple(self.origins()) if origins else (),
        )

    def origins(self) -> Iterator[Origin]:
        """Of the root checkpoints, which are those that are built."""
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
    graph_id = graph_of(thread)
    if graph_id is not None:
        graph_id = await graphs.of(graph_id, context)
    elif bundle.checkpoints:
        raise ThreadError("its metadata names no graph, without which no server takes its history")
    return Job(bundle, run, thread, place, graph_id, sent_of(thread, graph_id))
