"""Constraints, triggers and rules that others added to the tables: they cost threads, never rows
without a word, and never the run."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lgx import StoreItem, ThreadError, raw


async def test_a_rule_of_somebody_else_costs_the_thread_that_breaks_it(shop: Any) -> None:
    """A constraint that was added to the tables does not pass by waiting."""
    async with shop.sink() as sink:
        shop.sql("ALTER TABLE langgraph_threads ADD CONSTRAINT mine CHECK (thread_id <> 'b')")
        bundles = [shop.bundle(shop.thread(one)) for one in "abc"]
        outcomes = await sink.write(bundles, shop.context)
    assert [outcome.error for outcome in outcomes] == [
        None,
        (
            "what others added to lgx's tables refuses it (new row for relation "
            '"langgraph_threads" violates check constraint "mine"); correct that, or write under '
            "another --sink-table-prefix"
        ),
        None,
    ]
    assert shop.context.progress.retries == 0
    assert set(await shop.read()) == {"a", "c"}


async def test_a_reference_of_somebody_else_costs_the_thread_it_holds(shop: Any) -> None:
    """A row that another table refers to cannot be replaced: said at once, not tried for ever."""
    await shop.write(shop.thread("a"), shop.thread("b"))
    shop.sql(
        "CREATE TABLE notes (checkpoint bigint REFERENCES langgraph_checkpoints (id));"
        "INSERT INTO notes SELECT id FROM langgraph_checkpoints WHERE thread_id = 'b'"
    )
    async with shop.sink() as sink:
        bundles = [shop.bundle(shop.thread(one, note="new"), version="2") for one in "abc"]
        outcomes = await sink.write(bundles, shop.context)
    assert [outcome.error for outcome in outcomes] == [
        None,
        (
            "what others added to lgx's tables refuses it (update or delete on table "
            '"langgraph_checkpoints" violates foreign key constraint "notes_checkpoint_fkey" on '
            'table "notes"); correct that, or write under another --sink-table-prefix'
        ),
        None,
    ]
    assert shop.context.progress.retries == 0


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("RAISE EXCEPTION 'not this one'", "refuses it (not this one); correct that, or write"),
        ("PERFORM 1 / 0", "refuses it (division by zero); correct that, or write"),
        (
            "PERFORM no_such()",
            (
                "refuses it (function no_such() does not exist); correct that, or write under "
                "another --sink-table-prefix; functions are called with search_path = pg_catalog: "
                "they must name schemas"
            ),
        ),
    ],
)
async def test_a_trigger_that_fails_costs_the_thread_it_fails_for(
    shop: Any, body: str, why: str
) -> None:
    """However it fails: the run goes on with the others."""
    async with shop.sink() as sink:
        shop.sql(
            f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.thread_id = 'b' THEN {body}; END IF; RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON langgraph_checkpoints
                FOR EACH ROW EXECUTE FUNCTION refuse();"""
        )
        bundles = [shop.bundle(shop.thread(one)) for one in "abc"]
        outcomes = await sink.write(bundles, shop.context)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert why in outcomes[1].error
    assert set(await shop.read()) == {"a", "c"}


_SWALLOWS = """CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF to_jsonb(coalesce(NEW, OLD)) ->> TG_ARGV[0] = '2' THEN RETURN NULL; END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER swallow BEFORE {what} ON langgraph_{table}
    FOR EACH ROW EXECUTE FUNCTION swallow('{by}');"""


_KEEPS = "CREATE RULE keep AS ON {what} TO langgraph_{table} WHERE OLD.{by} = 2 DO INSTEAD NOTHING"


@pytest.mark.parametrize(
    ("layout", "added"),
    [
        ("plain", _SWALLOWS.format(what="INSERT", table="checkpoints", by="thread")),
        ("plain", _SWALLOWS.format(what="DELETE", table="checkpoints", by="thread")),
        ("plain", _SWALLOWS.format(what="UPDATE", table="threads", by="id")),
        ("plain", _SWALLOWS.format(what="INSERT", table="runs", by="thread")),
        ("dedup", _SWALLOWS.format(what="INSERT", table="checkpoint_rows", by="thread")),
        ("dedup", _SWALLOWS.format(what="INSERT", table="channel_values", by="thread")),
        ("plain", _KEEPS.format(what="UPDATE", table="threads", by="id")),
        ("plain", _KEEPS.format(what="DELETE", table="checkpoints", by="thread")),
    ],
)
async def test_rows_that_a_trigger_or_a_rule_swallows_cost_their_thread(
    shop: Any, lines: Any, layout: str, added: str
) -> None:
    """What the server says that it did is compared with what was to be done."""
    await shop.write(*(shop.thread(one) for one in "abc"), layout=layout)
    shop.sql(added)
    async with shop.sink(layout=layout) as sink:
        new = [shop.thread(one, note="new") for one in "abc"]
        new[1][3] = msgspec.structs.replace(new[1][3], status="failed")
        bundles = [shop.bundle(one, version="2") for one in new]
        outcomes = await sink.write(bundles, shop.context)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "others added a trigger or a rule to it" in outcomes[1].error
    assert shop.context.progress.retries == 0
    read = await shop.read()
    assert read == {"a": lines(new[0]), "b": lines(shop.thread("b")), "c": lines(new[2])}


async def test_a_swallowed_move_costs_the_thread(shop: Any, lines: Any) -> None:
    """Rows that only change their place are counted too."""
    await shop.write(shop.thread("t", 4))
    shop.sql("CREATE RULE swallow AS ON UPDATE TO langgraph_checkpoints DO INSTEAD NOTHING")
    records = shop.thread("t", 4)
    async with shop.sink() as sink:
        bundle = shop.bundle([records[0], *records[2:]], version="2")
        (outcome,) = await sink.write([bundle], shop.context)
    # Looked at closely all rows come anew, and none is moved.
    assert outcome.error is None
    assert await shop.read() == {"t": lines([records[0], *records[2:]])}


@pytest.mark.parametrize("what", ["INSERT", "UPDATE", "DELETE"])
async def test_extras_that_a_trigger_swallows_are_failures(shop: Any, what: str) -> None:
    """As for threads."""
    item = StoreItem(namespace=("a",), key="1", value=raw(1))
    async with shop.sink() as sink:
        await sink.write_extras("store_item", shop.extras([item]), shop.context)
        shop.sql(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN RETURN NULL; END';"
            f"CREATE TRIGGER swallow BEFORE {what} ON langgraph_store_items "
            "FOR EACH ROW EXECUTE FUNCTION swallow()"
        )
        new = {
            "INSERT": [item, StoreItem(namespace=("b",), key="2", value=raw(1))],
            "UPDATE": [msgspec.structs.replace(item, value=raw(2))],
            "DELETE": [],
        }[what]
        outcome = await sink.write_extras("store_item", shop.extras(new), shop.context)
    assert "others added a trigger or a rule to it" in outcome.error


async def test_threads_that_a_rule_keeps_are_not_called_removed(shop: Any) -> None:
    """Asking for their removal fails."""
    async with shop.sink() as sink:
        await sink.write([shop.bundle(shop.thread("t"))], shop.context)
        shop.sql("CREATE RULE swallow AS ON DELETE TO langgraph_threads DO INSTEAD NOTHING")
        with pytest.raises(ThreadError, match="others added a trigger or a rule"):
            await sink.forget(["t"])
