"""What is read of a store: of every age, of one moment, and nothing that is not one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.postgres.base import MIGRATIONS as IN_POSTGRES
from langgraph.store.sqlite.base import MIGRATIONS as IN_SQLITE
from msgspec import Raw

import lgx
from lgx import Query, Record, StoreItem, ThreadError, UsageError
from lgx.config import convert
from lgx.testing import make_context
from lgx_plugins.checkpointers.postgres import PostgresSaverSource
from lgx_plugins.checkpointers.sqlite import SqliteSaverSource

KINDS = ("sqlite", "postgres")


def add_saver(place: Any) -> None:
    if place.kind == "sqlite":
        with SqliteSaver.from_conn_string(str(place.path)) as saver:
            saver.setup()
    else:
        with PostgresSaver.from_conn_string(place.database.dsn) as saver:
            saver.setup()


def opened(place: Any) -> Any:
    cls: Any = SqliteSaverSource if place.kind == "sqlite" else PostgresSaverSource
    return cls(convert(cls.config_type, place.use().options, where="--source"))


async def read(place: Any) -> tuple[list[Record], list[str]]:
    """The items, and what is noted."""
    context = make_context()
    add_saver(place)
    found: list[Record] = []
    async with opened(place) as source:
        try:
            async for one in source.extras("store_item", Query(), context):
                found.append(one)  # noqa: PERF401 -- those before a failure count
        except ThreadError as error:
            context.note(str(error))
    assert context.budget.used == 0
    return found, [note.message for note in context.notes.values()]


@pytest.mark.parametrize("kind", KINDS)
async def test_no_item_comes_where_there_is_no_store(
    new_place: Callable[[str], Any], kind: str
) -> None:
    assert await read(new_place(kind)) == ([], [])


@pytest.mark.parametrize("kind", KINDS)
async def test_another_program_s_table_of_that_name_is_no_store(
    new_place: Callable[[str], Any], kind: str
) -> None:
    place = new_place(kind)
    place.sql("CREATE TABLE store (id int, street text)")

    found, notes = await read(place)

    assert found == []
    assert "is none that LangGraph for Python makes: it lacks 'prefix'" in notes[0]


@pytest.mark.parametrize("kind", KINDS)
async def test_tables_of_every_migration_are_read(
    new_place: Callable[[str], Any], kind: str
) -> None:
    """The first version of LangGraph's stores knew no end of items."""
    migrations = IN_SQLITE if kind == "sqlite" else IN_POSTGRES
    for level in range(len(migrations)):
        place = new_place(kind)
        for statement in migrations[: level + 1]:
            place.sql(statement.replace(" CONCURRENTLY", "").strip().rstrip(";"))
        place.sql(
            "INSERT INTO store (prefix, key, value, created_at, updated_at) VALUES "
            "('a.b', 'k', '{\"n\": 1}', '2026-01-02 03:04:05', '2026-01-02 03:04:05')"
        )
        when = "2026-01-02T03:04:05+00:00"

        assert await read(place) == (
            [
                StoreItem(
                    namespace=("a", "b"),
                    key="k",
                    value=Raw(b'{"n": 1}'),
                    created_at=when,
                    updated_at=when,
                )
            ],
            [],
        )


async def test_rows_that_are_no_items_are_told_after_the_others(
    new_place: Callable[[str], Any],
) -> None:
    """Each by its key; what LangGraph's store does not know of a row stays behind, and is
    told."""
    place = new_place("sqlite")
    with place.store(index={"dims": 1, "embed": lambda texts: [[1.0] for _ in texts]}) as store:
        for key in ("a", "b", "c", "d", "e"):
            store.put(("n",), key, {"text": key})
    place.sql("UPDATE store SET value = '{' WHERE key = 'b'")
    place.sql("UPDATE store SET ttl_minutes = 9e999 WHERE key = 'c'")
    place.sql("UPDATE store_vectors SET embedding = x'00' WHERE key = 'd'")
    place.sql("ALTER TABLE store ADD COLUMN mood TEXT")

    found, notes = await read(place)

    assert [one.key for one in found if isinstance(one, StoreItem)] == ["a", "d", "e"]
    assert notes[:2] == [
        "column 'mood' of 'store' is not LangGraph's, and what it holds does not travel",
        (
            "1 rows of 'store_vectors' are of no form that lgx knows, and were left out; they can "
            "be made again from the items"
        ),
    ]
    assert notes[2].startswith("2 could not be read; store item 'b' of 'n': its value is no JSON")
    assert "store item 'c' of 'n': its time to live is inf" in notes[2]


@pytest.mark.parametrize("kind", KINDS)
async def test_items_are_of_the_moment_of_the_threads(
    new_place: Callable[[str], Any], kind: str
) -> None:
    """What is put in while the threads are listed does not come."""
    place = new_place(kind)
    add_saver(place)
    with place.store() as store:
        store.put(("n",), "before", {})
        context = make_context()
        async with opened(place) as source:
            assert [one async for one in source.list(Query(), context)] == []
            store.put(("n",), "after", {})
            store.put(("n",), "before", {"changed": True})
            items = source.extras("store_item", Query(), context)
            found = [(one.key, bytes(one.value)) async for one in items]

    assert found == [("before", b"{}")]


async def test_a_store_lies_in_the_schema_of_the_checkpoints(
    new_place: Callable[[str], Any], index: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever the schema is called; pgvector is found wherever it is."""
    source, target, name = new_place("sqlite"), new_place("postgres"), 'My "schema"'
    add_saver(source)
    with source.store(index=index) as store:
        store.put(("n",), "k", {"text": "x"}, ttl=5)
    target.sql('CREATE SCHEMA "My ""schema"""')
    back = new_place("sqlite")

    there = await lgx.run_async(source.use(), target.use(schema=name))
    again = await lgx.run_async(target.use(schema=name), back.use())

    assert (there.exit_code, there.losses) == (again.exit_code, again.losses) == (0, [])
    assert (back.items(), back.expiry()) == (source.items(), source.expiry())
    vectors = "SELECT * FROM store_vectors ORDER BY key"
    assert back.sql(vectors) == source.sql(vectors)
    assert target.sql("SELECT to_regclass('public.store') IS NULL") == [(True,)]


async def test_a_choice_of_threads_leaves_the_store_out_unless_it_is_asked_for(
    new_place: Callable[[str], Any],
) -> None:
    source = new_place("sqlite")
    add_saver(source)
    with source.store() as store:
        store.put(("n",), "k", {})
    keys = []
    choices: list[dict[str, Any]] = [{}, {"extras": True}]
    for options in choices:
        target = new_place("sqlite")
        report = await lgx.run_async(source.use(), target.use(), since="2999-01-01", **options)
        assert report.exit_code == 0
        keys.append(report.extras)

    assert keys == [{}, {"store_item": 1}]


async def test_a_checkpointer_alone_holds_no_items_which_is_told_where_there_are_any(
    new_place: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = new_place("sqlite")
    add_saver(source)
    (tmp_path / "my_saver.py").write_text(
        "from langgraph.checkpoint.memory import InMemorySaver\nsaver = InMemorySaver()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    saver = lgx.use("saver", factory="my_saver:saver")

    without = await lgx.run_async(source.use(), saver)
    with source.store() as store:
        store.put(("n",), "k", {})
    report = await lgx.run_async(source.use(), saver)

    assert without.losses == []
    assert [(loss.what, loss.holdable) for loss in report.losses] == [("store_item records", False)]
    assert report.exit_code == 0


async def test_a_file_with_a_store_alone_is_read_and_left_as_it_is(
    new_place: Callable[[str], Any],
) -> None:
    """Agents often keep the two apart."""
    source, target = new_place("sqlite"), new_place("sqlite")
    with source.store() as store:
        store.put(("n",), "k", {"a": 1})
    before = source.path.read_bytes()

    await _moves_alone(source, target)

    assert source.path.read_bytes() == before
    assert (
        source.sql("SELECT name FROM sqlite_master WHERE name IN ('checkpoints', 'writes')") == []
    )


async def test_a_database_with_a_store_alone_is_read(new_place: Callable[[str], Any]) -> None:
    """Of PostgreSQL as well: neither threads nor a chosen one of them is there."""
    source, target = new_place("postgres"), new_place("sqlite")
    with source.store() as store:
        store.put(("n",), "k", {"a": 1})

    probe = await _moves_alone(source, target)
    chosen = await lgx.run_async(source.use(), target.use(), query=Query(thread_ids=("gone",)))

    assert "none of a checkpointer's in schema 'public'" in [fact.value for fact in probe.facts]
    assert [failure.thread_id for failure in chosen.failures] == ["gone"]
    assert source.sql("SELECT to_regclass('checkpoints')") == [(None,)]


async def test_a_database_without_a_store_and_a_checkpointer_is_refused(
    new_place: Callable[[str], Any],
) -> None:
    """Also where something else is called a store."""
    source, target = new_place("postgres"), new_place("sqlite")
    for statement in (None, "CREATE TABLE store (shelf text)"):
        if statement is not None:
            source.sql(statement)
        with pytest.raises(UsageError, match="has no table 'checkpoints' in schema 'public'"):
            await lgx.run_async(source.use(), target.use())


async def _moves_alone(source: Any, target: Any) -> Any:
    report = await lgx.run_async(source.use(), target.use())
    same = await lgx.verify_async(source.use(), target.use())

    assert (report.exit_code, report.extras, report.threads.listed) == (0, {"store_item": 1}, 0)
    assert target.items() == source.items()
    assert same.exit_code == 0
    probe = await lgx.probe_async(source=source.use())
    assert "1 item" in [fact.value for fact in probe.facts]
    return probe
