"""Whether what belongs to a deployment stands there as it was sent: servers take what they then
change, or leave out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Raw

from lgx import Bundle, Context, Loss, StoreItem, canonical, split_object
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.extras import Extras
from lgx_plugins.cloud.restore.items import HeldItems, digest_of

__all__ = ["altered_fields", "altered_items", "name_of"]

_NOTHING = (b"null", b"{}")


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


def altered_fields(sent: Mapping[str, Raw], answer: bytes) -> list[str]:
    """The names of fields, or of what is in them, that an answer has not as they were sent. What
    it has besides does not count.

    Raises:
        ThreadError: the answer is no object.
    """
    return list(_altered(sent, split_object(answer), ""))


def _altered(sent: Mapping[str, Raw], held: Mapping[str, Raw], lead: str) -> Iterator[str]:
    for name, value in sorted(sent.items()):
        text = bytes(value).strip()
        if text in _NOTHING:
            continue
        if name not in held:
            yield lead + name
        elif not lead and text.startswith(b"{") and bytes(held[name]).lstrip().startswith(b"{"):
            yield from _altered(split_object(value), split_object(held[name]), f"{name}.")
        elif canonical(value) != canonical(held[name]):
            yield lead + name
