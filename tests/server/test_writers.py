"""While others write, no thread that exists from start to end is missed or doubled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from lgx import run_async, use
from lgx_plugins.demo.server import RealServer

from .lines import read_lines

STAYING = 300
LEAVING = 200


class Writers:
    """Three of them, who create, update and delete threads until they are told to stop."""

    def __init__(self, client: httpx.AsyncClient, seed: int) -> None:
        self.client = client
        self.random = random.Random(seed)
        self.staying: list[str] = []
        self.leaving: list[str] = []
        self.done: Counter[str] = Counter()

    async def prepare(self) -> None:
        """Makes the threads, mixed with one another, a few with checkpoints."""
        kinds = [self.staying] * STAYING + [self.leaving] * LEAVING
        self.random.shuffle(kinds)
        for begin in range(0, len(kinds), 20):
            batch = kinds[begin : begin + 20]
            made = await asyncio.gather(*(self._make() for _ in batch))
            for kind, thread_id in zip(batch, made, strict=True):
                kind.append(thread_id)

    async def _make(self) -> str:
        values = [("__input__", {"rounds": 0}), ("__start__", {"rounds": 0})]
        supersteps = [{"updates": [{"values": v, "as_node": n}]} for n, v in values]
        body = {"metadata": {"graph_id": "loop"}, "supersteps": supersteps}
        answer = await self.client.post("/threads", json=body)
        answer.raise_for_status()
        return str(answer.json()["thread_id"])

    async def create(self) -> None:
        await self._make()
        self.done["created"] += 1

    async def update(self) -> None:
        thread_id = self.random.choice(self.staying)
        body = {"metadata": {"touched": self.random.random()}}
        (await self.client.patch(f"/threads/{thread_id}", json=body)).raise_for_status()
        self.done["updated"] += 1

    async def delete(self) -> None:
        if self.leaving:
            thread_id = self.leaving.pop(self.random.randrange(len(self.leaving)))
            (await self.client.delete(f"/threads/{thread_id}")).raise_for_status()
            self.done["deleted"] += 1
        else:
            await asyncio.sleep(0.01)

    async def work_until(self, stop: asyncio.Event) -> None:
        async def repeat(act: Callable[[], Awaitable[None]]) -> None:
            while not stop.is_set():
                await act()

        await asyncio.gather(*(repeat(act) for act in (self.create, self.update, self.delete)))


async def export_among_writers(url: str, path: Path, seed: int) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        writers = Writers(client, seed)
        await writers.prepare()
        stop = asyncio.Event()
        busy = asyncio.create_task(writers.work_until(stop))
        try:
            report = await run_async(
                use("cloud", url=url), use("ndjson", path=str(path)), concurrency=4
            )
        finally:
            stop.set()
            await busy
        assert report.exit_code in (0, 3), report.aborted
        assert min(writers.done[what] for what in ("created", "updated", "deleted")) > 10
        lines = read_lines(path)  # which refuses a thread that came twice
        assert set(writers.staying) <= set(lines.threads)
        assert {len(lines.states[thread_id]) for thread_id in writers.staying} == {2}
        # What is listed as missing is what was deleted or changed meanwhile.
        assert {f.thread_id for f in report.failures}.isdisjoint(writers.staying)


async def test_an_export_among_three_writers_has_every_thread_that_stays(
    own_server: RealServer, tmp_path: Path
) -> None:
    """Threads are created, updated and deleted from before the listing to after the end."""
    await export_among_writers(own_server.url, tmp_path / "out.ndjson", seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(20))
async def test_exports_among_writers_again_and_again(
    own_server: RealServer, tmp_path: Path, seed: int
) -> None:
    """As above, in twenty orders of events."""
    await export_among_writers(own_server.url, tmp_path / "out.ndjson", seed)
