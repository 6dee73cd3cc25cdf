"""Whether items of the store stand there as they were sent: servers take what they change."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from lgx import Bundle, Context, Loss, StoreItem
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.extras import Extras
from lgx_plugins.cloud.restore.items import HeldItems, digest_of

__all__ = ["altered_items", "name_of"]


def name_of(item: StoreItem) -> str:
    """`store item 'key' of 'a.b'`"""
    return f"store item {item.key!r} of {'.'.join(item.namespace)!r}"


async def altered_items(
    client: Client, bundle: Bundle, known: AbstractSet[str], context: Context
) -> list[Loss]:
    """Asks for all that is there once more, after items were put.

    Args:
        known: names of those that are not expected to stand there as they came.
    """
    losses: list[Loss] = []
    with HeldItems() as there:
        async for held in Extras(client, context).of("store_item"):
            assert isinstance(held, StoreItem)
            there.add(held)
        for item in bundle:
            assert isinstance(item, StoreItem)
            name = name_of(item)
            found = there.find(item)
            if name in known or (found is not None and found.digest == digest_of(item)):
                continue
            why = "the server took it, and shows something else there now"
            if found is None:
                why = "the server took it, and does not list it under that namespace and key"
            losses.append(Loss(what=name, why=why))
    return losses
