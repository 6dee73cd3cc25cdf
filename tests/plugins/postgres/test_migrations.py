"""The mechanism by which the schema changes: each step once, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from lgx import LockedError, Thread, UsageError
from lgx.testing import make_run, same_records
from lgx_plugins.postgres.cells import escape_text
from lgx_plugins.postgres.connection import Address, close, transaction
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.migrations import MIGRATIONS, Migration, found_tables, migrate, prepare
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.older import is_older


def _second(n: Names) -> Sequence[str]:
    return (f"ALTER TABLE {n('threads')} ADD COLUMN second TEXT",)


def _third(n: Names) -> Sequence[str]:
    return (f"CREATE TABLE {n('third')} (x INT)", f"INSERT INTO {n('third')} VALUES (3)")


def _failing(n: Names) -> Sequence[str]:
    return (f"CREATE TABLE {n('half')} (x INT)", "CREATE TABLE (")


async def _prepare(address: Address, names: Names, *more: Migration) -> None:
    lease = TargetLease(address, names)
    try:
        await prepare(address, names, lease, (*MIGRATIONS, *more))
    finally:
        await lease.release()


def _relations(sql: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = sql(
        "SELECT n.nspname, c.relname, c.relkind FROM pg_class AS c JOIN pg_namespace AS n "
        "ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg%' "
        "AND n.nspname <> 'information_schema' ORDER BY 1, 2"
    )
    return rows


def _versions(sql: Any) -> list[int]:
    return [v for (v,) in sql("SELECT version FROM langgraph_migrations ORDER BY version")]


async def test_a_first_run_that_another_one_overtakes_sees_its_tables_or_none(
    address: Address, names: Names, sql: Any
) -> None:
    """Of one moment: tables that appear between two looks are not taken for somebody else's."""
    connection = await address.connect()
    try:
        async with transaction(connection, one_moment=True):
            assert await is_older(connection, names) is False
            await _prepare(address, names)
            assert await found_tables(connection, address.place, names) == (0, False)
        async with transaction(connection, one_moment=True):
            assert await found_tables(connection, address.place, names) == (1, False)
    finally:
        await close(connection)


async def test_tables_say_what_they_are_for(address: Address, names: Names, sql: Any) -> None:
    """Whatever the prefix and the schema are, to whoever looks at them with psql."""
    for some in (names, Names('o\'dd \\ "schema"', "pre'fix \\")):
        await _prepare(address, some)
        described = sql(
            "SELECT count(DISTINCT d.objoid), count(*) FROM pg_description AS d "
            "JOIN pg_class AS c ON c.oid = d.objoid JOIN pg_namespace AS n "
            "ON n.oid = c.relnamespace WHERE n.nspname = $1",
            some.schema,
        )
        assert described == [(11, 36)]


async def test_a_new_target_gets_every_version(address: Address, names: Names, sql: Any) -> None:
    """All steps in order, each recorded; and an id of its own."""
    await _prepare(address, names, _second, _third)
    assert _versions(sql) == [1, 2, 3]
    assert sql("SELECT * FROM langgraph_third") == [(3,)]
    ((key, value),) = sql("SELECT * FROM langgraph_info")
    assert (key, len(value)) == ("database_id", 36)


async def test_an_older_schema_is_brought_up_to_date_with_its_data(
    address: Address, names: Names, sql: Any, target: Any
) -> None:
    """Steps that were applied are not applied again."""
    await target.write([Thread(thread_id="t")])
    await _prepare(address, names, _second)
    await _prepare(address, names, _second, _third)
    await _prepare(address, names, _second, _third)
    assert _versions(sql) == [1, 2, 3]
    assert sql("SELECT thread_id, second FROM langgraph_threads") == [("t", None)]
    assert sql("SELECT * FROM langgraph_third") == [(3,)]


async def test_a_failed_migration_leaves_the_schema_as_it_was(
    address: Address, names: Names, sql: Any, target: Any
) -> None:
    """Steps of one run are one transaction; the lock is free afterwards."""
    import asyncpg

    await target.write([Thread(thread_id="t")])
    before = _relations(sql)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await _prepare(address, names, _second, _failing)
    assert _relations(sql) == before
    assert _versions(sql) == [1]
    assert await target.read() == {"t": [Thread(thread_id="t")]}
    await _prepare(address, names)


async def test_what_looks_like_an_escape_in_tables_of_an_older_tool_stays_what_it_is(
    target: Any, older: Any
) -> None:
    """lgx escapes by U+FDD0, and reads its own tables so; theirs had no escapes."""
    text = "\ufdd00000 \ufdd0fdd0 \ufdd0"
    older(
        "INSERT INTO langgraph_threads (thread_id, source_url) VALUES ('t', 'u'), ($1, 'u')", text
    )
    older(
        "INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id, checkpoint_data, values) "
        "VALUES ('t', $1, $2::text::jsonb, $2::text::jsonb)",
        text,
        f'{{"checkpoint_ns": "{text}", "{text}": ["{text}"]}}',
    )
    before = await target.read()
    await target.write(run=make_run(source="u"))
    after = await target.read()
    assert same_records(after["t"], before["t"]) == []
    assert (after["t"][1].checkpoint_ns, after["t"][1].checkpoint_id) == (text, text)
    assert older("SELECT thread_id FROM langgraph_threads ORDER BY id") == [
        ("t",),
        (escape_text(text).decode(),),
    ]


async def test_a_newer_schema_is_refused_by_both_ends(
    target: Any, sql: Any, address: Address
) -> None:
    """And is not changed."""
    await target.write([Thread(thread_id="t")])
    sql("INSERT INTO langgraph_migrations VALUES (7)")
    before = _relations(sql)
    lease = sql("SELECT * FROM langgraph_lease")
    message = (
        f"the tables 'public.langgraph_*' in {address.place} have schema version 7, and this "
        "lgx knows versions up to 1; install a newer lgx"
    )
    with pytest.raises(UsageError) as written:
        await target.write([Thread(thread_id="t")])
    with pytest.raises(UsageError) as read:
        await target.read()
    assert [str(written.value), str(read.value)] == [message, message]
    assert _relations(sql) == before
    assert sql("SELECT * FROM langgraph_lease") == lease


async def test_tables_of_somebody_else_are_left_alone(
    address: Address, names: Names, sql: Any
) -> None:
    """Whatever has one of the names is named; not even the lock's table is made."""
    for made in (
        "TABLE langgraph_runs (x INT)",
        "VIEW langgraph_messages AS SELECT 1",
        "TABLE langgraph_migrations (version BIGINT)",
        "TABLE langgraph_lease (tenant TEXT)",
    ):
        sql(f"CREATE {made}")
        before = _relations(sql)
        name = made.split()[1]
        with pytest.raises(UsageError) as refused:
            await _prepare(address, names)
        assert str(refused.value) == (
            f"{address.place} has {name!r} in schema 'public', and lgx did not make it; "
            "choose another --sink-table-prefix or --sink-schema"
        )
        assert _relations(sql) == before
        sql(f"DROP {made.split()[0]} {name}")
    sql("CREATE TABLE threads (mine INT)")
    await _prepare(address, names)
    assert sql("SELECT * FROM threads") == []


async def test_an_index_of_somebody_else_is_named(address: Address, names: Names, sql: Any) -> None:
    """Indexes share the names of tables."""
    sql("CREATE TABLE mine (x INT); CREATE INDEX langgraph_threads_by_status ON mine (x);")
    with pytest.raises(UsageError) as refused:
        await _prepare(address, names)
    assert str(refused.value) == (
        f'{address.place} cannot hold lgx\'s tables: relation "langgraph_threads_by_status" '
        "already exists; choose another table-prefix or schema"
    )


async def test_migrations_run_under_the_lock(address: Address, names: Names, sql: Any) -> None:
    """A second run cannot migrate what the first one writes to."""
    lease = TargetLease(address, names)
    await prepare(address, names, lease)
    with pytest.raises(LockedError):
        await _prepare(address, names, _second)
    assert _versions(sql) == [1]
    await lease.release()


async def test_a_run_that_lost_its_turn_migrates_nothing(
    address: Address, names: Names, sql: Any
) -> None:
    """The fence stands before the first statement."""
    await _prepare(address, names)
    first, second = TargetLease(address, names), TargetLease(address, names)
    await first.acquire()
    sql("UPDATE langgraph_lease SET token = gen_random_uuid()")
    connection = await address.connect()
    with pytest.raises(LockedError):
        async with connection.transaction():
            await first.fence(connection)
            await migrate(connection, "", names, (*MIGRATIONS, _second))
    await close(connection)
    await first.release()
    await second.acquire()
    await second.release()
    assert _versions(sql) == [1]


async def test_two_runs_may_make_one_schema_at_once(address: Address, sql: Any) -> None:
    """For two targets in it: neither fails because the other was quicker."""
    prefixes = [f"p{number}_" for number in range(6)]
    await asyncio.gather(*(_prepare(address, Names("fresh", prefix)) for prefix in prefixes))
    assert sql(
        "SELECT relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE nspname = 'fresh' AND relname LIKE '%\\_threads' ORDER BY 1"
    ) == [(f"{prefix}threads",) for prefix in prefixes]


async def test_a_schema_is_made_where_it_is_missing_and_nothing_beside_it(
    target: Any, sql: Any
) -> None:
    """One that is there needs no right to make one."""
    await target.write([Thread(thread_id="t")], schema="fresh")
    assert {schema for schema, _, _ in _relations(sql)} == {"fresh"}
    assert await target.read(schema="fresh") == {"t": [Thread(thread_id="t")]}
