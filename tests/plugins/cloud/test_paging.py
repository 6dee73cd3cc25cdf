"""Anchored paging finds every thread that exists from start to end, whatever else happens."""

from __future__ import annotations

import random
import uuid
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from lgx import Loss
from lgx_plugins.cloud.paging import Page, Row, Sort, list_rows

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 40
Mix = tuple[int, int, int]  # updates, inserts, deletes between two pages

MIXES: dict[str, Mix] = {
    "updates": (16, 0, 0),
    "inserts": (2, 12, 0),
    "deletes": (0, 0, 14),
    "mixed": (8, 4, 4),
}


class Server:
    """A list of threads that changes after each page that it gives."""

    def __init__(self, seed: int, mix: Mix, size: int = 400, busy_pages: int = 60) -> None:
        self.random = random.Random(seed)
        self.mix = mix
        self.now = START
        self.ids: list[str] = []
        self.updated: dict[str, datetime] = {}
        self.from_the_start: set[str] = set()
        self.pages = 0
        self.busy_pages = busy_pages
        for _ in range(size):
            self.insert()
        self.from_the_start = set(self.ids)

    def insert(self) -> None:
        thread_id = str(uuid.UUID(int=self.random.getrandbits(128)))
        insort(self.ids, thread_id)
        self.update(thread_id)

    def update(self, thread_id: str) -> None:
        self.now += timedelta(seconds=self.random.random())
        self.updated[thread_id] = self.now

    def delete(self, thread_id: str) -> None:
        del self.ids[bisect_left(self.ids, thread_id)]
        del self.updated[thread_id]

    def change(self) -> None:
        if self.pages > self.busy_pages:
            return
        updates, inserts, deletes = self.mix
        # A sweep deletes neighbours, which shifts most in one place.
        start = self.random.randrange(max(1, len(self.ids)))
        sweep = self.random.random() < 0.5
        for number in range(self.random.randint(0, 2 * deletes)):
            if self.ids:
                place = start if sweep else self.random.randrange(len(self.ids))
                self.delete(self.ids[(place + number * (not sweep)) % len(self.ids)])
        for _ in range(self.random.randint(0, 2 * inserts)):
            self.insert()
        for _ in range(self.random.randint(0, 2 * updates)):
            if self.ids:
                self.update(self.random.choice(self.ids))

    async def fetch(self, offset: int, limit: int, sort: Sort) -> Page:
        ids = self.ids
        if sort == "updated":
            ids = sorted(self.ids, key=lambda i: self.updated[i], reverse=True)
        rows = [Row(i, self.updated[i].isoformat()) for i in ids[offset : offset + limit]]
        self.pages += 1
        date = self.now.replace(microsecond=0)
        self.change()
        return Page(rows, date)

    async def count(self) -> int | None:
        return len(self.ids)


async def anchored(server: Server) -> AsyncIterator[Row]:
    async for item in list_rows(server.fetch, server.count, lambda _: None, limit=LIMIT):
        assert isinstance(item, Row)
        yield item


async def naive(server: Server) -> AsyncIterator[Row]:
    """What everybody writes: the next offset, until a page is short."""
    offset = 0
    while True:
        page = await server.fetch(offset, LIMIT, "id")
        for row in page.rows:
            yield row
        if len(page.rows) < LIMIT:
            return
        offset += LIMIT


async def missed_and_doubled(
    pager: Callable[[Server], AsyncIterator[Row]], server: Server
) -> tuple[int, int]:
    listed = [row.thread_id async for row in pager(server)]
    lasting = server.from_the_start & set(server.ids)
    return len(lasting - set(listed)), len(listed) - len(set(listed))


@pytest.mark.parametrize("mix", MIXES)
async def test_no_lasting_thread_is_missed_or_doubled(mix: str) -> None:
    """In 100 schedules of changes between the pages."""
    for seed in range(100):
        result = await missed_and_doubled(anchored, Server(seed, MIXES[mix]))
        assert result == (0, 0), f"seed {seed}"


@pytest.mark.nightly
@pytest.mark.parametrize("mix", MIXES)
async def test_no_lasting_thread_is_missed_or_doubled_in_a_thousand_schedules(mix: str) -> None:
    """The same, ten times as often."""
    for seed in range(1000):
        result = await missed_and_doubled(anchored, Server(seed, MIXES[mix]))
        assert result == (0, 0), f"seed {seed}"


@pytest.mark.parametrize(("mix", "flaw"), [("deletes", 0), ("mixed", 0), ("inserts", 1)])
async def test_the_schedules_catch_naive_paging(mix: str, flaw: int) -> None:
    """Paging without an anchor misses threads where some are deleted, and doubles them where
    some are inserted: the schedules can tell."""
    results = [await missed_and_doubled(naive, Server(seed, MIXES[mix])) for seed in range(20)]
    assert sum(result[flaw] > 0 for result in results) >= 15


async def test_threads_created_while_listing_are_caught_up_with() -> None:
    """Once the writers rest, everything there is was listed."""
    for seed in range(20):
        server = Server(seed, MIXES["inserts"], busy_pages=8)
        listed = {row.thread_id async for row in anchored(server)}
        assert listed >= set(server.ids), f"seed {seed}"


async def test_a_list_that_never_comes_to_rest_ends_and_says_so() -> None:
    """Threads are created in each look for new ones: all others come, the report tells."""
    server = Server(5, (0, 0, 0))

    async def fetch(offset: int, limit: int, sort: Sort) -> Page:
        if sort == "updated":
            server.insert()
        return await server.fetch(offset, limit, sort)

    notes: list[str] = []
    rows = list_rows(fetch, server.count, notes.append, limit=LIMIT)
    listed = [row.thread_id async for row in rows]
    assert server.from_the_start <= set(listed)
    assert len(listed) == len(set(listed))
    (note,) = notes
    assert "threads were still being created when the list ended" in note


async def test_a_list_at_rest_costs_few_requests_more_than_its_pages() -> None:
    """13 pages of 40 that overlap by 8, the end seen twice, and those of the last minute."""
    server = Server(0, (0, 0, 0))
    assert len([row async for row in anchored(server)]) == 400
    assert server.pages <= 13 + 1 + 6


@pytest.mark.parametrize("size", [0, 1, 2, 39, 40, 41, 80])
async def test_every_size_of_list_is_read_whole(size: int) -> None:
    """Also around the size of a page."""
    server = Server(1, (0, 0, 0), size=size)
    assert [row.thread_id async for row in anchored(server)] == server.ids


async def test_a_sweep_that_deletes_nearly_everything_ends() -> None:
    """The offset goes back in growing steps, and what is left is listed."""
    server = Server(3, (0, 0, 0), size=2000)
    swept = False

    async def fetch(offset: int, limit: int, sort: Sort) -> Page:
        nonlocal swept
        if offset > 1500 and not swept:
            swept = True
            for thread_id in server.ids[:1400]:
                server.delete(thread_id)
        return await server.fetch(offset, limit, sort)

    rows = list_rows(fetch, server.count, lambda _: None, limit=LIMIT)
    listed = [row.thread_id async for row in rows]
    assert set(server.ids) <= set(listed)
    assert len(listed) == len(set(listed))


class Unsorted(Server):
    """A server that sorts by nothing in particular, and differently each time."""

    async def fetch(self, offset: int, limit: int, sort: Sort) -> Page:
        self.pages += 1
        turned = self.ids[len(self.ids) // 3 :] + self.ids[: len(self.ids) // 3]
        return Page([Row(i) for i in turned[offset : offset + limit]])


async def test_a_server_that_does_not_sort_is_read_until_nothing_new_comes() -> None:
    """Each thread once, and a note that says how."""
    server = Unsorted(0, (0, 0, 0))
    notes: list[str] = []
    rows = list_rows(server.fetch, server.count, notes.append, limit=LIMIT)
    listed = [row.thread_id async for row in rows if isinstance(row, Row)]
    assert sorted(listed) == server.ids
    assert len(notes) == 1
    assert "does not sort" in notes[0]


class Deaf(Server):
    """A server that always gives its first page, whatever the offset."""

    async def fetch(self, offset: int, limit: int, sort: Sort) -> Page:
        return await super().fetch(0, limit, sort)


@pytest.mark.timeout(20)
async def test_a_server_that_ignores_the_offset_is_found_out_by_its_count() -> None:
    """The list does not go on for ever, and does not pass for complete."""
    server = Deaf(0, (0, 0, 0))
    rows = list_rows(server.fetch, server.count, lambda _: None, limit=LIMIT)
    items = [item async for item in rows]
    assert isinstance(items[-1], Loss)
    assert "counts 400 threads and lists 40" in items[-1].why


async def test_a_server_that_hides_threads_is_found_out_by_its_count() -> None:
    """Exactly when the count is looked at."""
    server = Server(0, (0, 0, 0), size=50)

    async def fetch(offset: int, limit: int, sort: Sort) -> Page:
        page = await server.fetch(offset, limit, sort)
        return Page([row for row in page.rows if row.thread_id != server.ids[7]], page.date)

    items = [item async for item in list_rows(fetch, server.count, lambda _: None)]
    assert [item.what for item in items if isinstance(item, Loss)] == ["1 threads"]
    rows = list_rows(fetch, server.count, lambda _: None, check_count=False)
    assert len([row async for row in rows]) == 49
