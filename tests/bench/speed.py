"""Export speed: `cloud` to `ndjson` against loops over the same client, in one run."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from measure import Figure

import lgx
from lgx.testing import StubProcess

_JSON = {"content-type": "application/json"}
_CONCURRENCY = 16


def figures(*, quick: bool = False) -> list[Figure]:
    return [*_large_histories(150 if quick else 1500), *_latency(800 if quick else 24_000)]


def _large_histories(count: int) -> list[Figure]:
    """Histories of 227 kB, 80 checkpoints each, from a server that answers at once."""
    with (
        StubProcess(threads=count, checkpoints=80, size=2840, cache_bytes=400 << 20) as stub,
        tempfile.TemporaryDirectory() as folder,
    ):
        target = Path(folder) / "out"
        asyncio.run(_bare(stub.url, target))  # fills the server's cache of answers
        bare, same, sdk, whole = [], [], [], []
        for _ in range(3):
            bare.append(count / _timed(lambda: asyncio.run(_bare(stub.url, target))))
            same.append(count / _timed(lambda: asyncio.run(_bare(stub.url, target, storage=True))))
            whole.append(count / _timed(lambda: _export(stub.url, target.with_suffix(".ndjson"))))
        some = max(count // 8, 50)
        sdk.append(some / _timed(lambda: asyncio.run(_sdk(stub.url, target, some))))
    rate, loop, histories, decoded = max(whole), max(same), max(bare), max(sdk)
    return [
        Figure("227 kB histories: lgx, cloud to ndjson", f"{rate:.0f}/s"),
        Figure("  loop that reads and writes the same bodies", f"{loop:.0f}/s"),
        Figure("  lgx / that loop", f"{rate / loop:.2f}", ">= 0.60", met=rate / loop >= 0.6),
        Figure("  loop over the histories alone", f"{histories:.0f}/s"),
        Figure("  lgx / loop over the histories alone", f"{rate / histories:.2f}"),
        Figure("  loop of SDK get_history and orjson", f"{decoded:.0f}/s"),
        Figure("  lgx / SDK loop", f"{rate / decoded:.1f}", ">= 4.0", met=rate / decoded >= 4),
    ]


def _latency(count: int) -> list[Figure]:
    """Histories of 10 kB from a server that takes 50 ms for every answer."""
    with (
        StubProcess(
            threads=count, checkpoints=4, size=2500, delay=0.05, cache_bytes=400 << 20
        ) as stub,
        tempfile.TemporaryDirectory() as folder,
    ):
        target = Path(folder) / "out.ndjson"
        plain = target.with_suffix(".bare")
        bare = count / _timed(lambda: asyncio.run(_bare(stub.url, plain, concurrency=64)))
        stub.reset()
        seconds = _timed(lambda: _export(stub.url, target, concurrency=64))
        requests = stub.counts()["requests"]["history"]
    rate, ceiling = requests / seconds, 64 / 0.05
    return [
        Figure("10 kB histories, 50 ms, 64 at once: lgx", f"{rate:.0f}/s"),
        Figure("  of 64 / 50 ms", f"{rate / ceiling:.2f}", ">= 0.90", met=rate / ceiling >= 0.9),
        Figure("  loop over the histories alone", f"{bare:.0f}/s"),
        Figure("  that loop, of 64 / 50 ms", f"{bare / ceiling:.2f}"),
    ]


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _export(url: str, target: Path, *, concurrency: int = _CONCURRENCY) -> None:
    report = lgx.run(
        lgx.use("cloud", url=url),
        lgx.use("ndjson", path=str(target)),
        concurrency=concurrency,
        extras=False,
    )
    assert report.exit_code == 0, report.failures[:3]


async def _with_client(
    url: str, work: Callable[[Any, list[str], Any], Awaitable[None]], target: Path
) -> None:
    import httpx
    from httpx_aiohttp import AiohttpTransport
    from langgraph_sdk.client import LangGraphClient

    async with httpx.AsyncClient(base_url=url, transport=AiohttpTransport(), timeout=60) as http:
        client = LangGraphClient(http)
        ids: list[str] = []
        for offset in itertools.count(0, 1000):
            page = await client.threads.search(
                limit=1000,
                offset=offset,
                sort_by="thread_id",
                sort_order="asc",
                select=["thread_id"],
            )
            ids += [thread["thread_id"] for thread in page]
            if len(page) < 1000:
                break
        with target.open("wb") as file:
            await work(client, ids, file)


async def _each(
    ids: list[str], work: Callable[[str], Awaitable[None]], concurrency: int = _CONCURRENCY
) -> None:
    left = iter(ids)

    async def worker() -> None:
        for thread_id in left:
            await work(thread_id)

    await asyncio.gather(*(worker() for _ in range(concurrency)))


async def _bare(
    url: str, target: Path, *, storage: bool = False, concurrency: int = _CONCURRENCY
) -> None:
    """Reads each history as bytes and writes them; with the look-ups that lgx makes, too."""

    async def work(client: Any, ids: list[str], file: Any) -> None:
        http = client.http.client

        async def one(thread_id: str) -> None:
            if storage:
                await http.get(f"/threads/{thread_id}/storage")
            answer = await http.post(
                f"/threads/{thread_id}/history", content=b'{"limit":1000}', headers=_JSON
            )
            file.write(answer.content)

        await _each(ids, one, concurrency)

    await _with_client(url, work, target)


async def _sdk(url: str, target: Path, count: int) -> None:
    """The SDK as it comes: its own transport, its own decoding."""
    import orjson
    from langgraph_sdk import get_client

    async with get_client(url=url, api_key=None) as client:
        page = await client.threads.search(limit=min(count, 1000), sort_by="thread_id")
        with target.open("wb") as file:

            async def one(thread_id: str) -> None:
                file.write(orjson.dumps(await client.threads.get_history(thread_id, limit=1000)))

            await _each([thread["thread_id"] for thread in page], one)
