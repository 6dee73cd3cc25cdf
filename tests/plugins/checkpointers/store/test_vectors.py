"""Vectors are taken as they are where the target has room for them, and told where it has not."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

import lgx
from lgx import Report

KINDS = ("sqlite", "postgres")
VECTORS = "SELECT prefix, key, field_name, embedding FROM store_vectors ORDER BY 1, 2, 3"


def fill(place: Any, index: Any, text: str = "x") -> None:
    if place.kind == "sqlite":
        with SqliteSaver.from_conn_string(str(place.path)) as saver:
            saver.setup()
    else:
        with PostgresSaver.from_conn_string(place.database.dsn) as saver:
            saver.setup()
    with place.store(index=index) as store:
        store.put(("a",), "k", {"text": text})
        store.put(("a",), "l", {"text": ["one", "two"]}, index=["text[*]"])


async def copied(source: Any, target: Any, **options: Any) -> tuple[list[str], Report]:
    """The items that are told to have come without vectors."""
    report = await lgx.run_async(source.use(), target.use(**options))
    assert report.exit_code == 0, report
    assert report.failures == []
    assert all(loss.what.endswith("of store items") for loss in report.losses)
    return [loss.what + ": " + loss.why.partition(";")[0] for loss in report.losses], report


@pytest.mark.parametrize("kind", KINDS)
async def test_another_dimension_is_left_and_told_and_the_items_arrive(
    new_place: Callable[[str], Any], index: dict[str, Any], kind: str
) -> None:
    source, target = new_place("sqlite"), new_place(kind)
    fill(source, index)
    three = {**index, "dims": 3, "embed": lambda texts: [[1.0, 2.0, 3.0] for _ in texts]}
    with target.store(index=three) as store:
        store.put(("b",), "k", {"text": "x"})

    told, _ = await copied(source, target)

    holds = {
        "sqlite": "they are of 4 dimensions, and those that stand there of 3",
        "postgres": "they are of 4 dimensions of float32, and the target's table holds "
        "3 dimensions of float32",
    }
    assert told == [f"3 vectors of store items: {holds[kind]}"]
    assert target.sql("SELECT count(*) FROM store") == [(3,)]
    assert target.sql("SELECT prefix FROM store_vectors") == [("b",)]


async def test_another_type_is_left_and_told(
    new_place: Callable[[str], Any], index: dict[str, Any]
) -> None:
    """Half of the precision is not the same vector."""
    source, target, file = new_place("postgres"), new_place("postgres"), new_place("sqlite")
    fill(source, {**index, "ann_index_config": {"vector_type": "halfvec"}})

    assert (await copied(source, target))[0] == []
    assert target.sql(VECTORS) == source.sql(VECTORS)
    told, _ = await copied(target, file)

    assert told == [
        "3 vectors of store items: they are of float16, and SqliteStore's are of float32"
    ]
    assert file.sql("SELECT count(*) FROM store") == [(2,)]


@pytest.mark.parametrize("kind", KINDS)
async def test_none_are_taken_where_none_are_wanted(
    new_place: Callable[[str], Any], index: dict[str, Any], kind: str
) -> None:
    source, target = new_place("sqlite"), new_place(kind)
    fill(source, index)

    told, _ = await copied(source, target, vectors="leave")

    assert told == ["3 vectors of store items: none were wanted"]
    with pytest.raises(Exception, match="store_vectors"):
        target.sql("SELECT * FROM store_vectors")


@pytest.mark.parametrize("kind", KINDS)
async def test_vectors_that_another_model_made_of_the_same_values_stay(
    new_place: Callable[[str], Any],
    index: dict[str, Any],
    other_index: dict[str, Any],
    kind: str,
) -> None:
    """That is what tables tell of the model; `replace` takes those of the source."""
    source, target = new_place(kind), new_place(kind)
    fill(source, index)
    fill(target, other_index)
    times = "UPDATE store SET created_at = '2026-01-01 00:00:00', updated_at = created_at"
    for place in (source, target):
        place.sql(times)
    before = target.sql(VECTORS)

    told, _ = await copied(source, target)
    stood = target.sql(VECTORS)
    replaced, _ = await copied(source, target, on_conflict="replace")

    assert told == [
        (
            "3 vectors of store items: other vectors stand there for the same values, which "
            "another model made"
        )
    ]
    assert stood == before
    assert replaced == []
    assert target.sql(VECTORS) == source.sql(VECTORS)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_vectors_of_a_value_go_with_it(
    new_place: Callable[[str], Any], index: dict[str, Any], kind: str
) -> None:
    """A value that is replaced leaves none behind that were made of it."""
    source, target = new_place(kind), new_place(kind)
    fill(source, index)
    await copied(source, target)
    source.sql("DELETE FROM store_vectors WHERE key = 'k'")
    later = "'2100-01-01 00:00:00+00:00'"
    value = {"sqlite": 'CAST(\'{"text":"y"}\' AS BLOB)', "postgres": '\'{"text":"y"}\''}[kind]
    source.sql(f"UPDATE store SET value = {value}, updated_at = {later} WHERE key = 'k'")

    told, _ = await copied(source, target)

    assert told == ["1 vector of store items: they were of values that were replaced"]
    assert {row[1] for row in target.sql(VECTORS)} == {"l"}


async def test_who_may_not_make_pgvector_known_gets_the_items_alone(
    new_place: Callable[[str], Any], index: dict[str, Any]
) -> None:
    source, target = new_place("sqlite"), new_place("postgres")
    fill(source, index)
    name = f"lgx_test_{secrets.token_hex(4)}"
    target.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    target.sql(f"GRANT ALL ON SCHEMA public TO {name}")
    dsn = target.database.dsn.replace("postgres@", f"{name}@")
    try:
        report = await lgx.run_async(source.use(), lgx.use("postgres-saver", dsn=dsn))
        (loss,) = report.losses
        assert (report.exit_code, report.extras) == (0, {"store_item": 2})
        assert loss.what == "3 vectors of store items"
        assert loss.why.startswith(
            "the target's server refuses a table for them: permission denied"
        )
        assert target.sql("SELECT count(*) FROM store") == [(2,)]
    finally:
        target.sql(f"DROP OWNED BY {name}")
        target.sql(f"DROP ROLE {name}")


async def test_a_store_that_may_not_be_read_is_listed_and_the_threads_come(
    new_place: Callable[[str], Any], index: dict[str, Any]
) -> None:
    source, target = new_place("postgres"), new_place("sqlite")
    fill(source, index)
    name = f"lgx_test_{secrets.token_hex(4)}"
    source.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    source.sql(f"GRANT USAGE ON SCHEMA public TO {name}")
    source.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    source.sql(f"REVOKE SELECT ON store FROM {name}")
    dsn = source.database.dsn.replace("postgres@", f"{name}@")
    try:
        report = await lgx.run_async(lgx.use("postgres-saver", dsn=dsn), target.use())
        (failure,) = report.failures
        assert (report.exit_code, failure.what) == (3, "store_item records")
        assert "the user may not read the table 'store'" in failure.why
    finally:
        source.sql(f"DROP OWNED BY {name}")
        source.sql(f"DROP ROLE {name}")


async def test_a_verification_compares_items_and_vectors(
    new_place: Callable[[str], Any], index: dict[str, Any]
) -> None:
    source, target = new_place("sqlite"), new_place("postgres")
    fill(source, index)
    await copied(source, target)

    same = await lgx.verify_async(source.use(), target.use())
    target.sql("UPDATE store SET value = '{\"text\": \"z\"}' WHERE key = 'k'")
    target.sql("UPDATE store_vectors SET embedding = '[0,0,0,0]' WHERE key = 'l'")
    other = await lgx.verify_async(source.use(), target.use())
    target.sql("DROP TABLE store_vectors")
    without = await lgx.verify_async(source.use(), target.use())

    assert same.exit_code == 0, same
    assert other.exit_code == 1
    assert other.records.different == 2
    assert without.records.different == 1
    assert [one.what for one in without.left_out] == [
        "vectors of store_item records of the source, sqlite-saver"
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_doctor_counts_items_and_vectors(
    new_place: Callable[[str], Any], index: dict[str, Any], kind: str
) -> None:
    place = new_place(kind)
    fill(place, index)

    probe = await lgx.probe_async(source=place.use())
    sink = await lgx.probe_async(sink=place.use())

    of = {"sqlite": "", "postgres": " of 4 dimensions of float32"}[kind]
    for one in (probe, sink):
        assert f"2 items, 3 vectors{of}" in [fact.value for fact in one.facts], one
