"""Threads are read to their end before the first byte of them is written."""

from __future__ import annotations

from collections.abc import Iterable

from lgx import Bundle

__all__ = ["whole_lines"]

_SMALL = 8 << 20


def whole_lines(bundle: Bundle) -> Iterable[bytes]:
    """The lines of a bundle that is known to be readable to its end.

    What has begun to stand in a file that only grows cannot be taken out of it again.

    Raises:
        ThreadError: it is not readable.
    """
    if bundle.size <= _SMALL:
        return list(bundle.lines())
    for _ in bundle.lines():
        pass
    return bundle.lines()
