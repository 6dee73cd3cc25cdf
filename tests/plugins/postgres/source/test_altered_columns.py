"""Columns of lgx's own tables whose type somebody has changed, and what only rows by hand hold."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "alteration",
    [
        "checkpoints ALTER COLUMN metadata TYPE json USING metadata::json",
        'checkpoints ALTER COLUMN "values" TYPE text USING "values"::text',
        "checkpoints ALTER COLUMN checkpoint_id TYPE varchar",
        "checkpoints ALTER COLUMN created_at TYPE timestamp USING timezone('UTC', created_at)",
        "threads ALTER COLUMN metadata TYPE json USING metadata::json",
        "threads ALTER COLUMN updated_at TYPE timestamp USING timezone('UTC', updated_at)",
    ],
)
async def test_a_column_of_another_type_is_read_for_what_it_holds(
    shop: Any, alteration: str
) -> None:
    """The records are those of the column as lgx made it, escapes put back."""
    await shop.write(shop.thread("a\0", note="\0 \ufdd0"), shop.thread("b", checkpoints=5))
    before = await shop.records()
    shop.query("DROP INDEX langgraph_threads_by_metadata")
    shop.query(f"ALTER TABLE langgraph_{alteration}")
    assert await shop.records() == before


async def test_json_nested_deeper_than_a_stack_takes_is_read(shop: Any) -> None:
    """Nothing limits the depth of what somebody else has put into a column."""
    await shop.write(shop.thread("a"))
    deep = "[" * 4000 + "]" * 4000
    shop.query('UPDATE langgraph_checkpoints SET "values" = $1::text::jsonb', deep)
    records, losses = await shop.losses("a")
    assert losses == []
    found = [bytes(record.values) for record in records if record.kind == "checkpoint"]
    assert found == [deep.encode()] * 2


async def test_a_row_without_its_key_is_named_and_costs_itself_alone(shop: Any) -> None:
    """Constraints that were dropped let rows in that are no records."""
    await shop.write(shop.thread("a", checkpoints=3))
    shop.query("ALTER TABLE langgraph_checkpoints ALTER COLUMN checkpoint_id DROP NOT NULL")
    shop.query("UPDATE langgraph_checkpoints SET checkpoint_id = NULL WHERE position = 1")
    records, (loss,) = await shop.losses("a")
    assert sum(record.kind == "checkpoint" for record in records) == 2
    assert loss.what == "checkpoint None of namespace ''"
    assert loss.why == "a row is no checkpoint: object missing required field checkpoint_id"
    assert (loss.thread_id, loss.checkpoints) == ("a", 1)
