"""Tables of lgx's that others have altered: refused before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import Secret, UsageError
from lgx.testing import make_context, make_run
from lgx_plugins.postgres import PostgresSink
from lgx_plugins.postgres.config import PostgresSinkConfig


@pytest.mark.parametrize(
    ("alteration", "held", "made"),
    [
        ("checkpoints metadata text", "text", "jsonb"),
        ("checkpoints metadata varchar", "varchar", "jsonb"),
        ("checkpoints metadata bytea USING metadata::text::bytea", "bytea", "jsonb"),
        ("checkpoints metadata json", "json", "jsonb"),
        ("checkpoints next text", "text", "jsonb"),
        ("checkpoints created_at bigint USING 0", "bigint", "timestamptz"),
        ("checkpoints created_at float8 USING 0", "float8", "timestamptz"),
        ("checkpoints created_at date", "date", "timestamptz"),
        ("checkpoints position float8", "float8", "bigint"),
        ("checkpoints digest uuid USING NULL", "uuid", "bytea"),
        ("threads thread_id name", "name", "text"),
        ("threads size int", "int4", "bigint"),
        ("runs run_id int USING 0", "int4", "text"),
        ("store_items value json", "json", "jsonb"),
    ],
)
async def test_a_column_of_another_type_is_named_and_nothing_is_written(
    shop: Any, alteration: str, held: str, made: str
) -> None:
    """A binary COPY would take bytes for what they are not; dry runs and doctor say it too."""
    table, column, kind = alteration.split(" ", 2)
    await shop.write(shop.thread("t"))
    shop.sql("DROP VIEW langgraph_messages; DROP INDEX langgraph_threads_by_metadata")
    shop.sql(f"ALTER TABLE langgraph_{table} ALTER {column} TYPE {kind}")
    for dry_run in (False, True):
        with pytest.raises(UsageError) as refused:
            async with shop.sink(make_run(dry_run=dry_run)):
                pass
        message = str(refused.value)
        assert message.startswith(f"column {column!r} of 'langgraph_{table}' in schema 'public' of")
        assert message.endswith(
            f" has type {held}, and lgx made it with type {made}; make it that again, or write "
            "under another --sink-table-prefix"
        )


async def test_columns_that_mean_the_same_are_written_to(shop: Any, lines: Any) -> None:
    """A text of bounded length, a time without zone, a domain."""
    await shop.write(shop.thread("t"))
    shop.sql("CREATE DOMAIN word AS text")
    for change in ("parent_checkpoint_id TYPE varchar", "checkpoint_ns TYPE word"):
        shop.sql(f"ALTER TABLE langgraph_checkpoints ALTER {change}")
    shop.sql(
        "ALTER TABLE langgraph_checkpoints ALTER created_at TYPE timestamp "
        "USING timezone('UTC', created_at)"
    )
    await shop.write(shop.thread("t", 3, "new"), version="2")
    assert await shop.read() == {"t": lines(shop.thread("t", 3, "new"))}


async def test_a_column_that_was_removed_is_named(shop: Any) -> None:
    """Before the run begins, and not in its midst."""
    await shop.write(shop.thread("t"))
    shop.sql("ALTER TABLE langgraph_checkpoints DROP tasks")
    with pytest.raises(UsageError, match=r"column 'tasks' of .* is not there, and lgx made it"):
        await shop.write(shop.thread("t"))


async def test_a_view_in_place_of_a_table_is_refused(shop: Any) -> None:
    """Rows cannot be copied into it."""
    await shop.write(shop.thread("t"))
    shop.sql("ALTER TABLE langgraph_checkpoints RENAME TO other")
    shop.sql("CREATE VIEW langgraph_checkpoints AS SELECT * FROM other")
    with pytest.raises(UsageError, match=r"is a view, and lgx made a table of that name"):
        await shop.write(shop.thread("t"))
    async with PostgresSink(PostgresSinkConfig(dsn=Secret(shop.dsn))) as sink:
        found = {fact.name: fact for fact in (await sink.probe(make_context())).facts}
    assert found["tables"].level == "error"


async def test_columns_of_the_other_layout_are_looked_at_too(shop: Any) -> None:
    """Values stand elsewhere there."""
    await shop.write(shop.thread("t"), layout="dedup")
    shop.sql("ALTER TABLE langgraph_checkpoint_rows ALTER values_size TYPE int")
    with pytest.raises(UsageError, match="column 'values_size' of 'langgraph_checkpoint_rows'"):
        await shop.write(shop.thread("t"))
