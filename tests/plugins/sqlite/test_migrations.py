"""The mechanism by which the schema changes: each step once, all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from lgx import UsageError, encode_line
from lgx_plugins.sqlite.connection import connect, create_file
from lgx_plugins.sqlite.migrations import MIGRATIONS, Migration, migrate
from lgx_plugins.sqlite.names import Names

NAMES = Names("langgraph_")


def _second(n: Names) -> Sequence[str]:
    return (f"ALTER TABLE {n('threads')} ADD COLUMN second TEXT",)


def _third(n: Names) -> Sequence[str]:
    return (f"CREATE TABLE {n('third')} (x)", f"INSERT INTO {n('third')} VALUES (3)")


def _failing(n: Names) -> Sequence[str]:
    return (f"CREATE TABLE {n('half')} (x)", "CREATE TABLE (")


async def _migrate(shop: Any, migrations: Sequence[Migration]) -> None:
    connection = await connect(shop.path, mode="rw", busy_seconds=0)
    try:
        await connection.execute("BEGIN IMMEDIATE")
        await migrate(connection, shop.path, NAMES, migrations)
        await connection.execute("COMMIT")
    finally:
        await connection.close()


def _versions(shop: Any) -> list[int]:
    rows = shop.query("SELECT version FROM langgraph_migrations ORDER BY version")
    return [version for (version,) in rows]


async def test_a_new_database_gets_every_version(shop: Any) -> None:
    """All steps in order, each recorded."""
    create_file(shop.path)
    await _migrate(shop, (*MIGRATIONS, _second, _third))
    assert _versions(shop) == [1, 2, 3]
    assert shop.query("SELECT * FROM langgraph_third") == [(3,)]


async def test_an_older_schema_is_brought_up_to_date_with_its_data(shop: Any) -> None:
    """Steps that were applied are not applied again."""
    await shop.write(shop.thread("t"))
    await _migrate(shop, (*MIGRATIONS, _second))
    await _migrate(shop, (*MIGRATIONS, _second, _third))
    await _migrate(shop, (*MIGRATIONS, _second, _third))
    assert _versions(shop) == [1, 2, 3]
    assert shop.query("SELECT thread_id, second FROM langgraph_threads") == [("t", None)]
    assert shop.query("SELECT * FROM langgraph_third") == [(3,)]


async def test_a_failed_migration_leaves_the_schema_as_it_was(shop: Any) -> None:
    """Steps of one run are one transaction."""
    await shop.write(shop.thread("t"))
    before = shop.query("SELECT sql FROM sqlite_master ORDER BY name")
    with pytest.raises(sqlite3.OperationalError):
        await _migrate(shop, (*MIGRATIONS, _second, _failing))
    assert shop.query("SELECT sql FROM sqlite_master ORDER BY name") == before
    assert _versions(shop) == [1]
    assert await shop.lines() == {"t": list(map(encode_line, shop.thread("t")))}


async def test_a_newer_schema_is_refused_by_both_ends(shop: Any) -> None:
    """And is not changed."""
    await shop.write(shop.thread("t"))
    shop.query("INSERT INTO langgraph_migrations VALUES (7, '2027-01-01')")
    before = shop.path.read_bytes()
    message = (
        f"the tables in {str(shop.path)!r} have schema version 7, and this lgx knows versions up "
        "to 1; install a newer lgx"
    )
    with pytest.raises(UsageError) as written:
        await shop.write(shop.thread("t"))
    with pytest.raises(UsageError) as read:
        await shop.lines()
    assert [str(written.value), str(read.value)] == [message, message]
    assert shop.path.read_bytes() == before
