"""A version tells whatever has changed about a thread, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lgx.testing import PostgresProcess

_ROWS = """
INSERT INTO checkpoints VALUES
    ('t', '', '1', NULL, NULL, '{"v": 4, "id": "1", "channel_values": {"a": "yes"}}',
        '{"step": 1}'),
    ('t', 'child:1', '1', NULL, NULL, '{"v": 4, "id": "1"}', '{}');
INSERT INTO checkpoint_blobs VALUES ('t', '', 'a', '1', 'msgpack', '\\x93010203');
INSERT INTO checkpoint_writes VALUES
    ('t', '', '1', 'task', 0, 'a', 'msgpack', '\\x01', '~a'),
    ('t', '', '1', 'task', -4, '__resume__', 'msgpack', '\\x02', '~a');
"""


@pytest.fixture
def store(new_store: Callable[[], Any]) -> Any:
    store = new_store()
    with store.saver():
        pass
    store.sql(_ROWS)
    return store


async def _version(store: Any) -> str:
    (ref,) = await store.refs()
    version: str = ref.version
    return version


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE checkpoint_writes SET blob = '\\x03' WHERE idx = -4",
        "UPDATE checkpoint_writes SET type = 'msgpacc' WHERE idx = 0",
        "UPDATE checkpoint_blobs SET version = '2'",
        """UPDATE checkpoints SET checkpoint = '{"v": 3, "id": "1"}' WHERE checkpoint_ns <> ''""",
        "DELETE FROM checkpoints WHERE checkpoint_ns = ''",
        """BEGIN; DELETE FROM checkpoint_writes WHERE idx = 0; INSERT INTO checkpoint_writes VALUES
            ('t', '', '1', 'task', 0, 'a', 'msgpack', '\\x09', '~a'); COMMIT""",
    ],
)
async def test_whatever_is_changed_is_told(store: Any, change: str) -> None:
    """Also where keys and sizes stay the same, as where an interrupt is answered; test_source.py
    has more."""
    before = await _version(store)

    store.sql(change)

    assert await _version(store) != before


@pytest.mark.parametrize(
    "upkeep",
    [
        "VACUUM FREEZE {}",
        "VACUUM FULL {}",
        "CLUSTER {0} USING {0}_pkey",
        "REINDEX TABLE {}",
        "ANALYZE {}",
        "ALTER TABLE {} ADD COLUMN own text DEFAULT 'x'",
    ],
)
async def test_upkeep_changes_nothing(store: Any, upkeep: str) -> None:
    """A server's own work makes nobody read everything again."""
    before = await _version(store)

    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        store.sql(upkeep.format(table))

    assert await _version(store) == before


async def test_servers_that_count_alike_are_told_apart(store: Any, tmp_path: Path) -> None:
    """Two that were set up by one script, as in a container that is made anew, have the same
    numbers of transactions; the second has other values of the same size."""
    numbers, versions = [], []
    for value in ("yes", "nay"):
        with PostgresProcess() as server:
            new = type(store)(server, server.new_database(), tmp_path)
            with new.saver():
                pass
            new.sql(_ROWS.replace("yes", value))
            numbers.append(new.sql("SELECT xmin::text FROM checkpoints ORDER BY 1"))
            versions.append(await _version(new))

    assert numbers[0] == numbers[1]
    assert versions[0] != versions[1]


async def test_a_user_who_may_not_know_the_server_reads_all_the_same(store: Any) -> None:
    """Then the place alone tells servers apart."""
    known = await _version(store)
    ((name,),) = store.sql("SELECT current_database()::text")
    server = store.server
    store.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    store.sql(f"CREATE ROLE plain_{name}")
    store.sql(f"GRANT USAGE ON SCHEMA public TO plain_{name}")
    store.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain_{name}")
    server.execute(server.dsn, f"ALTER DATABASE {name} SET role = 'plain_{name}'")
    try:
        assert await _version(store) != known
    finally:
        server.execute(server.dsn, f"ALTER DATABASE {name} RESET role")
        store.sql("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
        store.sql(f"DROP OWNED BY plain_{name}")
        store.sql(f"DROP ROLE plain_{name}")


async def test_a_server_that_does_not_know_its_number_is_read_all_the_same(
    store: Any, tmp_path: Path
) -> None:
    server = store.server
    other = type(store)(server, server.new_database(), tmp_path)
    try:
        with other.saver():
            pass
        other.sql(_ROWS)
        other.sql("""
            CREATE OR REPLACE FUNCTION pg_catalog.pg_control_system(OUT pg_control_version integer,
                OUT catalog_version_no integer, OUT system_identifier bigint,
                OUT pg_control_last_modified timestamptz) RETURNS record LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'not here' USING ERRCODE = '0A000'; END$$
        """)

        assert await _version(other) != ""
        assert len((await other.read())["t"]) == 5
    finally:
        server.drop_database(other.dsn)


_OTHERS = {
    "partitions": (
        "CREATE TABLE other.{0} (LIKE public.{0}) PARTITION BY HASH (thread_id)",
        "CREATE TABLE other.{0}_1 PARTITION OF other.{0} FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE other.{0}_2 PARTITION OF other.{0} FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        "INSERT INTO other.{0} SELECT * FROM public.{0}",
    ),
    "inherited tables": (
        "CREATE TABLE other.{0} (LIKE public.{0})",
        "CREATE TABLE other.{0}_old () INHERITS (other.{0})",
        "INSERT INTO other.{0}_old SELECT * FROM public.{0}",
    ),
    "views": ("CREATE VIEW other.{0} AS SELECT * FROM public.{0}",),
}


@pytest.mark.parametrize("sort", _OTHERS)
async def test_tables_of_other_sorts_tell_it_as_well(store: Any, sort: str) -> None:
    """Also views, whose rows have no transaction."""
    store.sql("CREATE SCHEMA other")
    for statement in _OTHERS[sort]:
        for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
            store.sql(statement.format(table))
    (before,) = await store.refs(schema="other")
    assert await store.refs(schema="other") == [before]

    store.sql("UPDATE other.checkpoint_writes SET blob = '\\x03' WHERE idx = -4")

    (after,) = await store.refs(schema="other")
    assert after.version != before.version
    assert len((await store.read(schema="other"))["t"]) == 5
