"""The stub server of `lgx.testing` answers as the real one does, request by request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from lgx.testing import Deployment, Quirks, StubServer

from .fill import Filled

ABSENT = "11111111-1111-4111-8111-111111111111"

REQUESTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "/ok", {}),
    ("GET", "/threads/RAN", {}),
    ("GET", "/threads/RAN?include=ttl", {}),
    ("GET", "/threads/FRESH", {}),
    ("GET", "/threads/ABSENT", {}),
    ("GET", "/threads/x", {}),
    ("GET", "/threads/RAN/state", {}),
    ("GET", "/threads/FRESH/state", {}),
    ("GET", "/threads/GONE/state", {}),
    ("GET", "/threads/RAN/storage", {}),
    ("GET", "/threads/ABSENT/storage", {}),
    ("GET", "/threads/ABSENT/state", {}),
    ("POST", "/threads/RAN/state/bulk", {}),
    ("GET", "/nothing", {}),
    ("POST", "/threads/RAN/history", {}),
    ("POST", "/threads/RAN/history", {"limit": 1000}),
    ("POST", "/threads/RAN/history", {"limit": 1001}),
    ("POST", "/threads/RAN/history", {"limit": 0}),
    ("POST", "/threads/RAN/history", {"before": {"checkpoint_id": ABSENT}}),
    ("POST", "/threads/RAN/history", {"before": {"configurable": {"checkpoint_id": "0"}}}),
    ("POST", "/threads/RAN/history", {"metadata": {"step": 0}}),
    ("POST", "/threads/RAN/history", {"metadata": {"step": 12345}}),
    ("POST", "/threads/RAN/history", {"checkpoint": {"checkpoint_ns": "nothing:1"}}),
    ("GET", "/threads/RAN/history", {}),
    ("GET", "/threads/RAN/history?limit=-1", {}),
    ("GET", "/threads/RAN/history?limit=x", {}),
    ("GET", "/threads/RAN/history?limit=5000&before=0", {}),
    ("POST", "/threads/FRESH/history", {}),
    ("POST", "/threads/GONE/history", {}),
    ("POST", "/threads/ABSENT/history", {}),
    ("POST", "/threads/POISONED/history", {"limit": 1000}),
    ("POST", "/threads/search", {"limit": 1}),
    ("POST", "/threads/search", {"limit": 0}),
    ("POST", "/threads/search", {"limit": 1001}),
    ("POST", "/threads/search", {"offset": -1}),
    ("POST", "/threads/search", {"ids": ["x"]}),
    ("POST", "/threads/search", {"ids": [ABSENT]}),
    ("POST", "/threads/search", {"limit": 2, "select": ["metadata", "thread_id", "updated_at"]}),
    ("POST", "/threads/search", {"metadata": {"no such key": 1}}),
    ("POST", "/threads/count", {}),
    ("POST", "/threads/count", {"metadata": {"no such key": 1}}),
    ("POST", "/assistants/search", {"limit": 1}),
    ("POST", "/runs/crons/search", {"limit": 1}),
    ("POST", "/store/namespaces", {"limit": 1}),
    ("POST", "/store/items/search", {"namespace_prefix": [], "limit": 1, "refresh_ttl": False}),
    ("POST", "/store/items/search", {"namespace_prefix": ["nothing"], "refresh_ttl": False}),
)


def likeness(answer: httpx.Response, threads: dict[str, str]) -> dict[str, Any]:
    """What is to be the same: status, type, the words of an error, else the names of fields."""
    seen: dict[str, Any] = {
        "status": answer.status_code,
        "type": answer.headers.get("content-type"),
        "pages": sorted(name for name in answer.headers if name.startswith("x-pagination")),
    }
    if answer.status_code == 500:
        return seen | {"text": answer.text}
    body = answer.json()
    if answer.status_code >= 400:
        text = body["detail"]
        for word, thread_id in threads.items():
            text = text.replace(thread_id, word)
        return seen | {"detail": text.partition(" Expected one of")[0].partition("\n")[0]}
    return seen | {"fields": fields(body)}


def fields(value: Any, depth: int = 3) -> Any:
    """The names of an object's fields in order, of the first element of a list, down to values."""
    if isinstance(value, list):
        return [fields(value[0], depth)] if value else []
    if not isinstance(value, dict):
        return None
    open_ended = ("values", "metadata", "config", "value", "payload", "by_channel", "interrupts")
    return {
        name: fields(item, depth - 1)
        if depth and name not in (*open_ended, "tasks", "next", "namespace", "parent_checkpoint")
        else None
        for name, item in value.items()
    }


async def ask(url: str, threads: dict[str, str]) -> list[dict[str, Any]]:
    answers = []
    for method, path, body in REQUESTS:
        for word, thread_id in threads.items():
            path = path.replace(word, thread_id)
        # Both servers end the connection after an internal error, so each request has its own.
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            answers.append(
                likeness(
                    await client.request(method, path, json=body if method == "POST" else None),
                    threads,
                )
            )
    return answers


@pytest.fixture
def deployment() -> Deployment:
    deployment = Deployment.sample(threads=12, checkpoints=6, extras=True)
    deployment.add_cron()
    deployment.add_thread("00000000-0000-4000-8000-00000000000f")
    deployment.add_thread("00000000-0000-4000-8000-00000000000e", checkpoints=3)
    deployment.threads["00000000-0000-4000-8000-00000000000e"].poison(0)
    gone = deployment.add_thread("00000000-0000-4000-8000-00000000000d", graph_id="gone")
    gone.add_checkpoint({"n": 1})
    return deployment


async def test_the_stub_answers_as_the_server(
    filled_server: Filled, deployment: Deployment
) -> None:
    """Statuses, headers of pages, the words of errors, the fields of objects and their order."""
    named = filled_server.threads
    real = {
        "RAN": named["twice"],
        "FRESH": named["empty-0"],
        "GONE": named["gone"],
        "POISONED": named["poisoned-integer"],
        "ABSENT": ABSENT,
    }
    made = {
        "RAN": next(iter(deployment.threads)),
        "FRESH": "00000000-0000-4000-8000-00000000000f",
        "GONE": "00000000-0000-4000-8000-00000000000d",
        "POISONED": "00000000-0000-4000-8000-00000000000e",
        "ABSENT": ABSENT,
    }
    wanted = await ask(filled_server.url, real)
    async with StubServer(deployment, quirks=Quirks()) as stub:
        came = await ask(stub.url, made)
    differing = [
        (method, path, body, {"server": one, "stub": other})
        for (method, path, body), one, other in zip(REQUESTS, wanted, came, strict=True)
        if one != other
    ]
    assert differing == []
