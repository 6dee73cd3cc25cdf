"""A thread on its way into the tables."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lgx import Bundle, Loss
from lgx_plugins.checkpointers.postgres.tables import SAVER_TABLES
from lgx_plugins.checkpointers.rows.marks import Kept, to_keep

__all__ = ["Coming"]

_LISTED = 100  # losses of one thread


class Coming:
    """A thread that is to be written, and what is found out about it on the way."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.rows = dict.fromkeys(SAVER_TABLES, 0)
        self.pathless = 0
        self._losses: list[Loss] = []
        self._more = 0

    def lose(self, losses: Iterable[Loss]) -> None:
        for loss in losses:
            if len(self._losses) < _LISTED:
                self._losses.append(loss)
            else:
                self._more += 1

    def losses(self) -> tuple[Loss, ...]:
        found = [*self._losses]
        thread_id = self.bundle.thread_id
        if self._more:
            why = "they are like those listed before them"
            found.append(
                Loss(what=f"{self._more} more", why=why, thread_id=thread_id, holdable=False)
            )
        if self.pathless:
            found.append(
                Loss(
                    what=f"task_path of {self.pathless} writes",
                    why="the table has no column of that name; run the checkpointer's setup() "
                    "there to add it",
                    thread_id=thread_id,
                )
            )
        return tuple(found)

    def mark(self, source: str, written: str) -> Kept:
        """What is kept of it, once these rows stand there."""
        kept = to_keep(source, self.bundle, written)
        if any(loss.holdable for loss in self.losses()):
            return msgspec.structs.replace(kept, version=None, fingerprint=None)
        return kept
