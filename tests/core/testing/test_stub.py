"""The stub server answers as the real one does: the limits, the quirks, the words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from lgx.testing import Deployment, Quirks, StubProcess, StubServer
from lgx.testing.stub import Request

ABSENT = "11111111-1111-4111-8111-111111111111"


class Client:
    """Plain requests to a stub."""

    def __init__(self, stub: StubServer) -> None:
        self.http = httpx.AsyncClient(base_url=stub.url, timeout=10)

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        return await self.http.post(path, json={} if body is None else body)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def history(self, thread_id: str, **body: Any) -> Any:
        answer = await self.post(f"/threads/{thread_id}/history", body)
        return answer.raise_for_status().json()


@pytest.fixture
async def stub() -> AsyncIterator[StubServer]:
    sample = Deployment.sample(threads=7, checkpoints=(5, 0, 1203), size=1500, extras=True)
    async with StubServer(sample) as server:
        yield server


@pytest.fixture
async def client(stub: StubServer) -> AsyncIterator[Client]:
    client = Client(stub)
    yield client
    await client.http.aclose()


def threads(stub: StubServer) -> list[str]:
    return list(stub.deployment.threads)


# -- threads -------------------------------------------------------------------------


async def test_a_thread_has_the_servers_fields_in_its_order(
    stub: StubServer, client: Client
) -> None:
    """A thread that has run has all ten, one that has not has no error and no interrupts."""
    ran, fresh = threads(stub)[:2]
    assert [*(await client.get(f"/threads/{ran}")).json()] == [
        "thread_id",
        "created_at",
        "updated_at",
        "state_updated_at",
        "metadata",
        "status",
        "config",
        "values",
        "error",
        "interrupts",
    ]
    assert [*(await client.get(f"/threads/{fresh}")).json()][-2:] == ["config", "values"]


async def test_a_search_gives_the_newest_ten_by_default(stub: StubServer, client: Client) -> None:
    """In the order of `updated_at`, descending, with the server's pagination headers."""
    for _ in range(5):
        stub.deployment.add_thread()
    answer = await client.post("/threads/search")
    times = [row["updated_at"] for row in answer.json()]
    assert times == sorted(times, reverse=True)
    assert len(times) == 10
    assert answer.headers["x-pagination-next"] == "10"
    assert answer.headers["x-pagination-total"] == "11"  # which is no total
    rest = await client.post("/threads/search", {"offset": 10})
    assert len(rest.json()) == 2
    assert "x-pagination-next" not in rest.headers
    assert rest.headers["x-pagination-total"] == "12"


async def test_a_search_sorts_selects_and_filters(stub: StubServer, client: Client) -> None:
    """By each sortable field, in both directions; ids, metadata and status hold at once."""
    for field in ("thread_id", "created_at", "updated_at", "state_updated_at"):
        for order in ("asc", "desc"):
            body = {
                "sort_by": field,
                "sort_order": order,
                "select": ["thread_id", field],
                "limit": 9,
            }
            rows = (await client.post("/threads/search", body)).json()
            assert all(set(row) == {"thread_id", field} for row in rows)
            values = [row[field] for row in rows]
            assert values == sorted(values, reverse=order == "desc")
    first, second = threads(stub)[:2]
    stub.deployment.threads[second].update(status="busy")
    both: dict[str, Any] = {
        "ids": [first, second],
        "metadata": {"user": {"number": 1}},
        "status": "busy",
    }
    assert [row["thread_id"] for row in (await client.post("/threads/search", both)).json()] == [
        second
    ]
    assert (await client.post("/threads/count", {"status": "busy"})).text == "1"
    assert (await client.post("/threads/count")).text == "7"


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("/threads/search", {"limit": 1001}, 422, "1001 is greater than the maximum of 1000"),
        ("/threads/search", {"limit": 0}, 422, "0 is less than the minimum of 1"),
        ("/threads/search", {"offset": -1}, 422, "-1 is less than the minimum of 0"),
        ("/threads/search", {"sort_by": "x"}, 422, '"x" is not one of "thread_id", "status" or 3'),
        (
            "/threads/search",
            {"select": ["x"]},
            422,
            '"x" is not one of "thread_id", "created_at" or 7',
        ),
        ("/threads/search", {"ids": ["x"]}, 400, "Invalid thread ID x"),
        ("/threads/x/history", {}, 422, "Invalid thread ID: must be a UUID"),
        (f"/threads/{ABSENT}/history", {}, 404, f"Thread with ID {ABSENT} not found"),
        (f"/threads/{ABSENT}/history", {"limit": 1001}, 422, "1001 is greater than the maximum"),
        (f"/threads/{ABSENT}/history", {"before": "x"}, 422, '"x" is not of type "object"'),
        (
            f"/threads/{ABSENT}/history",
            {"checkpoint": {"checkpoint_id": None}},
            422,
            'null is not of type "string"',
        ),
        (f"/threads/{ABSENT}/state/bulk", {}, 405, "Method Not Allowed"),
        (f"/assistants/{ABSENT}/versions", {}, 404, f"Assistant {ABSENT} not found"),
        ("/nothing", {}, 404, "Not Found"),
    ],
)
async def test_what_the_server_refuses_is_refused_in_its_words(
    path: str, body: dict[str, Any], status: int, detail: str, client: Client
) -> None:
    answer = await client.post(path, body)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)


async def test_a_body_that_is_not_json_is_refused(client: Client) -> None:
    answer = await client.http.post("/threads/search", content=b"{bad")
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid JSON in request body"})


# -- histories -----------------------------------------------------------------------


async def test_a_history_is_newest_first_and_one_state_by_default(
    stub: StubServer, client: Client
) -> None:
    """Up to a thousand at once; each has its parent, the first has none."""
    long = threads(stub)[2]
    assert [state["metadata"]["step"] for state in await client.history(long)] == [1201]
    first = await client.history(long, limit=1000)
    cursor = {"configurable": {"checkpoint_id": first[-1]["checkpoint_id"]}}
    states = first + await client.history(long, limit=1000, before=cursor)
    assert [state["metadata"]["step"] for state in states] == [*range(1201, -2, -1)]
    ids = [state["checkpoint"]["checkpoint_id"] for state in states]
    assert ids == sorted(ids, reverse=True)
    parents = [state["parent_checkpoint_id"] for state in states]
    assert parents == [*ids[1:], None]


async def test_only_two_cursors_work(stub: StubServer, client: Client) -> None:
    """`{"configurable": …}` in a POST and the id in a GET; what is documented breaks."""
    thread_id = threads(stub)[0]
    ids = [state["checkpoint_id"] for state in await client.history(thread_id, limit=10)]
    path = f"/threads/{thread_id}/history"
    answer = await client.get(f"{path}?limit=10&before={ids[1]}")
    assert [state["checkpoint_id"] for state in answer.json()] == ids[2:]
    answer = await client.post(path, {"before": {"checkpoint_id": ids[1]}})
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    both = {"checkpoint_id": ids[1], "configurable": {"checkpoint_id": ids[1]}}
    assert [
        s["checkpoint_id"] for s in await client.history(thread_id, limit=9, before=both)
    ] == ids[2:]
    assert (await client.get(f"{path}?limit=5000")).json() == await client.history(
        thread_id, limit=9
    )
    assert (await client.get(f"{path}?limit=-1")).json() == []
    assert (await client.get(f"{path}?limit=x")).json() == {"detail": "Invalid limit x"}


async def test_a_history_can_be_asked_by_step_and_by_id(stub: StubServer, client: Client) -> None:
    long = threads(stub)[2]
    (state,) = await client.history(long, limit=10, metadata={"step": 700})
    assert state["metadata"]["step"] == 700
    place = {"checkpoint_id": state["checkpoint_id"]}
    assert await client.history(long, limit=10, checkpoint=place) == [state]
    assert len(await client.history(long, limit=10, metadata={"source": "input"})) == 1
    assert await client.history(long, limit=10, metadata={"step": 7000}) == []


async def test_a_graph_that_is_unknown_or_gone_has_no_history(
    stub: StubServer, client: Client
) -> None:
    """Without a graph id: none. With one that is not deployed: 404, though the thread is there."""
    bare = stub.deployment.add_thread(graph_id=None)
    bare.add_checkpoint({"n": 1})
    gone = stub.deployment.add_thread(graph_id="gone")
    assert await client.history(bare.thread_id) == []
    answer = await client.post(f"/threads/{gone.thread_id}/history")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "Graph 'gone' not found. Expected one of: ['agent']"}
    assert (await client.get(f"/threads/{gone.thread_id}")).status_code == 200


async def test_namespaces_are_walked_from_the_tasks() -> None:
    """A state names its subgraph's namespace; asking for it brings that one alone, with the
    map of where it hangs; another name may stand for it."""
    async with StubServer(Deployment.sample(threads=1, checkpoints=4, subgraphs=3)) as stub:
        client = Client(stub)
        (thread,) = stub.deployment
        seen = {}
        pending = [""]
        while pending:
            namespace = pending.pop()
            place = {"checkpoint_ns": namespace} if namespace else {}
            seen[namespace] = await client.history(thread.thread_id, limit=99, checkpoint=place)
            pending += [
                task["checkpoint"]["checkpoint_ns"]
                for state in seen[namespace]
                for task in state["tasks"]
                if task["checkpoint"]
            ]
        assert [len(states) for states in seen.values()] == [4, 3, 3]
        assert all(
            state["checkpoint"]["checkpoint_ns"] == namespace
            and (state["checkpoint"].get("checkpoint_map") is not None) == bool(namespace)
            for namespace, states in seen.items()
            for state in states
        )
        storage = (await client.get(f"/threads/{thread.thread_id}/storage")).json()
        assert storage["checkpoints"]["count"] == 10
        deepest = max(seen, key=len)
        thread.alias_namespace("inner", deepest)
        inner = await client.history(
            thread.thread_id, limit=9, checkpoint={"checkpoint_ns": "inner"}
        )
        assert inner == seen[deepest]
        await client.http.aclose()


async def test_a_poisoned_step_breaks_every_page_that_holds_it(
    stub: StubServer, client: Client
) -> None:
    """500 for ever, and the connection ends; pages around it and single steps still come."""
    thread_id = threads(stub)[0]
    stub.deployment.threads[thread_id].poison(1)
    path = f"/threads/{thread_id}/history"
    for _ in range(3):
        assert (await client.post(path, {"limit": 10})).status_code == 500
    assert len(await client.history(thread_id, limit=2)) == 2
    assert (await client.post(path, {"limit": 1, "metadata": {"step": 1}})).status_code == 500
    assert len(await client.history(thread_id, metadata={"step": 0})) == 1
    assert (await client.post("/threads/search", {"ids": [thread_id]})).json()[0][
        "status"
    ] == "idle"


async def test_given_states_are_served_byte_by_byte(stub: StubServer, client: Client) -> None:
    """A test may give any JSON text; changing a state in place changes the thread's time."""
    thread = stub.deployment.add_thread()
    text = b'{"n":18446744073709551616,"x":1E+2,"d":0.1000000000000000055,"k":1,"k":2}'
    state = thread.add_checkpoint(text, next_nodes=["a"])
    answer = await client.post(f"/threads/{thread.thread_id}/history")
    assert text in answer.content
    assert text in (await client.get(f"/threads/{thread.thread_id}/state")).content
    before = thread.updated_at
    thread.change_checkpoint(state.checkpoint_id, values={"n": 1})
    assert (await client.history(thread.thread_id))[0]["values"] == {"n": 1}
    assert thread.updated_at > before


async def test_a_made_up_thread_can_grow(stub: StubServer, client: Client) -> None:
    """A state that is added to a made-up thread is its newest, and the child of the former one."""
    thread = next(iter(stub.deployment))
    before = await client.history(thread.thread_id, limit=9)
    thread.add_checkpoint({"n": 1})
    after = await client.history(thread.thread_id, limit=9)
    assert after[1:] == before
    assert after[0]["parent_checkpoint_id"] == before[0]["checkpoint_id"]
    assert (await client.get(f"/threads/{thread.thread_id}")).json()["values"] == {"n": 1}


# -- the deployment's own ------------------------------------------------------------


async def test_assistants_crons_and_store_are_paged(stub: StubServer, client: Client) -> None:
    assistants = (await client.post("/assistants/search", {"limit": 1})).json()
    assert [item["version"] for item in assistants] == [2]
    path = f"/assistants/{assistants[0]['assistant_id']}/versions"
    versions = (await client.post(path)).json()
    assert [item["version"] for item in versions] == [2, 1]
    assert len((await client.post("/runs/crons/search")).json()) == 1
    spaces = (await client.post("/store/namespaces", {"limit": 2, "offset": 1})).json()
    assert spaces == {"namespaces": [["users", "user-0"], ["users", "user-1"]]}
    body = {"namespace_prefix": ["users", "user-1"], "limit": 100, "refresh_ttl": False}
    items = (await client.post("/store/items/search", body)).json()["items"]
    assert [item["key"] for item in items] == [f"fact-{n}" for n in range(1, 25, 5)]
    assert sum(item.refreshed for item in stub.deployment.items.values()) == 0
    await client.post("/store/items/search", {"namespace_prefix": ["config"]})
    assert sum(item.refreshed for item in stub.deployment.items.values()) == 1


async def test_runs_are_listed_by_thread(stub: StubServer, client: Client) -> None:
    thread = next(iter(stub.deployment))
    for _ in range(12):
        thread.add_run()
    path = f"/threads/{thread.thread_id}/runs"
    runs = (await client.get(path)).json() + (await client.get(f"{path}?offset=10")).json()
    assert [run["run_id"][-1] for run in runs] == [*"ba9876543210"]


# -- changes -------------------------------------------------------------------------


async def test_threads_can_be_changed_over_http(stub: StubServer, client: Client) -> None:
    """PATCH merges metadata and moves `updated_at`; DELETE makes it 404."""
    thread_id = threads(stub)[0]
    before = stub.deployment.threads[thread_id].updated_at
    answer = await client.http.patch(f"/threads/{thread_id}", json={"metadata": {"a": 1}})
    assert answer.json()["metadata"]["a"] == 1
    assert answer.json()["metadata"]["graph_id"] == "agent"
    assert answer.json()["updated_at"] > before
    assert (await client.http.delete(f"/threads/{thread_id}")).status_code == 204
    assert (await client.http.delete(f"/threads/{thread_id}")).status_code == 404


async def test_a_hook_sees_each_request_before_its_answer(stub: StubServer, client: Client) -> None:
    """It may change the data, so that pages shift; the Date header keeps the data's time."""
    added = []

    async def hook(request: Request) -> None:
        if request.endpoint == "search":
            added.append(stub.deployment.add_thread().thread_id)

    stub.on_request = hook
    answer = await client.post("/threads/search", {"limit": 100})
    assert added[0] in [row["thread_id"] for row in answer.json()]
    assert answer.headers["date"] == "Thu, 01 Jan 2026 12:00:00 GMT"


async def test_the_same_seed_makes_the_same_deployment() -> None:
    """Bodies and ids are equal, so a run can be compared with another one's."""

    async def answers(seed: int) -> list[bytes]:
        async with StubServer(Deployment.sample(threads=3, seed=seed, extras=True)) as stub:
            client = Client(stub)
            bodies = [(await client.post("/threads/search")).content]
            for thread_id in threads(stub):
                bodies.append((await client.post(f"/threads/{thread_id}/history")).content)  # noqa: PERF401
            bodies.append((await client.post("/assistants/search")).content)
            await client.http.aclose()
            return bodies

    assert await answers(1) == await answers(1) != await answers(2)


# -- other servers -------------------------------------------------------------------


async def test_quirks_make_an_older_server() -> None:
    """No storage, no count, no version, no sorting, no ids, no select; any cursor."""
    quirks = Quirks(
        storage=False,
        count=False,
        sort=False,
        ids=False,
        select=False,
        before="lenient",
        version=None,
    )
    async with StubServer(Deployment.sample(threads=3), quirks=quirks) as stub:
        client = Client(stub)
        thread_id = threads(stub)[0]
        assert (await client.get(f"/threads/{thread_id}/storage")).status_code == 404
        assert (await client.post("/threads/count")).status_code == 405
        assert (await client.get("/info")).status_code == 404
        body = {
            "sort_by": "thread_id",
            "sort_order": "asc",
            "ids": [thread_id],
            "select": ["thread_id"],
        }
        rows = (await client.post("/threads/search", body)).json()
        assert rows == (await client.post("/threads/search")).json()
        first = (await client.history(thread_id))[0]["checkpoint_id"]
        for before in (first, {"checkpoint_id": first}, {"configurable": {"checkpoint_id": first}}):
            assert len(await client.history(thread_id, limit=9, before=before)) == 4
        await client.http.aclose()


async def test_only_a_get_may_page() -> None:
    quirks = Quirks(before="get")
    async with StubServer(Deployment.sample(threads=1), quirks=quirks) as stub:
        client = Client(stub)
        thread_id = threads(stub)[0]
        first = (await client.history(thread_id))[0]["checkpoint_id"]
        path = f"/threads/{thread_id}/history"
        body = {"before": {"configurable": {"checkpoint_id": first}}}
        assert (await client.post(path, body)).status_code == 500
        assert len((await client.get(f"{path}?limit=9&before={first}")).json()) == 4
        await client.http.aclose()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_may_be_required(status: int) -> None:
    quirks = Quirks(api_key="secret", auth_status=status)
    async with StubServer(Deployment.sample(threads=1), quirks=quirks) as stub:
        client = Client(stub)
        assert (await client.post("/threads/search")).status_code == status
        client.http.headers["x-api-key"] = "secret"
        assert (await client.post("/threads/search")).status_code == 200
        await client.http.aclose()


# -- counting, size, another process -------------------------------------------------


async def test_requests_are_counted_by_endpoint(stub: StubServer, client: Client) -> None:
    thread_id = threads(stub)[0]
    stub.fail("history", "503", times=1)
    await client.post(f"/threads/{thread_id}/history")
    await client.post(f"/threads/{thread_id}/history", {"limit": 5})
    await client.get(f"/threads/{thread_id}")
    await client.get("/nothing")
    assert stub.requests == {"history": 2, "thread": 1, "unknown": 1}
    assert stub.largest_body > 5 * 1400


async def test_a_delay_holds_for_each_answer_and_not_for_all_together(stub: StubServer) -> None:
    """Twenty requests at once are all in flight during one delay."""
    stub.delay = 0.05
    async with httpx.AsyncClient(base_url=stub.url) as http:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(http.get("/ok") for _ in range(20)))
        took = loop.time() - began
    assert took >= 0.05
    assert stub.most_in_flight == 20


async def test_a_large_page_is_made_while_it_is_sent() -> None:
    """A history of 200 MB comes whole, and no more than a little of it is in memory at once."""
    sample = Deployment.sample(threads=1, checkpoints=100, size=2_000_000)
    async with StubServer(sample) as stub, httpx.AsyncClient() as http:
        (thread,) = stub.deployment
        size = 0
        most = 0
        url = f"{stub.url}/threads/{thread.thread_id}/history"
        async with http.stream("POST", url, json={"limit": 1000}) as answer:
            async for part in answer.aiter_raw():
                size += len(part)
                most = max(most, *(c.buffered for c in stub._connections))
        assert size == int(answer.headers["content-length"]) == stub.largest_body
        assert 190_000_000 < size < 210_000_000
        assert most < 8_000_000


def test_a_stub_serves_from_a_process_of_its_own() -> None:
    """It counts, fails and delays on demand, and is gone when the block ends."""
    with StubProcess(threads=3, checkpoints=2, size=1000) as stub, httpx.Client() as http:
        rows = http.post(f"{stub.url}/threads/search").json()
        assert len(rows) == 3
        stub.fail("search", "503", times=1)
        assert http.post(f"{stub.url}/threads/search").status_code == 503
        stub.heal()
        assert http.post(f"{stub.url}/threads/search").status_code == 200
        stub.set_delay(0.01)
        assert stub.reset()["requests"] == {"search": 3}
        assert stub.counts()["requests"] == {}
        url = stub.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/ok")
