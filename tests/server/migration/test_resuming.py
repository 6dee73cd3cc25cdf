"""What the source's waiting threads would end as: what their copies elsewhere are held against."""

from __future__ import annotations

import asyncio

from .comparison import compare
from .fill import Filled
from .requests import Server
from .resuming import ANSWERS, resume
from .sketch import replay


async def test_waiting_threads_end_and_stay_as_they_were(source: Filled) -> None:
    """All at once: the server takes a run up about once a second."""

    async def one(server: Server, name: str) -> None:
        path = f"/threads/{source.threads[name]}"
        before = [await server.get(path), await server.history(source.threads[name])]
        state = await resume(source.url, source.threads[name], ANSWERS[name])
        assert state["next"] == []
        assert state["values"]["log"][-1] == "closing"
        given = [] if name in ("relay-inside", "relay-gate") else list(ANSWERS[name])
        assert state["values"]["answers"] == given
        assert before == [await server.get(path), await server.history(source.threads[name])]

    async with Server(source.url) as server:
        count = await server.post("/threads/count", {})
        await asyncio.gather(*(one(server, name) for name in ANSWERS))
        assert await server.post("/threads/count", {}) == count


async def test_a_thread_that_was_rebuilt_wrongly_ends_otherwise(
    source: Filled, target: str
) -> None:
    """So that the end can differ: the sketch loses where the thread was to go on."""
    thread_id = source.threads["relay-one"]
    assert await replay(source.url, target, thread_id) == 200
    ours, theirs = await asyncio.gather(
        *(resume(url, thread_id, ANSWERS["relay-one"]) for url in (source.url, target))
    )
    assert ours["values"] != theirs["values"]
    found = await compare(source.url, target, {"one": thread_id})
    assert found["one"].of("waits")
