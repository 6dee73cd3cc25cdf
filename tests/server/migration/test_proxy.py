"""Between lgx and a real target: what the server did is done, whatever the client was told."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from lgx.testing import FaultProxy
from lgx.testing.proxy import CREATED_WITH_PROBLEM
from lgx.testing.stub import CutBody, Fault, Reset, Status

from .fill import Filled
from .requests import Server
from .sketch import supersteps


async def body_of(source: Filled, name: str) -> dict[str, Any]:
    """What creates this thread."""
    thread_id = source.threads[name]
    async with Server(source.url) as server:
        thread = await server.get(f"/threads/{thread_id}")
        history = (await server.history(thread_id))[::-1]
    return {
        "thread_id": thread_id,
        "metadata": thread["metadata"],
        "supersteps": supersteps(history),
    }


@pytest.mark.parametrize("fault", [CREATED_WITH_PROBLEM, Status(500), Reset(), CutBody()], ids=repr)
async def test_a_thread_stands_though_its_creation_failed(
    fault: Fault, source: Filled, proxy: FaultProxy, target: str
) -> None:
    """And a second try finds it there."""
    body = await body_of(source, "loop-turns")
    rule = proxy.fail("POST /threads", fault, passed=True)
    async with (
        httpx.AsyncClient(base_url=proxy.url, timeout=60) as client,
        Server(target) as server,
    ):
        try:
            answer = await client.post("/threads", json=body)
        except httpx.TransportError:
            assert isinstance(fault, Reset | CutBody)
        else:
            assert answer.status_code in (201, 500)
            assert "thread_id" not in answer.json()
        assert rule.struck.is_set()
        assert len(await server.history(body["thread_id"])) == 15
        assert (await client.post("/threads", json=body)).status_code == 409
    assert [passage.status for passage in proxy.log] == [200, 409]


async def test_a_long_thread_passes(source: Filled, proxy: FaultProxy, target: str) -> None:
    body = await body_of(source, "loop-long")
    async with httpx.AsyncClient(base_url=proxy.url, timeout=60) as client:
        assert (await client.post("/threads", json=body)).status_code == 200
    async with Server(target) as server:
        assert len(await server.history(body["thread_id"])) == len(body["supersteps"])
