"""Records of threads, asked for many at once."""

from __future__ import annotations

import asyncio
from typing import Any

from lgx import Query
from lgx.testing import Deployment, StubServer, make_context


async def test_nobody_who_asks_is_left_waiting(make_source: Any) -> None:
    """Also who asks in the very step in which the last lane finds nothing more to do."""
    deployment = Deployment.sample(threads=60, checkpoints=1, size=100)
    context = make_context()
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        lookup = source._lookup
        refs = [ref async for ref in source.list(Query(), context)]
        ended = 0

        async def ask_for(start: int) -> None:
            nonlocal ended
            for ref in refs[start:] + refs[:start]:
                assert await lookup.record(ref.thread_id, 10, context) is not None
                ended += 1

        async with asyncio.timeout(20):
            await asyncio.gather(*(ask_for(start) for start in range(12)))
        assert ended == 12 * 60


async def test_a_lane_that_has_ended_is_no_lane(make_source: Any) -> None:
    """Between its last step and the loop's notice of its end, others can start one anew."""
    deployment = Deployment.sample(threads=4, checkpoints=1, size=100)
    context = make_context()
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        lookup = source._lookup
        refs = [ref async for ref in source.list(Query(), context)]
        await asyncio.gather(*(lookup.record(ref.thread_id, 10, context) for ref in refs))
        assert lookup._lanes == set()
