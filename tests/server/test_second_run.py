"""A second run moves what has changed, and asks for nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client

from lgx import run, use
from lgx_plugins.demo.server import RealServer

from .lines import read_lines
from .truth import ask_everything

COUNT = 12


async def fill_few(url: str) -> list[str]:
    async with get_client(url=url, api_key=None) as client:

        async def one(number: int) -> str:
            thread = await client.threads.create(graph_id="tour")
            if number % 4:
                plan: Any = {"topic": str(number), "ask": number % 4 == 3}
                await client.runs.wait(thread["thread_id"], "tour", input={"plan": plan})
            return thread["thread_id"]

        return list(await asyncio.gather(*(one(number) for number in range(COUNT))))


async def run_once_more(url: str, thread_id: str) -> None:
    async with get_client(url=url, api_key=None) as client:
        await client.runs.wait(thread_id, "tour", input={"plan": {"topic": "again"}})


def history_requests(url: str) -> int:
    """How many the server has answered, by its own count."""
    counted: list[dict[str, Any]] = httpx.get(f"{url}/metrics?format=json").json()["api"][
        "http_requests_total"
    ]
    return sum(entry["count"] for entry in counted if entry["path"].endswith("/history"))


@pytest.mark.parametrize(("name", "file"), [("archive", "out"), ("sqlite", "out.db")])
def test_only_a_thread_that_changed_is_asked_for_its_history(
    own_server: RealServer, tmp_path: Path, name: str, file: str
) -> None:
    """And the target then holds its new state, beside the others."""
    url = own_server.url
    thread_ids = asyncio.run(fill_few(url))
    source, sink = use("cloud", url=url), use(name, path=str(tmp_path / file))
    first = run(source, sink)
    assert (first.exit_code, first.threads.written) == (0, COUNT)

    before = history_requests(url)
    second = run(source, sink)
    assert history_requests(url) == before
    assert (second.exit_code, second.threads.unchanged, second.threads.written) == (0, COUNT, 0)

    asyncio.run(run_once_more(url, thread_ids[1]))
    third = run(source, sink)
    assert history_requests(url) > before
    assert (third.exit_code, third.threads.unchanged, third.threads.written) == (0, COUNT - 1, 1)

    lines = tmp_path / "lines.ndjson"
    assert run(sink, use("ndjson", path=str(lines))).exit_code == 0
    truth = asyncio.run(ask_everything(url, thread_ids))
    assert read_lines(lines).threads == {i: t.thread for i, t in truth.threads.items()}
    assert read_lines(lines).states == {
        i: t.checkpoints for i, t in truth.threads.items() if t.checkpoints
    }
