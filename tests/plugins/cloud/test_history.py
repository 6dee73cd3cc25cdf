"""Pages of a history, and the cursor that its server understands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lgx import Checkpoint
from lgx.testing import Deployment, Quirks, StubServer, make_context
from lgx.testing.stub import Request, Response
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.config import CloudSourceConfig
from lgx_plugins.cloud.history import HistoryReader

CURSOR_OF = {"strict": "configurable", "lenient": "configurable", "get": "query"}


@pytest.mark.parametrize("before", CURSOR_OF)
async def test_the_cursor_is_looked_for_once(before: str) -> None:
    """From the second page of the first thread on it is known, and no other is tried."""
    deployment = Deployment.sample(threads=2, checkpoints=5, size=100)
    quirks = Quirks(before=before)  # type: ignore[arg-type]
    async with (
        StubServer(deployment, quirks=quirks) as stub,
        Client(CloudSourceConfig(url=stub.url)) as client,
    ):
        reader = HistoryReader(client, 1000)
        await two_pages(reader, deployment, 0)
        assert reader.cursor == CURSOR_OF[before]
        requests = stub.requests["history"]
        await two_pages(reader, deployment, 1)
        assert stub.requests["history"] == requests + 2


async def test_a_guess_that_is_refused_stays_a_guess_when_another_reader_found_the_cursor() -> None:
    """The one that was still looking goes on to the shapes that it has not tried."""
    deployment = Deployment.sample(threads=2, checkpoints=5, size=100)
    late = next(iter(deployment.threads))
    found = asyncio.Event()
    guessing = asyncio.Event()

    async def refuse(request: Request) -> Response | None:
        if request.method == "GET" or not request.json().get("before"):
            return None
        if request.path == f"/threads/{late}/history":
            guessing.set()
            await found.wait()
        return Response(b'{"detail":"before: not of type string"}', 422)

    async with StubServer(deployment) as stub:
        stub.on_request = refuse
        async with Client(CloudSourceConfig(url=stub.url)) as client, asyncio.timeout(10):
            reader = HistoryReader(client, 1000)
            looking = asyncio.create_task(two_pages(reader, deployment, 0))
            await guessing.wait()
            await two_pages(reader, deployment, 1)
            assert reader.cursor == "query"
            found.set()
            ids = await looking
    chain = deployment.threads[late].chains[""]
    assert ids == [chain.id_at(index) for index in range(4)]


async def two_pages(reader: HistoryReader, deployment: Deployment, number: int) -> Sequence[str]:
    """The ids of the newest two checkpoints of a thread, and of the two before them."""
    thread_id = tuple(deployment.threads)[number]
    context = make_context()
    first = await reader.page(thread_id, "", context, limit=2)
    context.budget.give_page(first.taken)
    last: Checkpoint = first.rows[-1]
    second = await reader.after(thread_id, "", context, last=last, limit=2, expected=None)
    context.budget.give_page(second.taken)
    return [row.checkpoint_id for row in (*first.rows, *second.rows)]
