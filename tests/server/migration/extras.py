"""What belongs to a deployment rather than to a thread, so that two deployments can be compared."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from .requests import Server

_OF_A_VERSION = ("graph_id", "config", "context", "metadata", "name", "description")
_OF_A_CRON = ("assistant_id", "thread_id", "schedule", "timezone", "end_time", "on_run_completed")


@dataclass
class Extras:
    """Equal where the same was put in: nothing that a server makes up is here.

    Attributes:
        items: values by namespace and key.
        assistants: of each but the server's own, its versions by number, and which is in force.
        crons: without their ids, and whether they are enabled, which is in `enabled`; sorted.
        enabled: how many crons are.
    """

    items: dict[tuple[tuple[str, ...], str], Any]
    assistants: dict[str, tuple[dict[int, dict[str, Any]], int]]
    crons: list[str]
    enabled: int


async def extras(url: str) -> Extras:
    """By plain requests."""
    async with Server(url) as server:
        listed = {"namespace_prefix": [], "limit": 10_000, "refresh_ttl": False}
        items = (await server.post("/store/items/search", listed))["items"]
        found = await server.post("/assistants/search", {"limit": 1000})
        own = [a for a in found if a["metadata"].get("created_by") != "system"]
        versions = await asyncio.gather(*(_versions(server, a["assistant_id"]) for a in own))
        crons = await server.post("/runs/crons/search", {"limit": 1000})
    return Extras(
        items={(tuple(item["namespace"]), item["key"]): item["value"] for item in items},
        assistants={
            a["assistant_id"]: (v, a["version"]) for a, v in zip(own, versions, strict=True)
        },
        crons=sorted(_cron(cron) for cron in crons),
        enabled=sum(cron["enabled"] for cron in crons),
    )


async def _versions(server: Server, assistant_id: str) -> dict[int, dict[str, Any]]:
    versions = await server.post(f"/assistants/{assistant_id}/versions", {"limit": 1000})
    return {v["version"]: {key: v[key] for key in _OF_A_VERSION} for v in versions}


def _cron(cron: dict[str, Any]) -> str:
    payload = {k: v for k, v in cron["payload"].items() if k != "enabled"}
    config = payload.get("config") or {}
    configurable = {k: v for k, v in config.get("configurable", {}).items() if k != "cron_id"}
    payload["config"] = {**config, "configurable": configurable}
    fields = {key: cron[key] for key in _OF_A_CRON}
    return str(sorted({**fields, "payload": sorted(payload.items())}.items()))
