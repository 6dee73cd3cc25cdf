"""Rows of a store that no store wrote, where one is read and where one is written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lgx import Bundle, StoreItem, raw, run_async
from lgx.config import convert
from lgx.testing import make_context, make_run
from lgx_plugins.checkpointers.sqlite import SqliteSaverSink

WHEN = "2026-01-01T00:00:00+00:00"


def _item(key: str, **extra: Any) -> StoreItem:
    fields: dict[str, Any] = {"extra": extra} if extra else {}
    fields |= {"created_at": WHEN, "updated_at": WHEN}
    return StoreItem(namespace=("n",), key=key, value=raw({"new": key}), **fields)


async def _written(place: Any, *items: StoreItem, dry: bool = False) -> Any:
    context = make_context()
    config = convert(SqliteSaverSink.config_type, place.use().options, where="--sink")
    async with SqliteSaverSink(config) as sink:
        await sink.begin(make_run(dry_run=dry), context)
        spool = context.spool()
        for one in items:
            spool.append(one)
        bundle = Bundle(spool, ref=None, mark=None)
        outcome = await (sink.preview_extras if dry else sink.write_extras)(
            "store_item", bundle, context
        )
        bundle.close()
    return outcome


@pytest.mark.parametrize("dry", [True, False])
async def test_a_row_that_is_no_item_is_left_and_told_and_the_others_arrive(
    new_place: Callable[[str], Any], dry: bool
) -> None:
    """One that cannot be compared with what comes is not written over, and no item of the batch
    fails with it."""
    place = new_place("sqlite")
    with place.store() as store:
        for key in ("a", "b", "c"):
            store.put(("n",), key, {"old": key})
    place.sql("UPDATE store SET value = '{' WHERE key = 'a'")
    place.sql("UPDATE store SET ttl_minutes = 9e999 WHERE key = 'b'")
    place.sql("UPDATE store SET updated_at = '2001-01-01 00:00:00'")
    items = [_item(key) for key in "abcd"]

    outcome = await _written(place, *items, dry=dry)

    assert outcome.error is None
    assert [loss.what for loss in outcome.losses] == [
        "store item 'a' of 'n'",
        "store item 'b' of 'n'",
    ]
    assert all("what stands there cannot be compared" in loss.why for loss in outcome.losses)
    keys = [
        key for (key,) in place.sql("SELECT key FROM store WHERE CAST(value AS TEXT) LIKE '%new%'")
    ]
    assert keys == ([] if dry else ["c", "d"])


async def test_a_life_that_no_number_of_the_table_holds_is_refused(
    new_place: Callable[[str], Any],
) -> None:
    """It would stand there as infinity, which nothing reads again."""
    place = new_place("sqlite")

    outcome = await _written(
        place, _item("k", ttl_minutes=raw(1)), _item("long", ttl_minutes=_HUGE)
    )

    assert [loss.what for loss in outcome.losses] == ["store item 'long' of 'n'"]
    assert place.sql("SELECT key, ttl_minutes FROM store") == [("k", 1.0)]


_HUGE: Any = type(raw(1))(b"1e999")


@pytest.mark.parametrize("column", ["field_name", "created_at", "updated_at"])
async def test_a_vector_whose_cells_are_bytes_is_left_and_told(
    new_place: Callable[[str], Any], column: str
) -> None:
    """It does not keep the items from being read."""
    place, target = new_place("sqlite"), new_place("sqlite")
    with place.store(index={"dims": 1, "embed": lambda texts: [[1.0] for _ in texts]}) as store:
        for key in ("a", "b"):
            store.put(("n",), key, {"text": key})
    place.sql(f"UPDATE store_vectors SET {column} = x'ff' WHERE key = 'a'")

    report = await run_async(place.use(), target.use(), extras=True)

    assert target.sql("SELECT key FROM store ORDER BY key") == [("a",), ("b",)]
    assert target.sql("SELECT key FROM store_vectors") == [("b",)]
    assert any("1 rows of 'store_vectors'" in note.message for note in report.notes)
