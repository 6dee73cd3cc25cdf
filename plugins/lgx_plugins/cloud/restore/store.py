"""Items of the long-term store, put into another server's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
from msgspec import UnsetType

from lgx import Bundle, Context, Loss, RetryableError, StoreItem, ThreadError
from lgx_plugins.cloud.client import Client

__all__ = ["restore_items"]

_AT_ONCE = 16


async def restore_items(client: Client, bundle: Bundle, context: Context) -> list[Loss]:
    """Puts each under its namespace and key, in place of what stood there.

    Returns:
        The items that the server did not take.
    """
    losses: list[Loss] = []
    items = iter(bundle)

    async def worker(items: Iterator[object]) -> None:
        for item in items:
            assert isinstance(item, StoreItem)
            try:
                await _put(client, item, context)
            except (ThreadError, RetryableError) as error:
                what = f"store item {item.key!r} of {'.'.join(item.namespace)!r}"
                losses.append(Loss(what=what, why=str(error)))

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(worker(items))
    return losses


async def _put(client: Client, item: StoreItem, context: Context) -> None:
    body: dict[str, object] = {"namespace": item.namespace, "key": item.key}
    if not isinstance(item.value, UnsetType):
        body["value"] = item.value
    extra = {} if isinstance(item.extra, UnsetType) else item.extra
    body |= {name: extra[name] for name in ("index", "ttl") if name in extra}
    await client.light(
        context,
        "PUT",
        "/store/items",
        msgspec.json.encode(body),
        opening=None,
        what=f"store item {item.key!r}",
    )
