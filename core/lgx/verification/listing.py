"""The listing: what differs, in the order in which it is found, as far as there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from lgx.verification.entries import Entry
from lgx.verification.findings import First
from lgx.verification.report import MOST_DIFFERENCES, Difference, Verification

__all__ = ["Listing", "What"]

What: TypeAlias = Literal["different", "missing", "additional", "doubled", "unread"]


class Listing:
    """Of one verification, of one side or two."""

    def __init__(self, found: Verification, unread: Sequence[Mapping[str, str]]) -> None:
        """`unread`: as of `Comparison`; each is told once."""
        self._found = found
        self._unread = [dict(reasons) for reasons in unread]

    def doubled(self, left: list[Entry], right: list[Entry]) -> bool:
        """Whether one id stands for several threads of a side; that is told here."""
        for entries, side in ((left, "source"), (right, "sink")):
            if len(entries) > 1:
                where = f"in the {side}" if len(self._unread) > 1 else "there"
                words = f"stands {len(entries)} times {where}"
                self.differs(entries[0].thread_id, "doubled", First(words=words))
                return True
        return False

    def untold(self, *thread_ids: str) -> bool:
        """Whether a thread could not be read on a side, where it has that id; that is told
        here."""
        reasons = [
            (number, why)
            for number, (side, own) in enumerate(zip(self._unread, thread_ids, strict=False))
            if (why := side.pop(own, None)) is not None
        ]
        if not reasons:
            return False
        names = ("the source", "the sink")
        places = [f"in {names[n]} ({why})" for n, why in reasons]
        if len(self._unread) == 1:
            places = [f"({why})" for _, why in reasons]
        words = f"could not be read whole {', nor '.join(places)}"
        self.differs(thread_ids[0], "unread", First(words=words))
        return True

    def never_read(self) -> None:
        """Threads of which nothing at all came."""
        for thread_id in sorted({own for side in self._unread for own in side}):
            self._found.threads.unread += 1
            self.untold(*[thread_id] * len(self._unread))

    def differs(
        self,
        thread_id: str | None,
        what: What,
        first: First,
        checkpoints: int = 0,
        fidelity: str | None = None,
    ) -> None:
        if len(self._found.differences) >= MOST_DIFFERENCES:
            self._found.unlisted += 1
            return
        self._found.differences.append(
            Difference(
                thread_id=thread_id,
                what=what,
                first=first.words,
                namespace=first.namespace,
                checkpoint_id=first.checkpoint_id,
                fields=first.fields,
                checkpoints=checkpoints,
                fidelity=fidelity,
            )
        )
