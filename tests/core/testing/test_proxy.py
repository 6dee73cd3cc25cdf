"""The proxy passes on what it is not told to spoil, and spoils what it is told to, once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from lgx.testing import Deployment, FaultProxy, StubServer
from lgx.testing.proxy import CONFLICT, CREATED_WITH_PROBLEM
from lgx.testing.stub import (
    Answer,
    CutBody,
    CutHead,
    Delay,
    Fault,
    Hang,
    Request,
    Reset,
    Response,
    Status,
)


@pytest.fixture
async def stub() -> AsyncIterator[StubServer]:
    async with StubServer(Deployment.sample(threads=3, checkpoints=3, size=1500)) as server:
        yield server


@pytest.fixture
async def proxy(stub: StubServer) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(stub.url) as proxy:
        yield proxy


@pytest.fixture
async def http(proxy: FaultProxy) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=proxy.url, timeout=30) as client:
        yield client


def first(stub: StubServer) -> str:
    """The path of the server's first thread."""
    return f"/threads/{next(iter(stub.deployment)).thread_id}"


async def test_without_rules_it_changes_nothing(
    stub: StubServer, proxy: FaultProxy, http: httpx.AsyncClient
) -> None:
    """Neither what is asked nor what is answered, errors included."""
    came: list[tuple[str, str, bytes, dict[str, str]]] = []

    def note(request: Request) -> None:
        left = {k: v for k, v in request.headers.items() if k not in ("host", "connection")}
        came.append((request.method, request.target, request.body, left))

    stub.on_request = note
    async with httpx.AsyncClient(base_url=stub.url) as direct:
        for method, path, body in (
            ("GET", "/info?a=%2F&b=", None),
            ("POST", "/threads/search", {"limit": 2}),
            ("POST", f"{first(stub)}/history", {"limit": 10}),
            ("GET", "/threads/no-uuid", None),
            ("DELETE", "/nothing/%C3%A9", None),
        ):
            headers = [(b"x-api-key", "é".encode("latin-1"))]
            answers = [
                await client.request(method, path, json=body, headers=headers)
                for client in (direct, http)
            ]
            was, now = [
                (a.status_code, a.content, {k: v for k, v in a.headers.items() if k != "date"})
                for a in answers
            ]
            assert now == was
            assert came[-1] == came[-2]
    assert [passage.name for passage in proxy.log][:2] == ["GET /info", "POST /threads/search"]
    assert [passage.status for passage in proxy.log] == [200, 200, 200, 422, 404]


async def test_large_bodies_pass_both_ways(
    stub: StubServer, proxy: FaultProxy, http: httpx.AsyncClient
) -> None:
    body = bytes(range(256)) * (1 << 17)  # 32 MiB
    stub.on_request = lambda request: Response(request.body, content_type="x/y")
    answer = await http.post("/echo", content=body)
    assert answer.content == body


@pytest.mark.parametrize("passed", [False, True])
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (CREATED_WITH_PROBLEM, 201),
        (CONFLICT, 409),
        (Status(500), 500),
        (Reset(), httpx.TransportError),
        (Hang(), httpx.ReadTimeout),
    ],
    ids=["201", "409", "500", "reset", "hang"],
)
async def test_a_fault_strikes_before_or_after_the_server_did_it(
    fault: Fault,
    seen: int | type[Exception],
    passed: bool,
    stub: StubServer,
    proxy: FaultProxy,
    http: httpx.AsyncClient,
) -> None:
    """The client sees the same; the server has done it, or knows nothing of it."""
    path = first(stub)
    rule = proxy.fail("DELETE /threads/*", fault, passed=passed)
    if isinstance(seen, int):
        answer = await http.delete(path)
        assert answer.status_code == seen
        assert "detail" in answer.json()
    else:
        with pytest.raises(seen):
            await http.delete(path, timeout=0.2 if seen is httpx.ReadTimeout else 30)
    assert rule.struck.is_set()
    assert (await http.get(path)).status_code == (404 if passed else 200)
    assert [(p.status, p.fault) for p in proxy.log] == [
        (204 if passed else None, fault),
        (404 if passed else 200, None),
    ]


@pytest.mark.parametrize("fault", [CutBody(), CutHead(), Reset(after=0.5)], ids=repr)
async def test_an_answer_is_cut_on_its_way(
    fault: Fault, stub: StubServer, proxy: FaultProxy, http: httpx.AsyncClient
) -> None:
    rule = proxy.fail("POST /threads/search", fault, passed=True)
    with pytest.raises(httpx.TransportError):
        await http.post("/threads/search", json={})
    assert stub.requests["search"] == rule.hits == 1


@pytest.mark.parametrize("fault", [CutBody(), Reset(after=0.5), Delay(1)], ids=repr)
def test_a_fault_of_the_answer_needs_one(fault: Fault) -> None:
    with pytest.raises(ValueError, match="add passed=True"):
        FaultProxy("http://127.0.0.1:1").fail("*", fault)


async def test_rules_strike_the_nth_request_as_often_as_they_say(
    proxy: FaultProxy, http: httpx.AsyncClient
) -> None:
    """The first rule that strikes counts; a request that is spared counts as seen."""
    proxy.fail("GET /ok", Status(503), skip=1, times=2)
    proxy.fail(lambda request: request.path == "/ok", Answer(b"4", 200), skip=2, times=None)
    answers = [await http.get("/ok") for _ in range(6)]
    # The second rule is asked where the first one spares: the requests 1, 4, 5 and 6.
    assert [a.status_code if a.content != b"4" else "4" for a in answers] == [
        *(200, 503, 503, 200),
        *("4", "4"),
    ]
    proxy.heal()
    assert (await http.get("/ok")).status_code == 200
    assert [passage.name for passage in proxy.log] == ["GET /ok"]


async def test_what_was_passed_on_is_done_though_the_client_has_gone(
    stub: StubServer, proxy: FaultProxy, http: httpx.AsyncClient
) -> None:
    """As with a server that does not notice; `settled` tells when."""
    path = first(stub)
    came, go_on = asyncio.Event(), asyncio.Event()

    async def wait(request: Request) -> None:
        came.set()
        await go_on.wait()

    stub.on_request = wait
    asked = asyncio.ensure_future(http.delete(path))
    await came.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    go_on.set()
    await proxy.settled()
    assert [passage.status for passage in proxy.log] == [204]
    assert (await http.get(path)).status_code == 404


async def test_a_client_can_be_killed_between_what_it_asked_and_the_answer(
    stub: StubServer, proxy: FaultProxy, http: httpx.AsyncClient
) -> None:
    """`struck` is the moment: the server has done it, and nobody was told."""
    path = first(stub)
    rule = proxy.fail("DELETE /threads/*", Hang(), passed=True)
    program = (
        "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], method='DELETE'));"
        "print('told')"
    )
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, proxy.url + path), stdout=asyncio.subprocess.PIPE
    )
    await rule.struck.wait()
    client.kill()
    told, _ = await client.communicate()
    assert told == b""
    assert (await http.get(path)).status_code == 404


async def test_something_may_happen_on_the_server_in_the_meantime(
    stub: StubServer, proxy: FaultProxy, http: httpx.AsyncClient
) -> None:
    path = first(stub)

    async def first_somebody_else(request: Request) -> None:
        if request.method == "DELETE":
            async with httpx.AsyncClient(base_url=stub.url) as other:
                await other.delete(path)

    proxy.on_request = first_somebody_else
    assert (await http.delete(path)).status_code == 404


async def test_a_server_that_is_gone_breaks_the_connection(
    stub: StubServer, proxy: FaultProxy, http: httpx.AsyncClient
) -> None:
    await stub.stop()
    with pytest.raises(httpx.TransportError):
        await http.get("/ok")
    assert [passage.status for passage in proxy.log] == [None]
