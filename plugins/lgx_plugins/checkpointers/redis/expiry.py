"""Documents of a thread that Redis removes by itself when their time has come."""

from __future__ import annotations

import time

from msgspec import Struct

from lgx_plugins.checkpointers.redis.fields import add_document
from lgx_plugins.checkpointers.rows.digests import RowDigest

__all__ = ["Expired", "Expiry", "is_lessened"]

_MOST = 5000
"""So many moments a mark remembers; of threads with more it remembers none."""

_MODULUS = 1 << 64


class Expired(Struct, frozen=True, array_like=True):
    """What is less of a thread from a moment on.

    Attributes:
        at: in milliseconds of Unix time.
        rows: how many documents.
        digest: what they add to the last 64 bits of the thread's digest.
    """

    at: int
    rows: int
    digest: int


class Expiry:
    """Of one thread on its way.

    Attributes:
        late: how many documents had expired already: Redis would remove them at once.
    """

    def __init__(self) -> None:
        self.late = 0
        self._now = time.time() * 1000
        self._sums: dict[int, tuple[int, int]] = {}

    def takes(self, key: bytes, text: bytes, at: int) -> bool:
        """Whether a document will stand there for a while.

        Raises:
            ThreadError: it is no JSON.
        """
        if at <= self._now:
            self.late += 1
            return False
        if len(self._sums) <= _MOST:
            digest = RowDigest()
            add_document(digest, key, text)
            rows, total = self._sums.get(at, (0, 0))
            self._sums[at] = rows + 1, (total + _parsed(digest.text())[1]) % _MODULUS
        return True

    def to_come(self) -> tuple[Expired, ...]:
        """What will go, in its order."""
        if len(self._sums) > _MOST:
            return ()
        return tuple(Expired(at, *self._sums[at]) for at in sorted(self._sums))


def is_lessened(written: str, expiring: tuple[Expired, ...], standing: str) -> bool:
    """Whether what stands there is what was written but for what expired first.

    Args:
        written, standing: digests.
    """
    rows, total = _parsed(written)
    wanted = _parsed(standing)
    for one in expiring:
        rows, total = rows - one.rows, (total - one.digest) % _MODULUS
        if (rows, total) == wanted:
            return True
    return False


def _parsed(digest: str) -> tuple[int, int]:
    rows, _, total = digest.partition("-")
    return int(rows), int(total, 16) % _MODULUS
