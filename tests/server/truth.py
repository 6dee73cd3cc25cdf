"""What a server holds, by plain requests one after another, without anything of lgx."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

Key = tuple[str, str]
"""The namespace and id of a checkpoint, as they came back."""

_LAST_STEP = 40  # no poisoned thread of ours goes on so long


@dataclass
class ThreadTruth:
    """One thread.

    Attributes:
        thread: the answer to `GET /threads/{id}`.
        checkpoints: its healthy checkpoints over all namespaces.
        stored: how many the server counts, those that it cannot render among them.
        history: the statuses that the history requests got: a 404 is a history out of reach.
    """

    thread: dict[str, Any]
    checkpoints: dict[Key, dict[str, Any]] = field(default_factory=dict)
    stored: int = 0
    history: set[int] = field(default_factory=set)

    @property
    def lost(self) -> int:
        """How many checkpoints plain requests cannot get."""
        return self.stored - len(self.checkpoints)


@dataclass
class Truth:
    """A whole server.

    Attributes:
        assistants: all versions; the one that is in force as the assistant itself shows it,
            but with its own time of creation.
        in_force: which version that is.
    """

    threads: dict[str, ThreadTruth]
    assistants: dict[tuple[str, int], dict[str, Any]]
    in_force: dict[str, int]
    crons: dict[str, dict[str, Any]]
    items: dict[tuple[tuple[str, ...], str], dict[str, Any]]

    @property
    def checkpoints(self) -> int:
        return sum(len(t.checkpoints) for t in self.threads.values())


async def ask_everything(url: str, thread_ids: Iterable[str]) -> Truth:
    # A server that answered 500 drops the connection, so none is used twice.
    limits = httpx.Limits(max_connections=8, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        ids = list(thread_ids)
        found = await asyncio.gather(*(_thread(client, thread_id) for thread_id in ids))
        assistants: dict[tuple[str, int], dict[str, Any]] = {}
        in_force = {}
        for assistant in await _post(client, "/assistants/search", {"limit": 1000}):
            name = assistant["assistant_id"]
            in_force[name] = assistant["version"]
            for version in await _post(client, f"/assistants/{name}/versions", {"limit": 1000}):
                assistants[name, version["version"]] = version
            own = assistants[name, assistant["version"]]
            assistants[name, assistant["version"]] = {**assistant, "created_at": own["created_at"]}
        crons = await _post(client, "/runs/crons/search", {"limit": 1000})
        listed = {"namespace_prefix": [], "limit": 1000, "refresh_ttl": False}
        items = (await _post(client, "/store/items/search", listed))["items"]
    return Truth(
        threads=dict(zip(ids, found, strict=True)),
        assistants=assistants,
        in_force=in_force,
        crons={cron["cron_id"]: cron for cron in crons},
        items={(tuple(item["namespace"]), item["key"]): item for item in items},
    )


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    answer = await client.post(path, json=body)
    answer.raise_for_status()
    return answer.json()


async def _thread(client: httpx.AsyncClient, thread_id: str) -> ThreadTruth:
    answer = await client.get(f"/threads/{thread_id}")
    answer.raise_for_status()
    truth = ThreadTruth(answer.json())
    answer = await client.get(f"/threads/{thread_id}/storage")
    answer.raise_for_status()
    truth.stored = answer.json()["checkpoints"]["count"]
    asked: set[str] = set()
    open_namespaces = {""}
    while open_namespaces:
        namespace = open_namespaces.pop()
        asked.add(namespace)
        for state in await _namespace(client, thread_id, namespace, truth.history):
            checkpoint = state["checkpoint"]
            truth.checkpoints[checkpoint["checkpoint_ns"], checkpoint["checkpoint_id"]] = state
            for task in state["tasks"]:
                inner = (task.get("checkpoint") or {}).get("checkpoint_ns")
                if inner:
                    bare = "|".join(part.split(":")[0] for part in inner.split("|"))
                    open_namespaces |= {inner, bare} - asked
    return truth


async def _namespace(
    client: httpx.AsyncClient, thread_id: str, namespace: str, statuses: set[int]
) -> list[dict[str, Any]]:
    """The history of one namespace, newest first, page by page, or step by step where
    the server cannot render a page."""
    path = f"/threads/{thread_id}/history"
    where = {"checkpoint": {"checkpoint_ns": namespace}} if namespace else {}
    states: list[dict[str, Any]] = []
    before: dict[str, Any] = {}
    while True:
        answer = await client.post(path, json={"limit": 300, **where, **before})
        statuses.add(answer.status_code)
        if answer.status_code == 404:
            return []
        if answer.status_code == 500:
            break
        answer.raise_for_status()
        page = answer.json()
        if not page:
            return states
        states += page
        last = page[-1]["checkpoint"]["checkpoint_id"]
        before = {"before": {"configurable": {"checkpoint_id": last}}}
    for step in range(-1, _LAST_STEP):
        answer = await client.post(path, json={"limit": 1000, **where, "metadata": {"step": step}})
        if answer.status_code == 200:
            states += answer.json()
    return states
