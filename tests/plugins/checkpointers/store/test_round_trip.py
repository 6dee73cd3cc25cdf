"""What LangGraph's store of one database wrote, that of the other reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

import lgx
from lgx import Report, Use

PAIRS = [(one, other) for one in ("sqlite", "postgres") for other in ("sqlite", "postgres")]

ODD = "a b/c \\ ' \" % _ [x] * ? 🎈 \n e\u0301 ; DROP TABLE store --"


def saver_tables(place: Any) -> None:
    """An empty checkpointer's tables: a source needs them."""
    if place.kind == "sqlite":
        with SqliteSaver.from_conn_string(str(place.path)) as saver:
            saver.setup()
    else:
        with PostgresSaver.from_conn_string(place.database.dsn) as saver:
            saver.setup()


def fill(place: Any, **options: Any) -> None:
    """Items with every awkward character, with and without an end."""
    saver_tables(place)
    with place.store(**options) as store:
        store.put(("users", "1"), "name", {"text": "Ada", "n": 1.5, "deep": {"a": [None, True]}})
        store.put(("users",), "1.name", {"text": "not the same", "big": 2**53 + 1})
        store.put((ODD, "ünder"), ODD, {"text": ODD})
        store.put(("x" * 200,), "k" * 300, {"text": "y" * 100_000})
        store.put(("empty",), "", {})
        store.put(("ends",), "soon", {"text": "soon"}, ttl=5)
        store.put(("ends",), "late", {"text": "late"}, ttl=60 * 24 * 365)


async def moved(source: Use, sink: Use, **options: Any) -> Report:
    """A run after which all items are there, and of which nothing is told."""
    report = await lgx.run_async(source, sink, **options)
    assert (report.exit_code, report.losses, report.failures) == (0, [], []), report
    return report


@pytest.mark.parametrize(("one", "other"), PAIRS)
async def test_every_item_is_found_with_its_times_and_its_end(
    new_place: Callable[[str], Any], one: str, other: str
) -> None:
    source, target = new_place(one), new_place(other)
    fill(source)

    report = await moved(source.use(), target.use())

    assert report.extras == {"store_item": 7}
    assert len(source.items()) == 7
    assert target.items() == source.items()
    assert target.expiry() == source.expiry()
    verified = await lgx.verify_async(source.use(), target.use())
    assert verified.exit_code == 0, verified


@pytest.mark.parametrize(
    ("one", "between", "other"),
    [
        ("sqlite", "archive", "postgres"),
        ("postgres", "archive", "sqlite"),
        ("postgres", "ndjson", "sqlite"),
        ("sqlite", "json", "postgres"),
        ("postgres", "sqlite", "sqlite"),
    ],
)
async def test_items_come_whole_through_every_place_between(
    new_place: Callable[[str], Any],
    index: dict[str, Any],
    tmp_path: Path,
    between: str,
    one: str,
    other: str,
) -> None:
    """Their vectors, too."""
    source, target, back = new_place(one), new_place(other), new_place(one)
    fill(source, index=index)
    middle = lgx.use(between, path=str(tmp_path / f"between.{between}"))

    await moved(source.use(), middle)
    await moved(middle, target.use())
    await moved(target.use(), back.use())

    for place in (target, back):
        assert place.items() == source.items()
        assert place.expiry() == source.expiry()
    verified = await lgx.verify_async(source.use(), back.use())
    assert verified.exit_code == 0, verified


@pytest.mark.parametrize(("one", "other"), PAIRS)
async def test_a_search_by_meaning_finds_the_same_with_the_vectors_that_came(
    new_place: Callable[[str], Any], index: dict[str, Any], one: str, other: str
) -> None:
    source, target = new_place(one), new_place(other)
    fill(source, index=index)

    await moved(source.use(), target.use())

    found = []
    for place in (source, target):
        with place.store(index=index) as store:
            hits = store.search((), query="Ada", limit=10)
            found.append([(hit.namespace, hit.key, round(hit.score, 5)) for hit in hits])
    assert found[0] == found[1]
    assert found[0][0][:2] == (("users", "1"), "name")
    count = "SELECT count(*) FROM store_vectors"
    assert target.sql(count) == source.sql(count) == [(6,)]


@pytest.mark.parametrize(("one", "other"), PAIRS[1:3])
async def test_an_item_that_has_expired_is_swept_from_the_copy_and_no_other(
    new_place: Callable[[str], Any], one: str, other: str
) -> None:
    source, target = new_place(one), new_place(other)
    fill(source)
    past = "'2020-01-01 00:00:00+00:00'"
    source.sql(f"UPDATE store SET expires_at = {past} WHERE key = 'soon'")

    await moved(source.use(), target.use())

    with target.store() as store:
        assert store.sweep_ttl() == 1
    assert {key for _, key in source.items()} - {key for _, key in target.items()} == {"soon"}


async def test_values_keep_their_bytes_between_files(new_place: Callable[[str], Any]) -> None:
    """Of every row, also of numbers that a float does not hold."""
    source, target = new_place("sqlite"), new_place("sqlite")
    fill(source)
    source.sql("UPDATE store SET value = CAST('{\"n\":1E+2,\"m\":0.10}' AS BLOB) WHERE key = ''")

    await moved(source.use(), target.use())

    rows = "SELECT * FROM store ORDER BY prefix, key"
    assert target.sql(rows) == source.sql(rows)
    types = "SELECT DISTINCT typeof(value), typeof(ttl_minutes) FROM store ORDER BY 1, 2"
    assert target.sql(types) == [("blob", "null"), ("blob", "real")]


async def test_a_run_is_told_of_what_a_record_says(
    new_place: Callable[[str], Any], index: dict[str, Any], tmp_path: Path
) -> None:
    """The form of an item in a file, which others read."""
    source, path = new_place("postgres"), tmp_path / "items.ndjson"
    saver_tables(source)
    with source.store(index=index) as store:
        store.put(("a", "b"), "k", {"text": "x"}, ttl=5)
    source.sql(
        "UPDATE store SET created_at = '2026-01-02 03:04:05+00', "
        "updated_at = '2026-01-02 03:04:05.6+00', expires_at = '2026-01-02 03:09:05+00'"
    )
    source.sql(
        "UPDATE store_vectors SET embedding = '[1,2,0.5,-1]', "
        "created_at = '2026-01-02 03:04:05+00', updated_at = NULL"
    )

    await moved(source.use(), lgx.use("ndjson", path=str(path)))

    (item,) = [
        one for one in map(json.loads, path.read_text().splitlines()) if one["kind"] == "store_item"
    ]
    assert item == {
        "kind": "store_item",
        "namespace": ["a", "b"],
        "key": "k",
        "value": {"text": "x"},
        "created_at": "2026-01-02T03:04:05+00:00",
        "updated_at": "2026-01-02T03:04:05.600000+00:00",
        "expires_at": "2026-01-02T03:09:05+00:00",
        "ttl_minutes": 5,
        "vectors": {
            "text": {
                "type": "float32",
                "data": "AACAPwAAAEAAAAA/AACAvw==",
                "created_at": "2026-01-02T03:04:05+00:00",
            }
        },
    }
