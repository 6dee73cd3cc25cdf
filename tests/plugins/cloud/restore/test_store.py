"""What a server is sent of an item that tables of a store held."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from lgx import Bundle, Loss, StoreItem, raw
from lgx.testing import make_context
from lgx_plugins.cloud.restore.store import restore_items


class Wire:
    """Takes what is sent to a server, and lists it."""

    def __init__(self) -> None:
        self.put: list[dict[str, Any]] = []

    async def light(self, context: Any, method: str, path: str, body: Any, **_: Any) -> Any:
        if method == "PUT":
            self.put.append(msgspec.json.decode(body))
        there = [] if body is None or isinstance(body, bytes) or body.get("offset") else self.put
        if path.endswith("namespaces"):
            return SimpleNamespace(body=msgspec.json.encode({"namespaces": [["a"]] * bool(there)}))
        return SimpleNamespace(body=msgspec.json.encode({"items": there}))


async def test_its_time_to_live_is_sent_and_its_vectors_are_told() -> None:
    item = StoreItem(
        namespace=("a",),
        key="k",
        value=raw({"x": 1}),
        extra={"ttl_minutes": raw(5), "vectors": raw({"x": {}}), "expires_at": raw("2026-01-01")},
    )
    context, wire = make_context(), Wire()
    client: Any = wire
    spool = context.spool()
    spool.append(item)
    bundle = Bundle(spool, ref=None, mark=None)

    restored = await restore_items(client, bundle, "fail", context)
    bundle.close()

    assert wire.put == [{"namespace": ["a"], "key": "k", "value": {"x": 1}, "ttl": 5}]
    assert restored.losses == [
        Loss(
            what="vectors of 1 store item",
            why="a server makes them by itself, where its configuration says so",
            holdable=False,
        )
    ]
    assert restored.records == 1
