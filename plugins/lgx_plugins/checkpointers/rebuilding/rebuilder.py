"""Bundles of states on their way to becoming rows."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec
from msgspec import Struct

from lgx import (
    Bundle,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    Context,
    Loss,
    Mark,
    RawCheckpoint,
    Record,
    Spool,
    Thread,
    ThreadError,
    WriteOutcome,
)
from lgx_plugins.checkpointers.rebuilding.graphs import Graphs, graph_id_of
from lgx_plugins.checkpointers.rebuilding.marking import Marking
from lgx_plugins.checkpointers.rebuilding.options import names_of
from lgx_plugins.checkpointers.rebuilding.thread import Copy, rebuild
from lgx_plugins.replay import Memory

__all__ = ["Rebuilder", "Rebuilt", "RebuiltBundle"]

_KINDS = frozenset({Thread.kind, Checkpoint.kind})
_THREAD = b'{"kind":"thread",'
_ROWS = tuple(
    b'{"kind":"%b",' % kind.kind.encode() for kind in (RawCheckpoint, ChannelBlob, CheckpointWrite)
)
_ONE_IN = 20  # threads are compared, of a sample


class RebuiltBundle(Bundle):
    """Rows that were made here, by the user's graph: no class is named in them that is not its
    own, or LangGraph's."""


class Rebuilt(Struct):
    """What a sink writes, and what is to be said of it.

    Attributes:
        bundles: of rows.
        order: the ids of all threads that came.
        done: what became of those of which there is nothing to be written.
        copies: what is to be said of those that were rebuilt.
    """

    bundles: list[Bundle]
    order: list[str]
    done: dict[str | None, WriteOutcome]
    copies: dict[str | None, Copy]

    def told(self, outcomes: Sequence[WriteOutcome]) -> list[WriteOutcome]:
        """The outcomes of all threads that came; `outcomes`: of those that were written."""
        found = dict(self.done)
        for outcome in outcomes:
            copy = self.copies.get(outcome.thread_id)
            if copy is not None and outcome.error is None:
                left = any(loss.left for loss in outcome.losses)
                outcome = msgspec.structs.replace(
                    outcome,
                    losses=(*outcome.losses, *(() if left else copy.losses)),
                    fidelity=None if left else copy.fidelity,
                    origin=None if left else copy.origin,
                )
            found[outcome.thread_id] = outcome
        return [found[thread_id] for thread_id in self.order]


class Rebuilder:
    """Of one sink: opened when the run begins, closed with the sink."""

    def __init__(self, graphs: tuple[str, ...], compare: str) -> None:
        """
        Raises:
            UsageError: two graphs are for the same threads.
        """
        names = names_of(graphs)
        self._graphs = Graphs(names)
        self._marking = Marking(names, compares_all=compare == "all")
        self._given = bool(graphs)
        self._compare = compare
        self._memory, self._plain = Memory(), Memory()

    @property
    def kinds(self) -> frozenset[str]:
        """What a sink accepts besides rows."""
        return _KINDS if self._given else frozenset()

    def known(self, marks: Mapping[str, Mark]) -> Mapping[str, Mark]:
        """Marks that a sink has kept, as it is to give them: see `marking`."""
        return self._marking.known(marks)

    async def open(self) -> None:
        """
        Raises:
            UsageError: one of the graphs is not there, or none.
            FatalError: one of them raised something.
        """
        await self._graphs.open()

    async def close(self) -> None:
        """May be called again."""
        await self._graphs.close()

    @asynccontextmanager
    async def rows(self, bundles: Sequence[Bundle], context: Context) -> AsyncIterator[Rebuilt]:
        """The same threads as rows, while it is open; those that came as rows as they are."""
        made = Rebuilt([], [bundle.thread_id for bundle in bundles], {}, {})
        if not self._given:
            made.bundles = list(bundles)
            yield made
            return
        spools: list[Spool] = []
        try:
            for bundle in bundles:
                if any(line.startswith(_ROWS) for line in bundle.lines()):
                    made.bundles.append(_Rows(bundle))
                    continue
                spool = context.spool()
                spools.append(spool)
                try:
                    copy = await self._rebuild(bundle, spool, context)
                except ThreadError as error:
                    thread_id = bundle.thread_id
                    made.done[thread_id] = WriteOutcome(thread_id=thread_id, error=str(error))
                    continue
                if copy is None:
                    made.done[bundle.thread_id] = _nothing(bundle)
                    continue
                whole = not any(loss.holdable for loss in copy.losses)
                made.copies[bundle.thread_id] = copy
                made.bundles.append(
                    RebuiltBundle(
                        spool,
                        ref=bundle.ref,
                        mark=self._mark(bundle) if whole else None,
                        outcome=bundle.outcome,
                        losses=bundle.losses,
                    )
                )
            yield made
        finally:
            for spool in spools:
                spool.close()

    async def _rebuild(self, bundle: Bundle, spool: Spool, context: Context) -> Copy | None:
        """None where it has no checkpoints."""
        if not any(isinstance(r, Checkpoint) and not r.checkpoint_ns for r in bundle):
            return None
        graph_id, graph = self._graphs.of(bundle)
        context.note(
            "a checkpointer keeps checkpoints alone: of threads it has no metadata, status, times "
            "and time to live"
        )
        if self._compare != "all":
            context.note(
                "threads were not all compared with their source before they were written "
                f"(--sink-verify {self._compare})"
            )
        memory, plain = self._memory.of(graph_id), self._plain.of(graph_id)
        plain.told = memory.told  # what is true of a graph is told once
        compare = self._compares(bundle)
        return await rebuild(bundle, graph, memory, plain, spool, compare=compare)

    def _mark(self, bundle: Bundle) -> Mark | None:
        graph_id = graph_id_of(bundle)
        return self._marking.of(bundle.mark, graph_id, compared=self._compares(bundle))

    def _compares(self, bundle: Bundle) -> bool:
        if self._compare == "sample":
            return hashlib.sha256(bundle.thread_id.encode()).digest()[0] % _ONE_IN == 0
        return self._compare == "all"


def _nothing(bundle: Bundle) -> WriteOutcome:
    thread_id = bundle.thread_id
    loss = Loss(
        what="thread",
        why="it has no checkpoints, and a checkpointer has no place for anything else of it",
        thread_id=thread_id,
        holdable=False,
    )
    return WriteOutcome(thread_id=thread_id, losses=(loss,), written=False)


class _Rows(Bundle):
    """A thread that came as rows, without the record of the thread itself."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(
            bundle.spool,
            ref=bundle.ref,
            mark=bundle.mark,
            outcome=bundle.outcome,
            losses=bundle.losses,
        )

    def __iter__(self) -> Iterator[Record]:
        return (record for record in super().__iter__() if not isinstance(record, Thread))

    def without(self, kinds: Collection[str]) -> Iterator[Record]:
        return super().without({*kinds, Thread.kind})

    def lines(self) -> Iterator[bytes]:
        return (line for line in super().lines() if not line.startswith(_THREAD))

    def blocks(self) -> Iterator[bytes]:
        return (line + b"\n" for line in self.lines())
