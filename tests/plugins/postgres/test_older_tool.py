"""The older export tool: queries written for its tables, and tables that it made."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

import lgx
from lgx import Checkpoint, Thread, ThreadRef, UsageError, raw
from lgx.testing import make_context, make_run, same_records

URL = "https://old.langgraph.app"

FILL = f"""
INSERT INTO langgraph_threads (thread_id, metadata, values, created_at, updated_at, source_url)
VALUES ('b', '{{"owner": "bob"}}', '{{}}', NULL, NULL, NULL),
    ('a', '{{"owner": "alice"}}', '{{"messages": [{{"type": "human", "content": "hi"}}]}}',
        '2026-01-01 00:00:00', '2026-01-02 00:00:00.5', '{URL}/');
INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id, parent_checkpoint_id,
    checkpoint_data, values, created_at)
VALUES ('a', 'c3', 'c2', '{{"checkpoint_ns": "sub:1"}}', '{{"n": 3}}', '2026-01-01 00:00:03'),
    ('a', 'c2', 'c1', DEFAULT, '{{"n": 2}}', '2026-01-01 00:00:02'),
    ('a', 'c1', NULL, DEFAULT, '{{"n": 1}}', '2026-01-01 00:00:01');
"""

THREAD = Thread(
    thread_id="new",
    created_at="2026-01-01T00:00:00+00:00",
    updated_at="2026-01-02T00:00:00+00:00",
    metadata=raw({"owner": "alice"}),
    values=raw({"messages": []}),
)
CHECKPOINT = Checkpoint(
    thread_id="new",
    checkpoint_ns="",
    checkpoint_id="c1",
    created_at="2026-01-01T00:00:01+00:00",
    values=raw({"n": 1}),
    metadata=raw({"step": 1}),
)


async def test_queries_for_the_older_tables_work(target: Any, sql: Any) -> None:
    """Every column that the older tool had is there, under its name, with what it held."""
    await target.write([THREAD, CHECKPOINT])
    assert sql(
        "SELECT id, thread_id, metadata->>'owner', values, created_at, updated_at, source_url, "
        "exported_at IS NOT NULL FROM langgraph_threads"
    ) == [
        (
            1,
            "new",
            "alice",
            '{"messages": []}',
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 1, 2, tzinfo=UTC),
            "kit://first",
            True,
        )
    ]
    assert sql(
        "SELECT c.id, c.thread_id, c.checkpoint_id, c.parent_checkpoint_id, "
        "c.checkpoint_data->>'checkpoint_id', c.values, c.metadata, c.created_at "
        "FROM langgraph_checkpoints AS c JOIN langgraph_threads AS t ON t.thread_id = c.thread_id "
        "WHERE t.metadata->>'owner' = 'alice'"
    ) == [
        (
            1,
            "new",
            "c1",
            None,
            "c1",
            '{"n": 1}',
            '{"step": 1}',
            datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
        )
    ]


async def test_writing_brings_them_up_to_date_in_place(target: Any, older: Any) -> None:
    """Rows keep their ids and contents; times without zone are UTC; namespaces come out of
    `checkpoint_data`; and queries written for them give what they gave."""
    older(FILL)
    queries = (
        (
            "SELECT id, thread_id, metadata, values, created_at AT TIME ZONE 'UTC' AS created, "
            "updated_at AT TIME ZONE 'UTC' FROM langgraph_threads ORDER BY id"
        ),
        (
            "SELECT id, thread_id, checkpoint_id, parent_checkpoint_id, checkpoint_data, values, "
            "metadata FROM langgraph_checkpoints ORDER BY id"
        ),
    )
    before = older(queries[0].replace(" AT TIME ZONE 'UTC'", "")), older(queries[1])
    notes = await target.write([THREAD, CHECKPOINT], run=make_run(merge=True))
    kept = (
        older(queries[0].replace(" ORDER", " WHERE source_url <> 'kit://first' ORDER")),
        older(queries[1].replace(" ORDER", " WHERE thread_id <> 'new' ORDER")),
    )
    assert kept == before
    assert older(
        "SELECT id, thread, position, checkpoint_ns FROM langgraph_checkpoints ORDER BY id"
    ) == [(1, 2, 2, "sub:1"), (2, 2, 1, ""), (3, 2, 0, ""), (4, 3, 0, "")]
    assert older("SELECT thread_id, source_url FROM langgraph_threads ORDER BY id") == [
        ("b", ""),
        ("a", URL),
        ("new", "kit://first"),
    ]
    assert older("SELECT thread_id, content FROM langgraph_messages") == [("a", "hi")]
    assert notes == [
        "the tables 'public.langgraph_*' of an older tool were brought up to date",
        (
            "1 rows of 'langgraph_threads' do not say where they came from; set their source_url, "
            "and a run from there replaces them"
        ),
    ]


async def test_what_is_read_of_them_is_the_same_before_and_after(target: Any, older: Any) -> None:
    """The upgrade changes the tables, not the threads."""
    older(FILL.replace("NULL, NULL, NULL)", f"NULL, NULL, '{URL}/')"))
    before = await target.read()
    assert list(before) == ["a", "b"]
    assert [record.kind for record in before["a"]] == ["thread", *["checkpoint"] * 3]
    await target.write(run=make_run(merge=True))
    after = await target.read(origin=URL)
    assert after == before


async def test_the_next_run_writes_its_threads_anew(target: Any, older: Any) -> None:
    """They have no mark; their rows are replaced under the ids of their threads."""
    older(FILL.replace("NULL, NULL, NULL)", f"NULL, NULL, '{URL}')"))
    again = [
        Thread(thread_id="a", metadata=raw({"owner": "alice"})),
        Checkpoint(thread_id="a", checkpoint_ns="", checkpoint_id="c1", values=raw({"n": 9})),
    ]
    async with target.sink() as sink:
        await sink.begin(make_run(source=URL), make_context())
        refs = [ThreadRef(thread_id=one, version="1") for one in ("a", "b")]
        assert await sink.held(refs) == {}
    await target.write(again, run=make_run(source=URL))
    assert older(
        "SELECT t.id, c.checkpoint_id, c.values FROM langgraph_threads AS t "
        "JOIN langgraph_checkpoints AS c ON c.thread = t.id"
    ) == [(2, "c1", '{"n": 9}')]
    assert same_records((await target.read())["a"], again) == []


async def test_older_tables_are_not_copied_into_themselves(
    target: Any, older: Any, database: str
) -> None:
    """The run would wait for ever for tables that it reads itself."""
    older(FILL)
    source = lgx.use("postgres", dsn=lgx.Secret(database), origin=f"{URL}/")
    sink = lgx.use("postgres", dsn=lgx.Secret(database))
    with pytest.raises(UsageError, match=r"the run reads the tables 'public.langgraph_\*' of"):
        await asyncio.wait_for(lgx.run_async(source, sink), 30)


_COLUMNS = """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'v')
    AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2"""

_INDEXES = """SELECT replace(indexdef, $1::text || '.', '') FROM pg_indexes
    WHERE schemaname = $1 ORDER BY 1"""

_CONSTRAINTS = """SELECT conrelid::regclass::text, replace(pg_get_constraintdef(oid), $1 || '.', '')
    FROM pg_constraint WHERE connamespace = $1::text::regnamespace AND contype <> 'n'
    ORDER BY 1, 2"""


async def test_they_become_what_new_tables_are(target: Any, older: Any) -> None:
    """The same columns, types, indexes, keys and references."""
    older(FILL)
    await target.write(run=make_run(merge=True))
    await target.write(schema="fresh")
    for query in (_COLUMNS, _INDEXES):
        assert older(query, "public") == older(query, "fresh")
    fresh = [(one.removeprefix("fresh."), two) for one, two in older(_CONSTRAINTS, "fresh")]
    assert older(_CONSTRAINTS, "public") == fresh


async def test_ids_go_on_where_they_were(target: Any, older: Any) -> None:
    """Also beyond what the older type could hold, and where a restored dump left the
    sequence behind its rows."""
    older(FILL)
    older("UPDATE langgraph_threads SET id = 2147483647 WHERE thread_id = 'a'")
    older("SELECT setval('langgraph_checkpoints_id_seq', 1)")
    await target.write([THREAD, CHECKPOINT], run=make_run(merge=True))
    assert older("SELECT id FROM langgraph_threads WHERE thread_id = 'new'") == [(2147483648,)]
    assert older("SELECT id FROM langgraph_checkpoints WHERE thread_id = 'new'") == [(4,)]


async def test_what_its_lack_of_rules_let_in_is_put_aside_and_told(target: Any, older: Any) -> None:
    """Exact repetitions go; what differs from what stays is kept in a table of its own."""
    older(FILL)
    older("""INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id, parent_checkpoint_id,
        values, created_at) VALUES
        ('a', 'c1', NULL, '{"n": 1}', '2026-01-01 00:00:01'),
        ('a', 'c2', 'c1', '{"n": 22}', '2026-01-01 00:00:02'),
        ('b', NULL, NULL, '{"n": 4}', NULL),
        (NULL, 'c5', NULL, '{"n": 5}', NULL)""")
    older("""INSERT INTO langgraph_checkpoints (thread_id, checkpoint_data)
        VALUES ('b', '{"checkpoint_id": "told", "checkpoint_ns": ""}')""")
    notes = await target.write(run=make_run(merge=True))
    assert older(
        "SELECT id, thread_id, checkpoint_id, values FROM langgraph_checkpoints ORDER BY id"
    ) == [
        (1, "a", "c3", '{"n": 3}'),
        (4, "a", "c1", '{"n": 1}'),
        (5, "a", "c2", '{"n": 22}'),
        (8, "b", "told", "{}"),
    ]
    assert older(
        "SELECT table_name, why, row->>'id', row->>'thread_id', row->'values'->>'n' "
        "FROM langgraph_set_aside ORDER BY 3"
    ) == [
        ("checkpoints", "replaced by a later row", "2", "a", "2"),
        ("checkpoints", "without id", "6", "b", "4"),
        ("checkpoints", "of no thread", "7", None, "5"),
    ]
    assert notes[1:3] == [
        "1 rows of 'langgraph_checkpoints' repeated a later one exactly: removed",
        (
            "3 rows of 'langgraph_checkpoints' had no thread, no checkpoint_id, or the identity "
            "of a later row: moved into 'langgraph_set_aside'"
        ),
    ]


async def test_parents_come_before_children_whatever_the_times_say(target: Any, older: Any) -> None:
    """Clocks of several machines, or no times at all."""
    older("INSERT INTO langgraph_threads (thread_id, source_url) VALUES ('a', 'u'), ('b', 'u')")
    older("""INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id, parent_checkpoint_id,
        created_at) VALUES ('a', 'x', 'y', '2026-01-01'), ('a', 'y', 'z', '2026-01-02'),
        ('a', 'z', NULL, '2026-01-03'), ('b', 'x', 'y', NULL), ('b', 'y', NULL, NULL),
        ('b', 'self', 'self', NULL)""")
    await target.write(run=make_run(source="u"))
    assert older(
        "SELECT thread_id, checkpoint_id FROM langgraph_checkpoints ORDER BY thread_id, position"
    ) == [("a", "z"), ("a", "y"), ("a", "x"), ("b", "self"), ("b", "y"), ("b", "x")]


async def test_an_upgrade_that_fails_changes_nothing(target: Any, older: Any) -> None:
    """A view of somebody's depends on a column: it is named, and the tables stay as they are."""
    older(FILL)
    older("CREATE VIEW mine AS SELECT thread_id, created_at FROM langgraph_threads")
    before = older(_COLUMNS, "public")
    with pytest.raises(UsageError) as refused:
        await target.write(run=make_run(merge=True))
    text = str(refused.value)
    assert "cannot do what lgx needs" in text
    assert "view public.mine depends on column" in text
    assert text.endswith("remove what depends on its tables, run again, and make it anew")
    assert [row for row in older(_COLUMNS, "public") if row[0] != "langgraph_lease"] == before
    older("DROP VIEW mine")
    await target.write(run=make_run(merge=True))


async def test_a_run_that_is_refused_leaves_them_as_they_are(target: Any, older: Any) -> None:
    """Threads of another source stand there: nothing is upgraded for a run that may not write."""
    older(FILL)
    before = older(_COLUMNS, "public")
    with pytest.raises(UsageError, match="add --merge to keep both apart"):
        await target.write([THREAD])
    assert [row for row in older(_COLUMNS, "public") if row[0] != "langgraph_lease"] == before


async def test_a_dry_run_leaves_them_as_they_are(target: Any, older: Any) -> None:
    """It says what it would write, and upgrades nothing."""
    older(FILL)
    before = older(_COLUMNS, "public")
    async with target.sink() as sink:
        await sink.begin(make_run(dry_run=True), make_context())
        assert await sink.held([]) == {}
    assert older(_COLUMNS, "public") == before


async def test_they_may_stand_under_any_name(target: Any, older: Any, sql: Any) -> None:
    """However the server reads a backslash between quotes."""
    odd = "a\\b'c\"d"
    older(FILL)
    quoted = '"' + odd.replace('"', '""') + '"'
    older(f"CREATE SCHEMA {quoted}")
    for table in ("threads", "checkpoints"):
        older(f"ALTER TABLE langgraph_{table} SET SCHEMA {quoted}")
    ((name,),) = sql("SELECT current_database()")
    sql(f"ALTER DATABASE {name} SET standard_conforming_strings = off")
    await target.write([THREAD], run=make_run(merge=True), schema=odd)
    assert "new" in await target.read(schema=odd, origin="kit://first")


async def test_another_prefix_stands_beside_them(target: Any, older: Any) -> None:
    """Whoever wants them as they are writes elsewhere."""
    older(FILL)
    before = await target.read(origin=f"{URL}/")
    await target.write([THREAD], table_prefix="lgx_")
    assert list(await target.read(table_prefix="lgx_")) == ["new"]
    assert await target.read(origin=f"{URL}/") == before
