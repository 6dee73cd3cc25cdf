"""Anchored paging: every row of a list that changes while it is read.

The server pages by offset and limit and knows no cursor, so what is inserted or deleted in
front of the offset shifts the rows. A page sorted by an immutable, unique key is one snapshot,
though: if its first key is not beyond the last one known (the *frontier*), it holds every row
between the frontier and its own last key. So each page re-reads a known row, and where the
known row is missing, rows in front were deleted: the offset goes back until one is found.

Rows that are created behind the frontier while the list is read are caught up with afterwards,
in the order of `updated_at` from the newest back to where the listing began.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, TypeAlias

from msgspec import Struct

from lgx import Loss, UsageError, parse_time
from lgx_plugins.cloud.seen import Seen

__all__ = ["Fetch", "Page", "Row", "Sort", "list_rows"]

Sort: TypeAlias = Literal["id", "updated"]
"""By id ascending, or by the time of the last update descending."""

_LIMIT = 1000
_OVERLAP = 8
_SKEW = timedelta(seconds=60)
_ROUNDS = 3
_PASSES = 10
_REPEATS = 3  # identical pages at different offsets, from a server that ignores the offset


class Row(Struct, frozen=True):
    """One thread, without its state."""

    thread_id: str
    updated_at: str | None = None
    status: str | None = None


class Page(Struct, frozen=True):
    """Rows as one answer gave them, and when the server says it gave them."""

    rows: list[Row]
    date: datetime | None = None


Fetch: TypeAlias = Callable[[int, int, Sort], Awaitable[Page]]
"""Offset, limit and sort to a page, which may be shorter than the limit."""

Count: TypeAlias = Callable[[], Awaitable[int | None]]
"""How many rows there are, None where the server does not tell."""


async def list_rows(
    fetch: Fetch,
    count: Count,
    note: Callable[[str], None],
    *,
    limit: int = _LIMIT,
    check_count: bool = True,
) -> AsyncIterator[Row | Loss]:
    """Each row that exists from start to end exactly once, and most of those created meanwhile;
    at the end a loss, where the server counts more rows than it lists.
    """
    seen = Seen()
    try:
        listing = _Listing(fetch, seen, limit)
        async for row in listing.ordered():
            yield row
        if listing.sorted:
            async for row in listing.catch_up(note):
                yield row
        async for found in listing.settle(count, note, check_count=check_count):
            yield found
    finally:
        seen.close()


class _Listing:
    def __init__(self, fetch: Fetch, seen: Seen, limit: int) -> None:
        self._fetch = fetch
        self._seen = seen
        self._limit = limit
        self._begun: datetime | None = None
        self.sorted = True

    def _new(self, rows: list[Row]) -> list[Row]:
        """Those rows that were not met before, each once."""
        fresh = set(self._seen.add_new(row.thread_id for row in rows))
        result = []
        for row in rows:
            if row.thread_id in fresh:
                fresh.discard(row.thread_id)
                result.append(row)
        return result

    # -- by id ------------------------------------------------------------------------

    async def ordered(self) -> AsyncIterator[Row]:
        """One pass by id. Where the server does not sort, it yields nothing more and says so
        in `sorted`; a pass may be repeated.
        """
        frontier = ""
        offset, overlap, step = 0, _OVERLAP, 0
        before: list[Row] = []
        repeats = 0
        while True:
            page = await self._fetch(offset, self._limit, "id")
            rows = page.rows
            if self._begun is None:
                self._begun = _server_time(page)
            repeats = repeats + 1 if len(rows) > 1 and rows == before else 0
            before = rows
            if not _ascending(rows) or repeats == _REPEATS:
                self.sorted = False
                return
            if offset and (not rows or rows[0].thread_id > frontier):
                # Rows in front of us are gone: back to one that is known.
                overlap = min(self._limit // 2, 2 * overlap)
                step = max(overlap, 2 * step)
                offset = max(0, offset - step)
                continue
            step = 0
            beyond = [row for row in rows if row.thread_id > frontier]
            for row in self._new(beyond):
                yield row
            if beyond:
                frontier = beyond[-1].thread_id
                offset = _advance(offset, len(rows), overlap)
            elif len(rows) < 2:
                return  # the last row of all is a known one
            else:
                # Only known rows: the end, or as many were inserted in front of us.
                offset += len(rows) - 1

    # -- what was created meanwhile ----------------------------------------------------

    async def catch_up(self, note: Callable[[str], None]) -> AsyncIterator[Row]:
        """Rows created since the listing began, in rounds until one finds none."""
        since = self._begun
        for _ in range(_ROUNDS):
            found = False
            began: datetime | None = None
            async for page in self._back_to(since):
                began = began or _server_time(page)
                for row in self._new(page.rows):
                    found = True
                    yield row
            if not found:
                return
            since = began or since
        note(
            "threads were still being created when the list ended; those created last may be "
            "missing, the next run takes them"
        )

    async def _back_to(self, since: datetime | None) -> AsyncIterator[Page]:
        """Pages from the latest update back to a minute before a moment."""
        offset, overlap, step = 0, _OVERLAP, 0
        oldest: datetime | None = None
        while True:
            page = await self._fetch(offset, self._limit, "updated")
            if not page.rows and not offset:
                return
            times = [_time(row) for row in page.rows]
            if offset and (not times or (oldest and times[0] and times[0] < oldest)):
                overlap = min(self._limit // 2, 2 * overlap)
                step = max(overlap, 2 * step)
                offset = max(0, offset - step)
                continue
            step = 0
            yield page
            known = [when for when in times if when is not None]
            if not known or (since is not None and min(known) < since - _SKEW):
                return
            reached = known[-1]
            if (oldest is not None and reached >= oldest) or len(page.rows) < 2:
                return  # the end: a page that leads no further back
            oldest = reached
            offset = _advance(offset, len(page.rows), overlap)

    # -- the check --------------------------------------------------------------------

    async def settle(
        self, count: Count, note: Callable[[str], None], *, check_count: bool
    ) -> AsyncIterator[Row | Loss]:
        """Passes over the whole list until the server's count is reached: none, where the
        first was complete. Without a stable order, until two in a row find nothing.
        """
        quiet = 0
        for _ in range(_PASSES):
            total = await count()
            enough = total is None or total <= self._seen.count
            if enough and (self.sorted or quiet >= 2):
                break
            if quiet >= 3:
                break
            found = False
            async for row in self.ordered() if self.sorted else self._unordered():
                found = True
                yield row
            quiet = 0 if found else quiet + 1
        else:
            note(f"the list of threads did not come to rest in {_PASSES} passes; run again later")
        if not self.sorted:
            note(
                "the server does not sort its threads by id; the list was read again and again "
                "until nothing new came"
            )
        if not enough and quiet and check_count:
            assert total is not None
            yield Loss(
                what=f"{total - self._seen.count} threads",
                why=f"the server counts {total} threads and lists {self._seen.count}, also when "
                "asked again; if its count is wrong, pass --no-source-check-count",
            )

    async def _unordered(self) -> AsyncIterator[Row]:
        """One pass over a list of unknown order, with half a page of overlap."""
        offset = 0
        before: list[Row] = []
        while True:
            rows = (await self._fetch(offset, self._limit, "id")).rows
            for row in self._new(rows):
                yield row
            if len(rows) < 2 or rows == before:
                return
            before = rows
            offset += max(1, len(rows) // 2)


def _advance(offset: int, length: int, overlap: int) -> int:
    """The next offset: at least one known row is read again, and at least one new one."""
    return max(0, offset + length - min(overlap, max(1, length - 1)))


def _ascending(rows: list[Row]) -> bool:
    return all(a.thread_id < b.thread_id for a, b in pairwise(rows))


def _time(row: Row) -> datetime | None:
    if row.updated_at is None:
        return None
    try:
        return parse_time(row.updated_at)
    except UsageError:
        return None


def _server_time(page: Page) -> datetime | None:
    """When the server gave a page; by its rows where it does not say, which is earlier."""
    if page.date is not None:
        return page.date
    times = [when for row in page.rows if (when := _time(row)) is not None]
    return max(times, default=None)
