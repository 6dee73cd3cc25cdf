"""Each fault does to an answer what it is named after, as a real client sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import httpx
import pytest

from lgx.testing import Deployment, StubServer, fault_catalogue
from lgx.testing.stub import Delay, Request, Status


@pytest.fixture
async def stub() -> AsyncIterator[StubServer]:
    async with StubServer(Deployment.sample(threads=1, checkpoints=3, size=1500)) as server:
        yield server


@pytest.fixture
async def http(stub: StubServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stub.url, timeout=30) as client:
        yield client


async def ask(stub: StubServer, http: httpx.AsyncClient, *, patience: float = 30) -> httpx.Response:
    (thread,) = stub.deployment
    path = f"/threads/{thread.thread_id}/history"
    return await http.post(path, json={"limit": 10}, timeout=patience)


SEEN: dict[str, object] = {
    "429": 429,
    "429-retry-after": 429,
    "429-retry-after-date": 429,
    "408": 408,
    "425": 425,
    "500": 500,
    "502": 502,
    "503": 503,
    "503-retry-after": 503,
    "504": 504,
    "reset": httpx.ReadError,
    "reset-in-body": httpx.ReadError,
    "cut-head": httpx.RemoteProtocolError,
    "hang": httpx.ReadTimeout,
    "drip": httpx.ReadTimeout,
    "cut-body": httpx.RemoteProtocolError,
    "cut-chunked": httpx.RemoteProtocolError,
    "cut-undelimited": "no json",
    "cut-gzip": "no json",
    "bad-gzip": httpx.DecodingError,
    "empty-200": b"",
    "204": 204,
    "302-login": 302,
    "html-200": "no json",
    "null": b"null",
    "object": b"{}",
    "detail-200": b'{"detail":"something went wrong"}',
    "nan": b"[NaN]",
    "bom": "no json",
}


def test_the_catalogue_is_complete() -> None:
    assert set(SEEN) == set(fault_catalogue())


@pytest.mark.parametrize("name", SEEN)
async def test_a_fault_looks_as_it_should(
    name: str, stub: StubServer, http: httpx.AsyncClient
) -> None:
    """Once; the next request is answered as ever."""
    healthy = await ask(stub, http)
    rule = stub.fail("history", name, times=1)
    seen = SEEN[name]
    if isinstance(seen, type):
        patience = 0.2 if seen is httpx.ReadTimeout else 30
        with pytest.raises(httpx.TransportError if seen is httpx.ReadError else seen):
            await ask(stub, http, patience=patience)
    else:
        answer = await ask(stub, http)
        if isinstance(seen, int):
            assert answer.status_code == seen
        elif isinstance(seen, bytes):
            assert (answer.status_code, answer.content) == (200, seen)
        else:
            assert answer.status_code == 200
            with pytest.raises(ValueError):
                json.loads(answer.content.decode())
    assert rule.hits == 1
    assert (await ask(stub, http)).content == healthy.content


async def test_retry_after_comes_in_both_forms(stub: StubServer, http: httpx.AsyncClient) -> None:
    """As seconds, and as a date; a status alone has none."""
    stub.fail("history", Status(429), times=1)
    stub.fail("history", Status(429, retry_after=7), times=1)
    stub.fail("history", Status(503, retry_after=7, as_date=True), times=1)
    said = [(await ask(stub, http)).headers.get("retry-after") for _ in range(3)]
    assert said[:2] == [None, "7"]
    assert said[2] is not None
    assert parsedate_to_datetime(said[2]).tzinfo is not None


async def test_a_delay_gives_the_right_answer_later(
    stub: StubServer, http: httpx.AsyncClient
) -> None:
    healthy = await ask(stub, http)
    stub.fail("history", Delay(0.05), times=1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await ask(stub, http)).content == healthy.content
    assert loop.time() - began >= 0.05


async def test_a_fault_strikes_what_it_matches(stub: StubServer, http: httpx.AsyncClient) -> None:
    """By endpoint, by pattern, by function; after so many, so often."""
    stub.fail("count", "500", times=1)
    stub.fail("POST /threads/*/history", "502", times=1)
    stub.fail(lambda request: "x-me" in request.headers, "503")
    assert (await http.post("/threads/search", json={})).status_code == 200
    assert (await http.post("/threads/count", json={})).status_code == 500
    assert (await http.post("/threads/count", json={})).status_code == 200
    assert (await ask(stub, http)).status_code == 502
    assert (await http.get("/ok", headers={"x-me": "1"})).status_code == 503
    stub.heal()
    stub.fail("*", "504", skip=2, times=1)
    assert [(await http.get("/ok")).status_code for _ in range(4)] == [200, 200, 504, 200]


async def test_chance_follows_the_seed(stub: StubServer, http: httpx.AsyncClient) -> None:
    """The same seed hits the same requests, about as many as it should."""

    async def hits(seed: int) -> list[int]:
        stub.heal()
        stub.fail("ok", "503", probability=0.3, seed=seed)
        return [(await http.get("/ok")).status_code for _ in range(200)]

    first = await hits(1)
    assert first == await hits(1) != await hits(2)
    assert 30 <= first.count(503) <= 90


async def test_a_hook_may_answer_itself(stub: StubServer, http: httpx.AsyncClient) -> None:
    """What it returns is sent in place of the answer."""
    from lgx.testing.stub import Response, problem

    def hook(request: Request) -> Response | None:
        return problem(418, "a teapot") if request.endpoint == "ok" else None

    stub.on_request = hook
    assert (await http.get("/ok")).json() == {"detail": "a teapot"}
    assert (await http.get("/info")).status_code == 200
