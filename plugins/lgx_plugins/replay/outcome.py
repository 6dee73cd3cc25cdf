"""What became of a replayed thread."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from lgx import Loss

__all__ = ["Fidelity", "Outcome"]

Fidelity: TypeAlias = Literal["replayed", "values", "latest"]
"""How far a rebuilt thread got: each step with its tasks; the values of each step; the last
state alone."""


class Outcome(Struct, frozen=True, kw_only=True):
    """A thread as it stands on the target after `replay_thread`.

    Attributes:
        fidelity: the rung that it was built by.
        exact: whether nothing differs that a target could hold; False too where nothing
            was read back.
        head: the id of its newest root checkpoint; None for a thread without checkpoints.
        checkpoints: how many root checkpoints it has on the target.
        inserted: which of those, counted from the oldest as 0, stand for none of the
            source; the others stand for the source's root checkpoints in their order.
        losses: what differs (`holdable`) and what no server takes (not `holdable`). What is true
            of all threads of a graph has no thread's id, and is among those of one thread.
        attempts: how often it was written until this came of it.
    """

    fidelity: Fidelity
    exact: bool
    head: str | None
    checkpoints: int
    inserted: tuple[int, ...] = ()
    losses: tuple[Loss, ...] = ()
    attempts: int = 1
