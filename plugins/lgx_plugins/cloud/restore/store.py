"""Items of the long-term store, put into another server's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import UnsetType

from lgx import Bundle, Context, Loss, RetryableError, StoreItem, ThreadError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.extras import Extras
from lgx_plugins.cloud.restore.arrived import altered_items, name_of
from lgx_plugins.cloud.restore.belongings import Restored, encoded, extra_of, said
from lgx_plugins.cloud.restore.foreseen import Foreseen
from lgx_plugins.cloud.restore.items import HeldItem, HeldItems, digest_of, since_of

__all__ = ["restore_items"]

Conflict: TypeAlias = Literal["fail", "skip", "replace"]

_AT_ONCE = 16


async def restore_items(
    client: Client,
    bundle: Bundle,
    conflict: Conflict,
    context: Context,
    foreseen: Foreseen | None = None,
) -> Restored:
    """Puts each that is not there yet, or is older there, under its namespace and key.

    Args:
        foreseen: takes what would be done, which is then not done.

    Returns:
        Among the losses those that were left because they are newer there.
    """
    with HeldItems() as there:
        async for item in Extras(client, context).of("store_item"):
            assert isinstance(item, StoreItem)
            there.add(item)
        losses, unchanged = await _restore(client, bundle, there, conflict, context, foreseen)
    if foreseen is None and len(bundle) > len(losses) + unchanged:
        losses += await altered_items(client, bundle, {loss.what for loss in losses}, context)
    return Restored([*losses, *_vectors(bundle)], len(bundle) - len(losses), unchanged)


def _vectors(bundle: Bundle) -> list[Loss]:
    """What tables of a store have, and a server can be given by nobody."""
    count = sum(
        isinstance(item, StoreItem) and said(extra_of(item.extra), "vectors") for item in bundle
    )
    if not count:
        return []
    why = "a server makes them by itself, where its configuration says so"
    what = f"vectors of {count} store item{'s' * (count != 1)}"
    return [Loss(what=what, why=why, holdable=False)]


async def _restore(
    client: Client,
    bundle: Bundle,
    there: HeldItems,
    conflict: Conflict,
    context: Context,
    foreseen: Foreseen | None,
) -> tuple[list[Loss], int]:
    """What did not come of it, or was left; and how many are the same there."""
    losses: list[Loss] = []
    unchanged = 0
    items = iter(bundle)

    async def worker(items: Iterator[object]) -> None:
        nonlocal unchanged
        for item in items:
            assert isinstance(item, StoreItem)
            held = there.find(item)
            same = held is not None and held.digest == digest_of(item)
            if same and foreseen is not None:
                foreseen.add("unchanged", name_of(item))
            if same:
                unchanged += 1
                await asyncio.sleep(0)  # many may be the same, and others run, too
                continue
            if held is not None and conflict != "replace" and _newer(held, item):
                losses.append(_left(item, conflict))
                continue
            if foreseen is not None:
                foreseen.add("created" if held is None else "replaced", name_of(item))
                continue
            try:
                await _put(client, item, context)
            except (ThreadError, RetryableError) as error:
                losses.append(Loss(what=name_of(item), why=str(error)))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(worker(items))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # what ends the run, which all of them met
    return losses, unchanged


def _left(item: StoreItem, conflict: Conflict) -> Loss:
    skips = conflict == "skip"
    remedy = " (--sink-on-conflict skip)" if skips else "; --sink-on-conflict replace does"
    return Loss(
        what=name_of(item),
        why=f"it stands there with other content that is newer, and was not replaced{remedy}",
        holdable=not skips,
        left=skips,
    )


def _newer(held: HeldItem, item: StoreItem) -> bool:
    """Whether it was changed on the target after its last change at the source."""
    since = since_of(item)
    return held.since is None or since is None or held.since >= since


async def _put(client: Client, item: StoreItem, context: Context) -> None:
    body: dict[str, object] = {"namespace": item.namespace, "key": item.key}
    if not isinstance(item.value, UnsetType):
        body["value"] = item.value
    extra = extra_of(item.extra)
    body |= {name: extra[name] for name in ("index", "ttl") if name in extra}
    if "ttl" not in body and said(extra, "ttl_minutes"):  # as tables of a store call it
        body["ttl"] = extra["ttl_minutes"]
    await client.light(
        context,
        "PUT",
        "/store/items",
        encoded(body),
        opening=None,
        what=f"store item {item.key!r}",
    )
