"""Removals that were never answered: such a request may be on its way still, and come late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lgx import ThreadError

__all__ = ["Removals"]

_NAMED = 5


class Removals:
    """Of one run. A server removes whatever has the id by then: nothing in a request says which
    thread is meant, so that all that can be done is to look again."""

    def __init__(self) -> None:
        self._unanswered: set[str] = set()
        self._endangered: set[str] = set()

    def miss(self, thread_id: str) -> None:
        """Called where the removal of a thread of that id was not answered."""
        self._unanswered.add(thread_id)

    def stands(self, thread_id: str) -> None:
        """Called where a thread of that id is whole."""
        if thread_id in self._unanswered:
            self._endangered.add(thread_id)

    @property
    def endangered(self) -> Sequence[str]:
        """The ids of threads that are whole, and that may have been removed since."""
        return sorted(self._endangered)

    def check(self, whole: Iterable[str]) -> None:
        """Called at the end.

        Args:
            whole: which of the endangered ones are so still.

        Raises:
            ThreadError: some are not.
        """
        gone = sorted(self._endangered.difference(whole))
        if gone:
            named = ", ".join(gone[:_NAMED]) + " …" * (len(gone) > _NAMED)
            raise ThreadError(
                f"{len(gone)} of the threads that were written are gone again ({named}): the "
                "removal of what had stood there was not answered, and came late; run again, "
                "which makes them anew"
            )
