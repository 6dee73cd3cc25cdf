"""Threads are read to their end before the first byte of them is written."""

from __future__ import annotations

from collections.abc import Iterable

from lgx import Bundle

__all__ = ["whole_blocks"]

_SMALL = 8 << 20


def whole_blocks(bundle: Bundle) -> Iterable[bytes]:
    """The lines of a bundle, many in one piece, that is known to be readable to its end.

    What has begun to stand in a file that only grows cannot be taken out of it again.

    Raises:
        ThreadError: it is not readable.
    """
    if bundle.size <= _SMALL:
        return list(bundle.blocks())
    for _ in bundle.blocks():
        pass
    return bundle.blocks()
