"""The tables that lgx makes are PostgresSaver's own, and those that are there it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.postgres.base import MIGRATIONS

from lgx import CheckpointWrite, UsageError
from lgx.testing import make_run

CATALOG = {
    "columns": """
        SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default,
            collation_name FROM information_schema.columns WHERE table_schema = 'public'
            AND table_name LIKE 'checkpoint%' ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        AND tablename LIKE 'checkpoint%' ORDER BY 1, 2""",
    "constraints": """
        SELECT c.relname::text, k.conname::text, pg_get_constraintdef(k.oid)
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
        WHERE c.relname LIKE 'checkpoint%' ORDER BY 1, 2""",
    "tables": """
        SELECT relname::text, relkind::text, relpersistence::text, reloptions FROM pg_class
        WHERE relname LIKE 'checkpoint%' ORDER BY 1""",
    "migrations": "SELECT v FROM checkpoint_migrations ORDER BY v",
}

LEVELS = [4, 8, 9]
"""Migrations after which versions of PostgresSaver left the tables: without indexes, without
task_path, and whole."""


def catalog(store: Any) -> dict[str, list[tuple[Any, ...]]]:
    return {name: store.sql(query) for name, query in CATALOG.items()}


def make_level(store: Any, level: int, schema: str = "public") -> None:
    """Tables as after that migration, made by upstream's own statements."""
    for number, statement in enumerate(MIGRATIONS[: level + 1]):
        store.sql(statement.strip().rstrip(";").replace(" CONCURRENTLY", ""))
        store.sql("INSERT INTO checkpoint_migrations (v) VALUES ($1)", number)


async def test_new_tables_are_those_of_the_saver_s_own_setup(
    new_store: Callable[[], Any],
) -> None:
    """Columns, types, defaults, keys, indexes and the numbers of migrations."""
    ours, theirs = new_store(), new_store()
    async with ours.writing():
        pass
    with theirs.saver():
        pass

    made = catalog(ours)
    assert made == catalog(theirs)
    assert made["migrations"] == [(number,) for number in range(len(MIGRATIONS))]

    with ours.saver():  # runs setup()
        pass
    assert catalog(ours) == made


@pytest.mark.parametrize("level", LEVELS)
async def test_tables_of_every_older_version_are_read_and_written_as_they_stand(
    new_store: Callable[[], Any], filled: Any, level: int
) -> None:
    """What they have no column for is told, where there is any."""
    older, back = new_store(), new_store()
    make_level(older, level)
    before = catalog(older)

    report = await filled.copy_to(older)

    assert catalog(older) == before
    if level < 9:
        assert report.exit_code == 3
        assert {failure.what.partition(" ")[0] for failure in report.failures} == {"task_path"}
        assert report.threads.partial == report.threads.listed
    else:
        assert report.exit_code == 0
    assert (await older.copy_to(back)).exit_code == 0
    for table in ("checkpoints", "checkpoint_blobs"):
        assert back.rows()[table] == filled.rows()[table]
    pathless = [
        (*row[:-1], row[-1] if level == 9 else "") for row in filled.rows()["checkpoint_writes"]
    ]
    assert sorted(back.rows()["checkpoint_writes"]) == sorted(pathless)


async def test_writes_of_a_table_without_task_path_say_that_they_have_none(
    new_store: Callable[[], Any],
) -> None:
    older = new_store()
    make_level(older, 8)
    older.sql(
        "INSERT INTO checkpoint_writes VALUES ('t', '', 'c', 'task', -1, 'x', 'bytes', 'abc')"
    )

    assert await older.read() == {
        "t": [
            CheckpointWrite(
                thread_id="t",
                checkpoint_ns="",
                checkpoint_id="c",
                task_id="task",
                idx=-1,
                channel="x",
                type="bytes",
                blob=b"abc",
            )
        ]
    }


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE TABLE checkpoint_writes (id int)", "and no 'checkpoints'"),
        (
            """CREATE TABLE checkpoints (x int); CREATE TABLE checkpoint_blobs (x int);
            CREATE TABLE checkpoint_writes (x int);""",
            "lacks 'thread_id'",
        ),
        ("CREATE TABLE checkpoint_migrations (v int)", "'checkpoint_migrations', and none"),
        ("CREATE TABLE lgx_marks (thread_id text)", "'lgx_marks', and lgx did not make it"),
    ],
)
async def test_tables_of_somebody_else_are_left_alone(
    new_store: Callable[[], Any], statement: str, said: str
) -> None:
    store = new_store()
    store.sql(statement)

    with pytest.raises(UsageError, match=said):
        async with store.writing():
            pass

    assert store.sql("SELECT relname::text FROM pg_class WHERE relname LIKE 'lgx_lease%'") == []


async def test_a_dry_run_makes_nothing(new_store: Callable[[], Any]) -> None:
    store = new_store()
    async with store.writing(make_run(dry_run=True), schema="nowhere"):
        pass
    assert store.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'nowhere'") == [(0,)]
