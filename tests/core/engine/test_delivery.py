"""Delivery: what becomes of threads that are on their way when the target fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any


async def test_all_memory_comes_back_when_the_target_fails(bench: Any, kit: Any) -> None:
    """Also of threads that wait for a place in the queue at that moment."""
    bench.world.add(*(f"t{number:03}" for number in range(200)))
    crowded = asyncio.Event()

    class Crowding(kit.source):  # type: ignore[misc]  # its class is known at run time only
        world = bench.world

        async def read(self, refs: Any, context: Any) -> AsyncIterator[Any]:
            if refs[0].thread_id == "t036":  # one is written, 32 are queued, others wait
                asyncio.get_running_loop().call_later(0.05, crowded.set)
            async for item in super().read(refs, context):
                yield item

    class Failing(kit.sink):  # type: ignore[misc]
        world = bench.world
        batch_threads = 1

        async def write(self, bundles: Any, context: Any) -> Any:
            await crowded.wait()
            raise kit.fatal("the disk is full")

    bench.parts |= {"source_crowding": Crowding, "sink_memory": Failing}
    spools: list[Any] = []

    with bench.made_spools(spools):
        report = await bench.run("crowding")

    assert report.aborted == "the disk is full"
    assert len(spools) > 34
    assert {spool._budget.used for spool in spools} == {0}
