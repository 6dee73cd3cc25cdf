"""Tables that lgx did not make: an older tool's, as they are, and anybody's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from lgx import (
    Checkpoint,
    FatalError,
    Loss,
    Query,
    Record,
    Thread,
    ThreadEnd,
    ThreadRef,
    UsageError,
    canonical,
    encode_line,
    raw,
    run_async,
    use,
)


def forms(records: Sequence[Record]) -> list[bytes]:
    return [canonical(encode_line(record)) for record in records]


@pytest.fixture
def filled(older: Any) -> Any:
    """The older tool's tables after two runs: it appended each checkpoint once more, newest
    first, and some with less than everything."""
    older(
        """
        INSERT INTO langgraph_threads (thread_id, metadata, values, created_at, updated_at,
            source_url) VALUES
            ('a', '{"owner": "alice"}', '{"messages": []}', '2026-01-01 00:00:00',
                '2026-01-02 00:00:00.25', 'http://old'),
            ('ü', NULL, 'null', NULL, NULL, 'http://old');
        INSERT INTO langgraph_threads (thread_id, source_url) VALUES ('b', 'http://old')
        """
    )
    for run in (1, 2):
        for number, parent in ((3, "c2"), (2, "c1"), (1, None)):
            namespace = "sub:1" if number == 3 else ""
            older(
                "INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id, "
                "parent_checkpoint_id, checkpoint_data, values, created_at) "
                "VALUES ('a', $1, $2, $3, $4, NULL)",
                f"c{number}",
                parent,
                json.dumps({"checkpoint_ns": namespace, "checkpoint_id": f"c{number}"}),
                json.dumps({"n": number, "run": run}),
            )
    older(
        "INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id, metadata) "
        "VALUES ('b', 'x', NULL)"
    )
    return older


EXPECTED: dict[str, list[Record]] = {
    "a": [
        Thread(
            thread_id="a",
            created_at="2026-01-01T00:00:00+00:00",
            updated_at="2026-01-02T00:00:00.250000+00:00",
            metadata=raw({"owner": "alice"}),
            values=raw({"messages": []}),
        ),
        *(
            Checkpoint(
                thread_id="a",
                checkpoint_ns="sub:1" if number == 3 else "",
                checkpoint_id=f"c{number}",
                parent_checkpoint_id=f"c{number - 1}" if number > 1 else None,
                values=raw({"n": number, "run": 2}),
                metadata=raw({}),
            )
            for number in (1, 2, 3)
        ),
    ],
    "b": [
        Thread(thread_id="b", metadata=raw({}), values=raw({})),
        Checkpoint(thread_id="b", checkpoint_ns="", checkpoint_id="x", values=raw({})),
    ],
    "ü": [Thread(thread_id="ü", values=raw(None))],
}


@pytest.mark.parametrize("connections", [1, 4])
async def test_older_tables_are_read_as_they_are(shop: Any, filled: Any, connections: int) -> None:
    """Times without zone are UTC, the namespace is in the data, parents come first, and of a
    checkpoint that stands twice the newest row, which is said. Nothing is written."""
    before = filled("SELECT t::text, xmin::text FROM langgraph_checkpoints AS t")
    found: dict[str, list[Record]] = {}
    losses: list[Loss] = []
    async with shop.source(connections=connections) as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        records: list[Record] = []
        async for item in source.read(refs, shop.context):
            if isinstance(item, ThreadEnd):
                assert item.outcome == "complete"
                losses += item.losses
                found[item.thread_id], records = records, []
            else:
                records.append(item)
    assert {name: forms(one) for name, one in found.items()} == {
        name: forms(one) for name, one in EXPECTED.items()
    }
    assert losses == [
        Loss(
            what="3 doubled checkpoints",
            why="they stand in the table under an identity that another row of the thread has; "
            "the newest of each came",
            thread_id="a",
            checkpoints=3,
            holdable=False,
        )
    ]
    assert filled("SELECT t::text, xmin::text FROM langgraph_checkpoints AS t") == before


async def test_an_older_export_moves_on(shop: Any, filled: Any) -> None:
    """Into a file; the exit code says that all that can be held has arrived."""
    path = shop.directory / "out.ndjson"
    report = await run_async(use("postgres", dsn=shop.dsn), use("ndjson", path=path))
    assert (report.exit_code, report.threads.written) == (0, 3)
    lines = path.read_bytes().splitlines()[1:]
    assert sorted(map(canonical, lines)) == sorted(
        form for one in EXPECTED.values() for form in forms(one)
    )
    again = await run_async(
        use("postgres", dsn=shop.dsn), use("archive", path=shop.directory / "archive")
    )
    assert (again.exit_code, again.threads.written) == (0, 3)


async def test_an_edit_of_an_older_thread_changes_its_version(shop: Any, filled: Any) -> None:
    """Also of one checkpoint, also through the run that such a tool makes again."""
    before = await shop.versions()
    assert before == await shop.versions()
    filled("UPDATE langgraph_checkpoints SET values = '{}' WHERE checkpoint_id = 'x'")
    after = await shop.versions()
    assert [name for name in before if before[name] != after[name]] == ["b"]
    filled("CREATE INDEX ON langgraph_checkpoints (thread_id)")
    assert await shop.versions() == after


async def test_the_filters_work_on_older_tables(shop: Any, filled: Any) -> None:
    """By what such a table has; a filter by what it lacks passes nothing."""

    async def passing(**filters: Any) -> list[str]:
        return [ref.thread_id for ref in await shop.refs(Query(**filters))]

    assert await passing(metadata={"owner": raw("alice")}) == ["a"]
    assert await passing(since="2026-01-02T00:00:00.2Z") == ["a"]
    assert await passing(until="2026-01-02T00:00:00.2Z") == []
    assert await passing(thread_ids=("b", "ü")) == ["b", "ü"]
    assert await passing(status="idle") == []


async def test_an_older_database_is_named_by_its_address(shop: Any, filled: Any) -> None:
    """It has no id of its own; no password is part of the name."""
    async with shop.source() as source:
        identity = await source.identity()
        facts = (await source.probe(shop.context)).facts
    assert identity.startswith("postgres://")
    assert identity.endswith("/public/langgraph_")
    index = (
        "every few threads read the table of checkpoints once: CREATE INDEX ON "
        '"public"."langgraph_checkpoints" (thread_id)'
    )
    assert {fact.name: (fact.value, fact.level) for fact in facts[2:]} == {
        "schema": ("tables of another tool under 'public.langgraph_*'", "ok"),
        "index": (index, "warn"),
        "threads": ("3 of http://old", "ok"),
    }


async def test_no_two_places_share_a_name(shop: Any) -> None:
    """Whatever their schema and prefix hold."""
    names = [("x/y", "z"), ("x", "y/z"), ("x", "y%2Fz")]
    found = set()
    for schema, prefix in names:
        shop.query(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        shop.query(f'CREATE TABLE "{schema}"."{prefix}threads" (thread_id TEXT)')
        async with shop.source(schema=schema, table_prefix=prefix) as source:
            found.add(await source.identity())
    assert len(found) == len(names)


async def test_an_upgraded_database_is_read_as_lgxs_own(shop: Any, filled: Any) -> None:
    """What a run that writes there makes of the tables keeps what they held."""
    await shop.write(shop.thread("new"), origin="http://new")
    found = await shop.records(origin="http://old")
    held = {
        name: [json.loads(line) for line in lines if b'"kind":"checkpoint"' in line]
        for name, lines in found.items()
    }
    assert {name: [line["checkpoint_id"] for line in lines] for name, lines in held.items()} == {
        "a": ["c1", "c2", "c3"],
        "b": ["x"],
        "ü": [],
    }
    assert await shop.records(origin="http://new") == {"new": forms(shop.thread("new"))}


async def test_a_checkpoint_of_no_thread_or_without_id_is_said(shop: Any, older: Any) -> None:
    """Such tables allow both."""
    older("INSERT INTO langgraph_threads (thread_id) VALUES ('a')")
    older("INSERT INTO langgraph_checkpoints (checkpoint_id) VALUES ('nobody''s')")
    older("INSERT INTO langgraph_checkpoints (thread_id) VALUES ('a')")
    async with shop.source() as source:
        items = [item async for item in source.list(Query(), shop.context)]
    assert [item for item in items if isinstance(item, Loss)] == [
        Loss(
            what="1 row of 'langgraph_checkpoints'",
            why="what they have for a thread_id is that of no thread",
            checkpoints=1,
        )
    ]
    records, losses = await shop.losses("a")
    assert forms(records) == forms([Thread(thread_id="a", metadata=raw({}), values=raw({}))])
    assert [(loss.what, loss.why) for loss in losses] == [
        (
            "checkpoint None of namespace ''",
            "a row is no checkpoint: object missing required field checkpoint_id",
        )
    ]


@pytest.mark.parametrize("kind", ["INTEGER", "NUMERIC", "UUID", "CHAR(40)"])
async def test_ids_of_any_type_are_read_as_text(shop: Any, kind: str) -> None:
    """A table that somebody else made; they are listed in the order of texts."""
    shop.query(f"CREATE TABLE langgraph_threads (thread_id {kind}, status TEXT, metadata JSON)")
    shop.query("CREATE TABLE langgraph_checkpoints (thread_id TEXT, checkpoint_id TEXT)")
    ids = (
        ["9", "10"] if kind != "UUID" else [f"{n:08}-0000-4000-8000-000000000000" for n in (9, 10)]
    )
    for name in ids:
        shop.query(f"INSERT INTO langgraph_threads VALUES ('{name}', 'idle', '{{ \"a\" : 1 }}')")
        shop.query("INSERT INTO langgraph_checkpoints VALUES ($1, 'c')", name)
    found = await shop.records()
    assert [name.strip() for name in found] == sorted(ids)
    assert [len(lines) for lines in found.values()] == [2, 2]


async def test_text_that_is_not_json_costs_its_record(shop: Any) -> None:
    """Columns of text may hold anything."""
    shop.query("CREATE TABLE langgraph_threads (thread_id TEXT, metadata TEXT, values TEXT)")
    shop.query("INSERT INTO langgraph_threads VALUES ('a', '{', '1'), ('b', '{}', NULL)")
    records, losses = await shop.losses("b")
    assert (forms(records), losses) == (
        forms([Thread(thread_id="b", metadata=raw({}))]),
        [],
    )
    records, losses = await shop.losses("a")
    assert (records, [loss.why for loss in losses]) == (
        [],
        ["column 'metadata' does not hold the text of one JSON value"],
    )


async def test_a_view_is_read_like_a_table(shop: Any) -> None:
    """Rows of a view have no place and no transaction: a version is made of their content."""
    shop.query(
        "CREATE TABLE base (id INT, who TEXT); INSERT INTO base VALUES (1, 'a'), (2, 'b');"
        "CREATE VIEW langgraph_threads AS SELECT id::text AS thread_id, who AS status FROM base;"
        "CREATE VIEW langgraph_checkpoints AS SELECT id::text AS thread_id, who AS checkpoint_id, "
        "jsonb_build_object('n', id) AS values FROM base"
    )
    before = await shop.versions()
    assert {name: len(lines) for name, lines in (await shop.records()).items()} == {"1": 2, "2": 2}
    shop.query("UPDATE base SET who = 'c' WHERE id = 2")
    after = await shop.versions()
    assert [name for name in before if before[name] != after[name]] == ["2"]


THREADS = (
    "CREATE TABLE langgraph_threads (thread_id TEXT, status TEXT);"
    "INSERT INTO langgraph_threads VALUES ('a', 'idle'), ('b', 'busy');"
)
ODD = {
    "ids of rows that are no numbers": """
        CREATE TABLE langgraph_checkpoints (id UUID, thread_id TEXT, checkpoint_id TEXT);
        INSERT INTO langgraph_checkpoints VALUES (gen_random_uuid(), 'a', '1')""",
    "a table of runs that has another meaning": """
        CREATE TABLE langgraph_runs (started INT);
        CREATE TABLE langgraph_records (thread_id TEXT);
        CREATE TABLE langgraph_checkpoints (thread_id TEXT, checkpoint_id TEXT);
        INSERT INTO langgraph_runs VALUES (1);
        INSERT INTO langgraph_records VALUES ('a');
        INSERT INTO langgraph_checkpoints VALUES ('a', '1')""",
    "a view without anything to order it by": """
        CREATE VIEW langgraph_runs AS
            SELECT thread_id, status AS run_id FROM langgraph_threads WHERE thread_id = 'a'""",
    "a table with another one below it": """
        CREATE TABLE langgraph_checkpoints (id SERIAL, thread_id TEXT, checkpoint_id TEXT);
        CREATE TABLE below () INHERITS (langgraph_checkpoints);
        INSERT INTO below (thread_id, checkpoint_id) VALUES ('a', '1');
        INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id) VALUES ('c', '1');
        INSERT INTO langgraph_threads VALUES ('c', 'idle')""",
    "an id that stands in the data alone": """
        CREATE TABLE langgraph_checkpoints
            (thread_id TEXT, checkpoint_id TEXT, checkpoint_data JSON);
        INSERT INTO langgraph_checkpoints VALUES ('a', NULL, '{"checkpoint_id": "1"}')""",
}


@pytest.mark.parametrize("odd", ODD)
async def test_tables_of_any_shape_are_read(shop: Any, odd: str) -> None:
    """As far as they go; what is no part of a thread is not taken for one."""
    shop.query(THREADS + ODD[odd])
    found = {name: len(lines) for name, lines in (await shop.records()).items()}
    assert (found["a"], found["b"]) == (2, 1)
    assert [ref.thread_id for ref in await shop.refs(Query(status="busy"))] == ["b"]


async def test_checkpoints_that_do_not_say_whose_they_are_end_the_run(shop: Any) -> None:
    """No thread could be read whole."""
    shop.query(THREADS + "CREATE TABLE langgraph_checkpoints (checkpoint_id TEXT)")
    with pytest.raises(UsageError, match="does not say whose its rows are: it lacks thread_id"):
        await shop.refs()


@pytest.mark.parametrize("kind", ["INT", "one_or_two"])
async def test_a_status_of_any_type_is_compared_as_text(shop: Any, kind: str) -> None:
    """A number, or a type of the database's own."""
    shop.query(
        f"CREATE TYPE one_or_two AS ENUM ('1', '2');"
        f"CREATE TABLE langgraph_threads (thread_id TEXT, status {kind});"
        "INSERT INTO langgraph_threads VALUES ('a', '1'), ('b', '2')"
    )
    assert [ref.thread_id for ref in await shop.refs(Query(status="2"))] == ["b"]


@pytest.mark.parametrize("kind", ["VARCHAR(40)", "UUID"])
async def test_the_index_that_helps_is_named(shop: Any, kind: str) -> None:
    """One by ids as they are compared; there, nothing is asked for any more."""
    shop.query(
        f"CREATE TABLE langgraph_threads (thread_id {kind});"
        f"CREATE TABLE langgraph_checkpoints (thread_id {kind}, checkpoint_id TEXT)"
    )
    if kind == "UUID":  # which is of no use to who compares texts
        shop.query("CREATE INDEX ON langgraph_checkpoints (thread_id)")

    async def asked() -> list[str]:
        async with shop.source() as source:
            facts = (await source.probe(shop.context)).facts
        return [fact.value for fact in facts if fact.level == "warn"]

    (value,) = await asked()
    _, _, sql = value.partition(": ")
    shop.query(sql)
    assert await asked() == []


async def test_one_id_in_two_rows_is_no_thread(shop: Any) -> None:
    """Nobody can tell which is meant; the others come."""
    shop.query("CREATE TABLE langgraph_threads (thread_id TEXT, status TEXT)")
    shop.query("INSERT INTO langgraph_threads VALUES ('a', '1'), ('a', '2'), ('b', '1')")
    for query in (Query(), Query(status="1")):
        async with shop.source() as source:
            items = [item async for item in source.list(query, shop.context)]
        loss, ref = items
        assert (ref.thread_id, type(ref)) == ("b", ThreadRef)
        assert loss == Loss(
            thread_id="a",
            what="thread",
            why="2 rows of 'langgraph_threads' bear its id; keep one",
        )


async def test_a_row_without_id_ends_the_run(shop: Any) -> None:
    """It is no thread that could be listed as failed."""
    shop.query("CREATE TABLE langgraph_threads (thread_id TEXT)")
    shop.query("INSERT INTO langgraph_threads VALUES (NULL), ('b')")
    with pytest.raises(FatalError, match="has no thread_id; give it one, or remove it"):
        await shop.refs()


async def test_an_origin_of_tables_without_one_is_refused(shop: Any) -> None:
    """Who names one believes that it can be told apart."""
    shop.query("CREATE TABLE langgraph_threads (thread_id TEXT)")
    with pytest.raises(UsageError, match="do not say where they came from; leave out"):
        await shop.refs(origin="http://one")
