"""Paging by offset where rows may shift, and where no order by a key can be had.

Each page re-reads some rows. Where none of a page's first rows is known, rows in front were
deleted, and the offset goes back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from lgx_plugins.cloud.seen import Seen

__all__ = ["shifting_rows"]

T = TypeVar("T")

_OVERLAP = 4
_REPEATS = 3


async def shifting_rows(
    fetch: Callable[[int], Awaitable[list[tuple[str, T]]]],
) -> AsyncIterator[T]:
    """Each row once, by its key. `fetch` gives the rows from an offset on, as many as it likes."""
    seen = Seen()
    try:
        offset, step, repeats = 0, 0, 0
        before: list[str] = []
        while True:
            rows = await fetch(offset)
            keys = [key for key, _ in rows]
            known = [seen.holds(key) for key in keys]
            if offset and not any(known[: _OVERLAP + 1]):
                step = max(2 * _OVERLAP, 2 * step)
                offset = max(0, offset - step)
                continue
            step = 0
            for key, row in rows:
                if seen.add(key):
                    yield row
            repeats = repeats + 1 if keys == before else 0
            before = keys
            if len(rows) < 2 or repeats == _REPEATS:
                return
            overlap = _OVERLAP if not all(known) else 1
            offset += len(rows) - min(overlap, len(rows) - 1)
    finally:
        seen.close()
