"""What a target's store holds, remembered while items are brought to it."""

from __future__ import annotations

import tracemalloc

from lgx import StoreItem, raw
from lgx_plugins.cloud.restore.items import HeldItem, HeldItems, digest_of


def item(number: int, value: object = None) -> StoreItem:
    when = f"2026-01-01T12:00:{number:02}+00:00" if number < 60 else None
    return StoreItem(namespace=("a",), key=f"k{number}", value=raw(value), updated_at=when)


def test_an_item_is_found_by_namespace_and_key() -> None:
    """With what it holds, and since when, where that is told."""
    with HeldItems() as held:
        held.add(item(1, {"n": 1.0, "m": 2}))
        held.add(item(2, "old"))
        held.add(item(2, "new"))
        held.add(item(99))
        assert held.find(item(1)) == HeldItem(digest_of(item(1, {"m": 2, "n": 1})), 1767268801.0)
        assert held.find(item(2)) == HeldItem(digest_of(item(2, "new")), 1767268802.0)
        assert held.find(item(99)) == HeldItem(digest_of(item(99)), None)
        assert held.find(item(3)) is None
        elsewhere = StoreItem(namespace=("a", "b"), key="k2", value=raw(None))
        assert held.find(elsewhere) is None


def test_many_items_cost_no_memory() -> None:
    tracemalloc.start()
    with HeldItems() as held:
        for number in range(20_000):
            held.add(item(number))
        used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 200_000
