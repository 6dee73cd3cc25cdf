"""Losses of one thread or file, gathered while it is read; a flood of them is summed up."""

from __future__ import annotations

from lgx import Loss

__all__ = ["Losses"]

_MOST = 100


class Losses:
    """The first hundred each, the others in one."""

    def __init__(self, thread_id: str | None) -> None:
        self._thread_id = thread_id
        self._losses: list[Loss] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._losses)

    def add(self, what: str, why: str, checkpoints: int = 0) -> None:
        if len(self._losses) >= _MOST:
            self._more += 1
            return
        self._losses.append(
            Loss(what=what, why=why, thread_id=self._thread_id, checkpoints=checkpoints)
        )

    def take(self) -> tuple[Loss, ...]:
        """All so far; empty afterwards."""
        losses, self._losses = self._losses, []
        more, self._more = self._more, 0
        if more:
            why = "they failed like those listed before them"
            losses.append(Loss(what=f"{more} more", why=why, thread_id=self._thread_id))
        return tuple(losses)
