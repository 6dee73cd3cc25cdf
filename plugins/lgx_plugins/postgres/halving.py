"""Writing a batch together where that works, so that one thread fails alone where not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from lgx import Bundle, ThreadError, WriteOutcome

__all__ = ["Store", "by_halves", "transaction_with"]

Store: TypeAlias = Callable[[Sequence[Bundle]], Awaitable[Sequence[WriteOutcome]]]


async def by_halves(bundles: Sequence[Bundle], store: Store) -> Sequence[WriteOutcome]:
    """All together if that works; else by halves.

    Args:
        store: writes bundles of different threads in one transaction, or raises ThreadError and
            leaves nothing of them.

    Returns:
        The outcomes of all, in order; that of a thread which cannot even be stored alone says why.
    """
    if len({bundle.thread_id for bundle in bundles}) == len(bundles):
        try:
            return await store(bundles)
        except ThreadError as error:
            if len(bundles) == 1:
                return [WriteOutcome(thread_id=bundles[0].thread_id, error=str(error))]
    half = len(bundles) // 2
    return [
        *await by_halves(bundles[:half], store),
        *await by_halves(bundles[half:], store),
    ]


def transaction_with(bundles: Sequence[Bundle]) -> str:
    """What a request that stores them is, in words."""
    count = len(bundles)
    return f"transaction with {count} thread{'s' * (count != 1)}"
