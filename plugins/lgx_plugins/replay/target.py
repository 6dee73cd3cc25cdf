"""What replay asks of a target: one thread, built by updates and read back.

Replay knows no HTTP. Whoever has a server, or a graph in this process, gives it a `Target`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Reversible, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from lgx import Checkpoint, ThreadError

__all__ = ["Edge", "Follower", "RefusedError", "Target", "Topology"]


class RefusedError(ThreadError):
    """The target answered that it does not take an update, and said why.

    Raised by `Target.create`, `go_on` and `branch` where the answer is definite: 400, 404, 422,
    500 (a reducer that raises), or 201 with a `detail` in place of a thread. Updates before
    the refused one may have been applied; replay reads back how far it came, changes its
    method, and begins anew.

    Not for answers that leave open what happened (a lost connection, 502, 504, a timeout),
    nor for what no other body would mend (401, 403, 409, 413, 429): those are other errors,
    which replay lets through; the thread is then the caller's to remove.
    """


class Edge(Struct, frozen=True):
    """One edge of a graph; `conditional` ones are taken by a function's choice."""

    source: str
    target: str
    conditional: bool = False


class Topology(Struct, frozen=True):
    """A graph as `GET /assistants/{id}/graph` draws it; `__start__` and `__end__` included."""

    nodes: frozenset[str]
    edges: tuple[Edge, ...] = ()

    @property
    def choosing(self) -> frozenset[str]:
        """The nodes that a function, or a command of theirs, leads on from."""
        return frozenset(edge.source for edge in self.edges if edge.conditional)


class Target(Protocol):
    """One thread of a target. Its methods are called one at a time, never concurrently.

    Order of calls, per attempt: `create` once; then `go_on`, `branch` and `head` any number of
    times; then `history` at most once, read to its end; then `remove` if another attempt
    follows. Before the first attempt the thread does not exist, or stands without any
    checkpoint. After the last call it is the caller's: to mark as whole, or to remove.

    No method is called twice for the same work: a target retries by itself what it can
    retry safely. Only `create` of a fresh thread may be repeated safely by removing it first.
    """

    body_bytes: int
    """How many bytes of supersteps `create` and `go_on` are given at most, if each fits alone."""

    async def create(self, supersteps: Sequence[bytes]) -> None:
        """Makes the thread (with its id, metadata and label) and applies these supersteps.

        Each is the JSON text of one element of `supersteps` in `POST /threads`:
        `{"updates":[{"values":…,"as_node":…},{"command":…,"as_node":…}]}`. With none of them,
        a thread without checkpoints is made.

        Raises:
            RefusedError: see there.
        """
        ...

    async def go_on(self, supersteps: Sequence[bytes]) -> None:
        """Applies further supersteps to the newest checkpoint. Not idempotent.

        Raises:
            RefusedError: see there.
        """
        ...

    async def branch(self, parent_id: str, update: bytes) -> str:
        """Applies one update to an older checkpoint; the id of the checkpoint it made.

        Args:
            parent_id: an id that `head` or `branch` gave, or that stood in `history`.
            update: `{"values":…,"as_node":…}`, fields of the body of
                `POST /threads/{id}/state`, which lacks only `checkpoint`.

        Raises:
            RefusedError: see there.
        """
        ...

    async def head(self) -> str:
        """The id of the newest checkpoint of the root namespace; there is one."""
        ...

    def history(self) -> AsyncIterator[Checkpoint]:
        """All checkpoints of the root namespace, newest first, as they stand now.

        Read as the source's history is: whole, in pages, and complete or an error.
        """
        ...

    async def remove(self) -> None:
        """Removes the thread with all that was made of it, so that `create` can begin anew."""
        ...

    async def topology(self) -> Topology | None:
        """The nodes and edges of the graph there; None where they cannot be learnt.

        Called seldom: only where a step has updates whose node the source does not tell.
        """
        ...


@runtime_checkable
class Follower(Protocol):
    """A target that can call what it makes as the source did."""

    def follow(self, records: Reversible[Checkpoint], before: int) -> None:
        """Called before each `create`: what is going to be made, one checkpoint after the other.

        Args:
            records: the source's, oldest first; may be read again and again, from either end.
            before: how many checkpoints are made first that stand for none of these.
        """
        ...
