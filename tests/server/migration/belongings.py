"""What belongs to the deployment rather than to a thread."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from uuid import NAMESPACE_DNS, uuid5

from .user import User


async def store(user: User) -> None:
    shelves = (("users",), ("users", "ann"), ("users", "ann", "notes"), ("日本", "a b"))
    for number, shelf in enumerate(shelves):
        for key in ("first", "key/with .. odd \N{GRINNING FACE}", f"{number}"):
            value = {"number": number, "text": f"é {key}", "deep": {"list": [1, 2.5, None]}}
            item = {"namespace": shelf, "key": key, "value": value}
            await user.server.put("/store/items", item)
            user.filled.items.add((shelf, key))
    short = {"namespace": ["short"], "key": "lived", "value": {"a": 1}, "ttl": 60 * 24}
    await user.server.put("/store/items", short)
    user.filled.items.add((("short",), "lived"))


async def assistants(user: User) -> None:
    for graph, versions in (("chat", 3), ("loop", 1), ("gone", 1)):
        first = {
            "assistant_id": str(uuid5(NAMESPACE_DNS, f"assistant-{graph}")),
            "graph_id": graph,
            "name": f"{graph} 1",
            "metadata": {"made": "here", "é": [1]},
            "config": {"tags": ["one"], "configurable": {"tone": "kind"}},
        }
        made = await user.server.post("/assistants", first)
        path = f"/assistants/{made['assistant_id']}"
        for version in range(2, versions + 1):
            change = {"name": f"{graph} {version}", "config": {"tags": [str(version)]}}
            change |= {"graph_id": "relay"} if version == 3 else {}
            await user.server.patch(path, {**change, "description": f"version {version}"})
        if versions > 1:  # what is in force need not be the newest, nor of its graph
            await user.server.post(f"{path}/latest", {"version": 2})
        user.filled.assistants.append(made["assistant_id"])


async def crons(user: User) -> None:
    """None of them ever runs here: at the next new year everything is over."""
    body = {"assistant_id": "loop", "schedule": "0 0 1 1 *", "input": {"rounds": 1}}
    thread_id = await user.thread("loop-cron", "loop")
    rich = {
        "timezone": "Europe/Rome",
        "end_time": "2099-01-01T00:00:00Z",
        "webhook": "http://[2001:db8::1]/nobody",  # an address that servers take, and nobody has
        "on_run_completed": "keep",
        "config": {"recursion_limit": 7, "configurable": {"tone": "kind"}},
        "interrupt_before": ["turn"],
    }
    for path, more in (
        ("/runs/crons", {"metadata": {"free": True}}),
        ("/runs/crons", rich),
        ("/runs/crons", {"enabled": False, "schedule": "5 4 * * 0"}),
        (f"/threads/{thread_id}/runs/crons", {}),
    ):
        made = await user.server.post(path, body | more)
        user.filled.crons.append(made["cron_id"])


def everything(user: User) -> Iterator[Awaitable[None]]:
    yield from (store(user), assistants(user), crons(user))
