"""Migration speed and memory: from one real server to another, with every thread compared."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from measure import Figure, peak_memory

import lgx
from lgx_plugins.demo.server import RealServer

_APP = Path(__file__).parents[1] / "server" / "migration" / "older"
_OLDER_RATE = 53 / 26  # threads a second of the tool that came before, on such a machine
_MOVE = """
import lgx
report = lgx.run(
    lgx.use("cloud", url=sys.argv[1]), lgx.use("cloud", url=sys.argv[2]), thread_ids=sys.argv[3:]
)
assert report.exit_code == 0, report.failures
"""


def figures(*, quick: bool = False) -> list[Figure]:
    with RealServer(_APP) as source, RealServer(_APP) as target:
        return [
            *_small(source.url, target.url, 30 if quick else 300),
            *_large(source.url, target.url, (20 if quick else 200) << 20),
        ]


def _small(source: str, target: str, count: int) -> list[Figure]:
    """Threads of 24 checkpoints of 5 kB each."""
    asyncio.run(_fill(source, count, 4, 4800))
    begun, used = time.perf_counter(), time.process_time()
    report = lgx.run(lgx.use("cloud", url=source), lgx.use("cloud", url=target))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    assert (report.exit_code, report.threads.written) == (0, count), report
    begun = time.perf_counter()
    again = lgx.run(lgx.use("cloud", url=source), lgx.use("cloud", url=target))
    second = time.perf_counter() - begun
    assert again.threads.unchanged == count
    each = cpu * 1000 / report.checkpoints.written
    rate, bar = count / seconds, 10 * _OLDER_RATE
    return [
        Figure("threads of 24 checkpoints of 5 kB", f"{rate:.0f}/s", f">= {bar:.0f}", rate >= bar),
        Figure("  client CPU per checkpoint", f"{each:.2f} ms", "< 1.00 ms", met=each < 1),
        Figure("  requests per thread", f"{report.requests / count:.1f}"),
        Figure("  a second run, of all", f"{second:.2f} s"),
        Figure("  its requests", f"{again.requests}"),
    ]


def _large(source: str, target: str, size: int) -> list[Figure]:
    """One thread of 100 kB checkpoints."""
    [thread_id] = asyncio.run(_fill(source, 1, size // 600_000, 99_600))
    begun = time.perf_counter()
    peak = peak_memory(_MOVE, source, target, thread_id)
    seconds = time.perf_counter() - begun
    return [
        Figure(f"thread of {size >> 20} MiB: peak memory", f"{peak:.0f} MB", "<= 250", peak <= 250),
        Figure("  seconds", f"{seconds:.1f}"),
    ]


async def _fill(url: str, count: int, turns: int, size: int) -> list[str]:
    """Threads of six checkpoints a turn, as runs make them, with one text of so many bytes."""
    turn = [
        ("__input__", {"n": 0}),
        ("__start__", {"n": 0}),
        ("agent", {"n": 1, "messages": []}),
        ("tool", {"files": {"text": "x" * size}}),
        ("human", {}),
        ("sub", {"messages": []}),
    ]
    steps = [{"updates": [{"values": values, "as_node": node}]} for node, values in turn] * turns
    made: list[str] = []
    async with aiohttp.ClientSession(headers={"content-type": "application/json"}) as session:

        async def post(body: dict[str, Any]) -> str:
            async with session.post(f"{url}/threads", data=json.dumps(body)) as answer:
                assert answer.status == 200, await answer.text()
                thread_id: str = (await answer.json())["thread_id"]
            return thread_id

        for _ in range(count):
            thread_id = await post({"metadata": {"graph_id": "agent"}})
            made.append(thread_id)
            for at in range(0, len(steps), 120):
                some = steps[at : at + 120]
                await post({"thread_id": thread_id, "if_exists": "do_nothing", "supersteps": some})
    return made


if __name__ == "__main__":
    for figure in figures(quick="--quick" in sys.argv):
        print(figure)  # noqa: T201 -- a program of its own
