"""Losses of one thread or file, gathered while it is read; a flood of them is summed up."""

from __future__ import annotations

from lgx import Loss

__all__ = ["Losses"]

_MOST = 100


class Losses:
    """The first hundred each, the others in one. `thread_id` may be set later."""

    def __init__(self, thread_id: str | None) -> None:
        self.thread_id = thread_id
        self._losses: list[tuple[str, str, int]] = []
        self._more = 0
        self._more_checkpoints = 0

    def add(self, what: str, why: str, checkpoints: int = 0) -> None:
        if len(self._losses) < _MOST:
            self._losses.append((what, why, checkpoints))
        else:
            self._more += 1
            self._more_checkpoints += checkpoints

    def take(self) -> tuple[Loss, ...]:
        """All so far; empty afterwards."""
        if self._more:
            why = "they failed like those listed before them"
            self._losses.append((f"{self._more} more", why, self._more_checkpoints))
        losses = tuple(
            Loss(what=what, why=why, thread_id=self.thread_id, checkpoints=checkpoints)
            for what, why, checkpoints in self._losses
        )
        self._losses, self._more, self._more_checkpoints = [], 0, 0
        return losses
