"""Empties a server, so that one serves many tests."""

from __future__ import annotations

import asyncio

from .requests import Server


async def clear(url: str) -> None:
    """Removes threads, store items, crons, and all assistants but the server's own."""
    async with Server(url) as server:
        crons = await server.post("/runs/crons/search", {"limit": 1000})
        found = [f"/runs/crons/{cron['cron_id']}" for cron in crons]
        # Their ids are asked for again until none is left: a search gives at most 1000.
        await asyncio.gather(*(server.delete(path) for path in found))
        listed = {"limit": 1000, "select": ["thread_id"]}
        while threads := await server.post("/threads/search", listed):
            await asyncio.gather(*(server.delete(f"/threads/{t['thread_id']}") for t in threads))
        for assistant in await server.post("/assistants/search", {"limit": 1000}):
            if assistant["metadata"].get("created_by") != "system":
                await server.delete(f"/assistants/{assistant['assistant_id']}")
        listed_items = {"namespace_prefix": [], "limit": 10_000, "refresh_ttl": False}
        for item in (await server.post("/store/items/search", listed_items))["items"]:
            place = {"namespace": item["namespace"], "key": item["key"]}
            answer = await server.answer("DELETE", "/store/items", place)
            assert answer.status_code == 204, answer.text
