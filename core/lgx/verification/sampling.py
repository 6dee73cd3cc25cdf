"""Sampling: some threads of many, the same ones for the same seed, in whatever order they come."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from heapq import heappush, heappushpop

from lgx.verification.identities import id_bytes

__all__ = ["Sample"]


class Sample:
    """Those threads whose ids, digested with the seed, come first.

    Which these are is known only when all have been seen.
    """

    def __init__(self, size: int, seed: str) -> None:
        self._size = size
        self._seed = seed.encode("utf-8", "surrogatepass")
        self._chosen: list[tuple[int, bytes]] = []  # a heap, the one to go next on top
        self._ids: set[bytes] = set()

    @property
    def ids(self) -> frozenset[bytes]:
        """Those chosen of all that were seen, as bytes."""
        return frozenset(self._ids)

    def see(self, thread_ids: Sequence[str]) -> set[str]:
        """Looks at threads that are listed, before any is read: none is wanted yet."""
        for thread_id in thread_ids:
            self._see(id_bytes(thread_id))
        return set()

    def chosen(self, thread_ids: Sequence[str]) -> set[str]:
        """Those of the sample, once all have been seen."""
        return {thread_id for thread_id in thread_ids if id_bytes(thread_id) in self._ids}

    def candidates(self, thread_ids: Sequence[str]) -> set[str]:
        """Looks at these threads, which can be read now or never; those that may be of the
        sample, which are more: of a hundred thousand for a sample of 100 about eight hundred."""
        self.see(thread_ids)
        return self.chosen(thread_ids)

    def _see(self, own: bytes) -> None:
        if own in self._ids:
            return
        key = blake2b(own, key=blake2b(self._seed).digest(), digest_size=16).digest()
        item = (-int.from_bytes(key, "big"), own)
        if len(self._chosen) < self._size:
            heappush(self._chosen, item)
            self._ids.add(own)
        elif item > self._chosen[0]:
            self._ids.add(own)
            self._ids.discard(heappushpop(self._chosen, item)[1])
