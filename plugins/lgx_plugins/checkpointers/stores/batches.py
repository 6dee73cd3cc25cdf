"""Items that are to be written, some at a time."""

from __future__ import annotations

from collections.abc import Iterator

from lgx import Bundle, StoreItem, ThreadError
from lgx_plugins.checkpointers.stores.items import Item, called, item_of
from lgx_plugins.checkpointers.stores.landing import Landing

__all__ = ["Batch", "batches"]

Batch = dict[tuple[str, str], Item]

_MOST = 500
_BYTES = 4 << 20


def batches(bundle: Bundle, landing: Landing) -> Iterator[Batch]:
    """By their keys; of those that came twice under one the last. What no store can hold is
    told, and left out."""
    batch: Batch = {}
    size = 0
    for record in bundle:
        assert isinstance(record, StoreItem), "the engine gives records of one kind"
        try:
            item = item_of(record)
        except ThreadError as error:
            landing.refuse(called(record.namespace, record.key), str(error))
            continue
        for name in item.others:
            landing.without(
                f"field {name!r}", "the tables of a store have no column for it", holdable=False
            )
        batch[item.identity] = item
        size += len(item.value) + sum(len(one.data) for one in item.vectors.values())
        if len(batch) >= _MOST or size >= _BYTES:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch
