"""Moving threads to the target as users do, and looking at what is there then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import lgx
from lgx.testing import FaultProxy

from .requests import Server

SINK = frozenset({"map_graph", "on_conflict", "verify", "provenance", "enable_crons"})
"""Options of the sink; all others are the run's."""


async def move(source: str, target: str, threads: Iterable[str] = (), **options: Any) -> lgx.Report:
    """A run from one server to another, of these threads or of all; without what belongs to
    the deployment if threads are named."""
    sink = {name: options.pop(name) for name in SINK & options.keys()}
    sink |= options.pop("sink", {})
    return await lgx.run_async(
        lgx.use("cloud", url=source),
        lgx.use("cloud", url=target, **sink),
        thread_ids=tuple(threads),
        **options,
    )


async def contents(url: str) -> dict[str, Any]:
    """All that a server holds, as it gives it: equal as long as nothing is changed there."""
    async with Server(url) as server:
        threads = await server.post("/threads/search", {"limit": 1000})
        found: dict[str, Any] = {thread["thread_id"]: thread for thread in threads}
        for thread_id in list(found):
            found[f"history of {thread_id}"] = await server.reached(thread_id)
        found["assistants"] = await server.post("/assistants/search", {"limit": 1000})
        found["crons"] = await server.post("/runs/crons/search", {"limit": 1000})
        items = {"namespace_prefix": [], "limit": 10_000, "refresh_ttl": False}
        found["items"] = (await server.post("/store/items/search", items))["items"]
    return found


async def labels(url: str) -> dict[str, Any]:
    """By id the labels of the threads that are there; None of one without."""
    async with Server(url) as server:
        threads = await server.post("/threads/search", {"limit": 1000})
    return {thread["thread_id"]: thread["metadata"].get("lgx") for thread in threads}


def named(report: lgx.Report, *thread_ids: str) -> list[str]:
    """What failed of these threads, each as `what: why`."""
    return [f"{f.what}: {f.why}" for f in report.failures if f.thread_id in thread_ids]


def writes(proxy: FaultProxy) -> list[str]:
    """The requests so far that may have changed something."""
    reading = ("search", "history", "count", "versions", "namespaces")
    return [
        passage.name
        for passage in proxy.log
        if passage.request.method != "GET"
        and passage.request.path.rpartition("/")[2] not in reading
    ]


def reads(proxy: FaultProxy) -> Sequence[str]:
    """The requests so far that changed nothing."""
    all_of_them = [passage.name for passage in proxy.log]
    for name in writes(proxy):
        all_of_them.remove(name)
    return all_of_them
