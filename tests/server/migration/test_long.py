"""Threads that are longer, or larger, than one request bears."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx.testing import FaultProxy
from lgx_plugins.demo.server import RealServer

from .comparison import compare
from .fill import LONG, Filled
from .moving import move
from .requests import Server

OLDER = Path(__file__).with_name("older")


def bodies(proxy: FaultProxy) -> list[bytes]:
    return [p.request.body for p in proxy.log if p.name == "POST /threads"]


async def test_a_long_thread_is_created_and_continued(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """A server is given some hundred steps at a time, each step once, and all arrive."""
    thread_id = source.threads["loop-long"]
    report = await move(source.url, proxy.url, [thread_id])
    assert (report.exit_code, report.checkpoints.written) == (0, LONG + 2)
    sent = [len(json.loads(body)["supersteps"]) for body in bodies(proxy)]
    assert sum(sent) == LONG + 2
    assert max(sent) <= 200
    found = await compare(source.url, target, {"loop-long": thread_id})
    assert found.differences == {}, str(found)


async def test_provenance_of_a_long_thread_is_borne(source: Filled, target: str) -> None:
    """The metadata of a thousand checkpoints does not keep anybody from using the thread."""
    names = {"loop-long": source.threads["loop-long"]}
    [thread_id] = names.values()
    report = await move(source.url, target, [thread_id], provenance=True)
    assert report.exit_code == 0, report.failures
    async with Server(source.url) as server:
        history = await server.history(thread_id)
    async with Server(target) as server:
        label = (await server.get(f"/threads/{thread_id}"))["metadata"]["lgx"]
        found = await server.post("/threads/search", {"metadata": {"name": "loop-long"}})
        run = {"assistant_id": "loop", "input": {"rounds": 0}}
        await server.post(f"/threads/{thread_id}/runs/wait", run)
    assert label["provenance"]["checkpoints"] == [
        [s["checkpoint_id"], s["created_at"], s["metadata"].get("run_id")] for s in history[::-1]
    ]
    assert label["provenance"].keys() == {"created_at", "updated_at", "checkpoints"}
    assert [thread["thread_id"] for thread in found] == [thread_id]
    again = await move(source.url, target, [thread_id], provenance=True)
    assert again.threads.unchanged == 1


async def fill(server: Server, graph: str, *, turns: int, size: int) -> str:
    """A thread as runs make it, each of whose turns replaces a text of this size; its id."""
    turn: list[tuple[str, Any]] = [
        ("__input__", {"n": 0}),
        ("__start__", {"n": 0}),
        ("agent", {"n": 1, "messages": []}),
        ("tool", {"files": {"text": "x" * size}}),
        ("human", {"files": {"text": ""}}),  # or the history would be many times as large
        ("sub", {"messages": []}),
    ]
    steps = [{"updates": [{"values": values, "as_node": node}]} for node, values in turn]
    thread_id: str = (await server.post("/threads", {"metadata": {"graph_id": graph}}))["thread_id"]
    for _ in range(turns):
        body = {"thread_id": thread_id, "if_exists": "do_nothing", "supersteps": steps}
        await server.post("/threads", body)
    return thread_id


@pytest.fixture(scope="module")
def two(start_server: Callable[[Path], RealServer]) -> tuple[str, str]:
    """Two servers of one simple graph."""
    return start_server(OLDER).url, start_server(OLDER).url


async def test_bodies_stay_below_their_bound(two: tuple[str, str]) -> None:
    """Steps that are large go in requests of their own, and come out the same."""
    await check_large(two, turns=12, size=300_000, body_size=1, most=1 << 20)


async def test_a_file_of_many_threads_is_moved_with_little_memory(
    two: tuple[str, str], tmp_path: Path
) -> None:
    """Those that wait to be written may fill all of it while the file's reader keeps its part:
    no thread waits for room that only other threads can give."""
    source, target = two
    async with Server(source) as server:
        made = [await fill(server, "agent", turns=1, size=100_000) for _ in range(60)]
    backup = lgx.use("ndjson", path=str(tmp_path / "many.ndjson"))
    await lgx.run_async(lgx.use("cloud", url=source), backup, thread_ids=made)
    async with asyncio.timeout(60):
        report = await lgx.run_async(backup, lgx.use("cloud", url=target), memory=4 << 20)
    assert (report.exit_code, report.threads.written) == (0, len(made)), report.failures


@pytest.mark.nightly
@pytest.mark.timeout(600)
async def test_more_than_a_server_takes_at_once_is_moved(two: tuple[str, str]) -> None:
    """A thread whose steps have more than 300 MiB."""
    await check_large(two, turns=270, size=1_200_000, body_size=64, most=64 << 20)


async def check_large(
    two: tuple[str, str], *, turns: int, size: int, body_size: int, most: int
) -> None:
    source, target = two
    async with Server(source) as server:
        thread_id = await fill(server, "agent", turns=turns, size=size)
    async with FaultProxy(target) as proxy:
        report = await lgx.run_async(
            lgx.use("cloud", url=source),
            lgx.use("cloud", url=proxy.url, body_size=body_size),
            thread_ids=(thread_id,),
        )
        assert report.exit_code == 0, report.failures
        sizes = [len(body) for body in bodies(proxy)]
    assert max(sizes) <= most + 4096  # what creating a thread takes besides its steps
    assert sum(sizes) > turns * size
    assert len(sizes) >= turns * size // most
    async with Server(target) as server:
        [newest] = await server.post(f"/threads/{thread_id}/history", {"limit": 1})
    assert newest["values"]["n"] == turns
    assert report.checkpoints.written == 6 * turns


PEAK = """
import sys
import lgx
source, target, *ids = sys.argv[1:]
report = lgx.run(lgx.use("cloud", url=source), lgx.use("cloud", url=target), thread_ids=ids)
assert report.exit_code == 0, report.failures
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.nightly
@pytest.mark.timeout(600)
async def test_threads_of_large_steps_are_moved_within_memory(two: tuple[str, str]) -> None:
    """So many as are written at once elsewhere, each with steps of four megabytes."""
    source, target = two
    async with Server(source) as server:
        made = [await fill(server, "agent", turns=4, size=4 << 20) for _ in range(8)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PEAK, source, target, *made), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    assert int(told) * 1024 <= 250_000_000
