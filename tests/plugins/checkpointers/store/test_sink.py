"""What lgx makes of a store, and what it leaves there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from langgraph.store.postgres.base import MIGRATIONS as IN_POSTGRES
from langgraph.store.sqlite.base import MIGRATIONS as IN_SQLITE
from msgspec import Raw

from lgx import Bundle, Loss, StoreItem, raw
from lgx.config import convert
from lgx.testing import make_context, make_run
from lgx_plugins.checkpointers.postgres import PostgresSaverSink
from lgx_plugins.checkpointers.sqlite import SqliteSaverSink

KINDS = ("sqlite", "postgres")
WHEN = "2026-01-02T03:04:05.600000+00:00"
LATER = "2026-01-02T03:04:06+00:00"


def item(key: str, value: object = None, **fields: Any) -> StoreItem:
    fields = {"created_at": WHEN, "updated_at": WHEN, **fields}
    return StoreItem(namespace=("a",), key=key, value=raw(value or {"text": key}), **fields)


async def write(place: Any, *items: StoreItem, dry: bool = False, **options: Any) -> Any:
    """One run of the sink; what it says, and what it notes."""
    context = make_context()
    use = place.use(**options)
    cls: Any = SqliteSaverSink if place.kind == "sqlite" else PostgresSaverSink
    config = convert(cls.config_type, use.options, where="--sink")
    async with cls(config) as sink:
        await sink.begin(make_run(dry_run=dry), context)
        spool = context.spool()
        for one in items:
            spool.append(one)
        bundle = Bundle(spool, ref=None, mark=None)
        done = sink.preview_extras if dry else sink.write_extras
        outcome = await done("store_item", bundle, context)
        bundle.close()
    assert context.budget.used == 0
    return outcome, [note.message for note in context.notes.values()]


async def written(place: Any, *items: StoreItem, **options: Any) -> Any:
    return (await write(place, *items, **options))[0]


# -- tables ----------------------------------------------------------------------------

CATALOG = {
    "sqlite": [
        (
            "SELECT m.name, c.* FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c "
            "WHERE m.type = 'table' AND m.name LIKE '%store%' OR m.name = 'vector_migrations' "
            "ORDER BY 1, 2"
        ),
        (
            'SELECT m.name, i.name, i."unique", i.origin, i.partial, c.* FROM sqlite_master AS m, '
            "pragma_index_list(m.name) AS i, pragma_index_xinfo(i.name) AS c "
            "WHERE m.name LIKE 'store%' AND m.type = 'table' ORDER BY 1, 2, 6"
        ),
        (
            "SELECT m.name, f.* FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f "
            "WHERE m.name LIKE 'store%' ORDER BY 1, 2, 3"
        ),
        "SELECT v FROM store_migrations ORDER BY v",
        "SELECT v FROM vector_migrations ORDER BY v",
    ],
    "postgres": [
        (
            "SELECT table_name, ordinal_position, column_name, udt_name, is_nullable, "
            "column_default FROM information_schema.columns WHERE table_schema = 'public' "
            "AND table_name ~ 'store|vector_mig' ORDER BY 1, 2"
        ),
        (
            "SELECT c.relname::text, a.attname::text, a.atttypmod FROM pg_attribute AS a "
            "JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relname ~ '^store' AND a.attnum > 0 "
            "AND c.relkind = 'r' ORDER BY 1, 2"
        ),
        (
            "SELECT tablename, indexname, indexdef FROM pg_indexes "
            "WHERE tablename ~ 'store|vector' AND indexname <> 'store_vectors_embedding_idx' "
            "ORDER BY 1, 2"
        ),
        (
            "SELECT c.relname::text, k.conname::text, pg_get_constraintdef(k.oid) "
            "FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid "
            "WHERE c.relname ~ 'store|vector' ORDER BY 1, 2"
        ),
        (
            "SELECT n.nspname::text FROM pg_extension AS e "
            "JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
        ),
        "SELECT v FROM store_migrations ORDER BY v",
        "SELECT v FROM vector_migrations WHERE v < 2 ORDER BY v",
    ],
}


@pytest.mark.parametrize("kind", KINDS)
async def test_new_tables_are_those_of_the_store_s_own_setup(
    new_place: Callable[[str], Any], index: dict[str, Any], kind: str
) -> None:
    """With the numbers of its migrations. How vectors are indexed the store's own `setup()` says
    when it comes, which finds that one migration left to do."""
    ours, theirs = new_place(kind), new_place(kind)
    with theirs.store(index=index) as store:
        store.put(("a",), "k", {"text": "k"})
    vectors = {"text": {"type": "float32", "data": "AACAPwAAAEAAAAA/AACAvw=="}}

    await written(ours, item("k", extra={"vectors": raw(vectors)}))

    made = [theirs.sql(query) for query in CATALOG[kind]]
    assert [ours.sql(query) for query in CATALOG[kind]] == made
    assert all(made)
    with ours.store(index=index) as store:
        store.put(("a",), "l", {"text": "l"})
        assert len(store.search(("a",), query="l")) == 2
    if kind == "postgres":
        migrations = "SELECT v FROM vector_migrations ORDER BY v"
        assert ours.sql(migrations) == theirs.sql(migrations)


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_made_where_no_item_comes(
    new_place: Callable[[str], Any], kind: str
) -> None:
    place = new_place(kind)

    outcome = await written(place)

    assert (outcome.error, outcome.losses, outcome.records) == (None, (), 0)
    assert tables(place) & {"store", "store_vectors", "store_migrations"} == set()


@pytest.mark.parametrize("kind", KINDS)
async def test_no_table_of_vectors_is_made_where_none_come(
    new_place: Callable[[str], Any], kind: str
) -> None:
    place = new_place(kind)

    await written(place, item("k"))

    assert tables(place) >= {"store", "store_migrations"}
    assert "store_vectors" not in tables(place)


def tables(place: Any) -> set[str]:
    query = {
        "sqlite": "SELECT name FROM sqlite_master",
        "postgres": "SELECT relname::text FROM pg_class WHERE relkind = 'r'",
    }
    return {name for (name,) in place.sql(query[place.kind])}


def older_tables(place: Any) -> None:
    """As a version of LangGraph made them that knew no end of items."""
    place.sql((IN_SQLITE if place.kind == "sqlite" else IN_POSTGRES)[0].strip().rstrip(";"))


@pytest.mark.parametrize("kind", KINDS)
async def test_tables_without_columns_for_the_expiry_are_used_as_they_stand(
    new_place: Callable[[str], Any], kind: str
) -> None:
    """What cannot be kept is told, and the run ends with 3."""
    place = new_place(kind)
    older_tables(place)
    ends = {"expires_at": raw(LATER), "ttl_minutes": raw(5)}

    outcome = await written(place, item("k", extra=ends), item("l"))

    assert outcome.losses == (
        Loss(
            what="expiry of 1 store item",
            why="the table has no columns for it; run the store's setup() there, which adds them",
        ),
    )
    assert place.sql("SELECT key FROM store ORDER BY key") == [("k",), ("l",)]
    assert (await written(place, item("l"))).written is False


@pytest.mark.parametrize("kind", KINDS)
async def test_another_program_s_table_of_that_name_is_left_alone(
    new_place: Callable[[str], Any], kind: str
) -> None:
    """A shop has one, too."""
    place = new_place(kind)
    place.sql("CREATE TABLE store (id int, street text)")

    outcome = await written(place, item("k"))

    assert "is no store's: it lacks 'prefix'" in outcome.error
    assert place.sql("SELECT count(*) FROM store") == [(0,)]


# -- what stands there -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_item_is_not_written_again(
    new_place: Callable[[str], Any], kind: str
) -> None:
    place = new_place(kind)
    ends = {"expires_at": raw(LATER), "ttl_minutes": raw(5)}
    items = [item("k", {"n": 1.0, "m": 2}, extra=ends), item("l")]
    first = await written(place, *items)
    same = item("k", {"m": 2, "n": 1}, extra=ends)
    version = {"sqlite": "PRAGMA data_version", "postgres": "SELECT max(xmin::text) FROM store"}
    before = place.sql(version[kind])

    second = await written(place, same, items[1])

    assert (first.written, first.records, first.unchanged) == (True, 2, 0)
    assert (second.written, second.records, second.unchanged) == (False, 2, 2)
    assert second.losses == ()
    assert place.sql(version[kind]) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["fail", "skip", "replace"])
async def test_an_item_is_replaced_by_one_that_was_changed_later(
    new_place: Callable[[str], Any], kind: str, policy: str
) -> None:
    """One that is not older stays, and is listed, but for `replace`; of one that has the same
    value the times alone are taken, if it is not newer."""
    place = new_place(kind)
    ends = {"expires_at": raw(LATER), "ttl_minutes": raw(5)}
    await written(
        place,
        item("older", "there"),
        item("newer", "there", updated_at=LATER),
        item("alike", "there"),
        item("dated"),
    )

    outcome = await written(
        place,
        item("older", "came", updated_at=LATER),
        item("newer", "came"),
        item("alike", "came"),
        item("dated", extra=ends),
        on_conflict=policy,
    )

    stays = "it stands there with other content that is not older, and was not replaced"
    remedy = (
        " (--sink-on-conflict skip)" if policy == "skip" else "; --sink-on-conflict replace does"
    )
    skips = policy == "skip"
    losses = tuple(
        Loss(what=f"store item {key!r} of 'a'", why=stays + remedy, holdable=not skips, left=skips)
        for key in ("newer", "alike")
    )
    replaced = policy == "replace"
    assert outcome.losses == (() if replaced else losses)
    assert outcome.records == (4 if replaced else 2)
    value = {"sqlite": "CAST(value AS TEXT)", "postgres": "value #>> '{}'"}[kind]
    found = {key: text.strip('"') for key, text in place.sql(f"SELECT key, {value} FROM store")}
    stayed = "came" if replaced else "there"
    assert (found["older"], found["newer"], found["alike"]) == ("came", stayed, stayed)
    assert place.expiry()["a", "dated"][1] == 5.0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dry_run_tells_what_would_become_of_items_and_changes_nothing(
    new_place: Callable[[str], Any], kind: str
) -> None:
    place, empty = new_place(kind), new_place(kind)
    await written(place, item("same"), item("old"), item("new", updated_at=LATER))
    before = place.sql("SELECT * FROM store ORDER BY key")
    coming = [item("same"), item("old", "x", updated_at=LATER), item("new", "x"), item("more")]

    outcome, notes = await write(place, *coming, dry=True)
    fresh, told = await write(empty, *coming, dry=True)

    assert [one.what for one in outcome.losses] == ["store item 'new' of 'a'"]
    said = "1 would be created, 1 would be replaced, 1 are there already"
    assert notes == [f"store items: {said}"]
    assert fresh.losses == ()
    assert told == ["store items: 4 would be created"]
    assert place.sql("SELECT * FROM store ORDER BY key") == before
    assert kind == "postgres" or not empty.path.exists()


# -- what cannot be held -----------------------------------------------------------------


def hostile() -> list[StoreItem]:
    return [
        item("good"),
        StoreItem(namespace=("a.b", "c"), key="dot", value=raw(1)),
        StoreItem(namespace=(), key="none", value=raw(1)),
        StoreItem(namespace=("a",), key="empty"),
        item("nul\0key"),
        item("nul", "a\0b"),
        msgspec.structs.replace(item("lone"), value=Raw(b'"\\ud800"')),
        msgspec.structs.replace(item("large"), value=Raw(b"1e400000")),
        item("time", created_at="noon"),
        item("ttl", extra={"ttl_minutes": raw(1 << 40)}),
        item("k" * 5000 + "\U0001f388"),
        msgspec.structs.replace(item("deep"), value=Raw(b"[" * 20_000 + b"]" * 20_000)),
    ]


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("sqlite", {"dot", "none", "empty"}),
        (
            "postgres",
            {"dot", "none", "empty", "nul\0key", "nul", "lone", "large", "time", "ttl", "deep"},
        ),
    ],
)
async def test_items_that_cannot_be_held_are_listed_each_and_the_others_arrive(
    new_place: Callable[[str], Any], kind: str, refused: set[str]
) -> None:
    place, items = new_place(kind), hostile()

    outcome = await written(place, *items)

    lost = {one.key for one in items if any(repr(one.key) in loss.what for loss in outcome.losses)}
    assert lost == refused
    assert all(loss.holdable for loss in outcome.losses)
    assert outcome.records == len(items) - len(refused)
    assert place.sql("SELECT count(*) FROM store") == [(len(items) - len(refused),)]


async def test_minutes_to_live_are_whole_in_postgresql(new_place: Callable[[str], Any]) -> None:
    """As PostgresStore itself makes them; when the item expires is exact, and what changed is
    told."""
    place = new_place("postgres")

    outcome = await written(
        place, item("k", extra={"expires_at": raw(LATER), "ttl_minutes": raw(1.5)})
    )

    assert [(one.what, one.holdable) for one in outcome.losses] == [
        ("fractions of ttl_minutes of 1 store item", False)
    ]
    ((expires, minutes),) = place.expiry().values()
    assert (expires.isoformat(), minutes) == (LATER, 2.0)


async def test_fields_that_no_store_has_are_told(new_place: Callable[[str], Any]) -> None:
    outcome = await written(new_place("sqlite"), item("k", extra={"score": raw(1), "x": raw(None)}))

    assert [(one.what, one.holdable) for one in outcome.losses] == [
        ("field 'score' of 1 store item", False)
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_item_without_times_gets_those_of_a_store(
    new_place: Callable[[str], Any], kind: str
) -> None:
    """One that stands there keeps its own, a new one gets that of the run: LangGraph's store
    could load neither without. That is told, and a second run changes nothing."""
    place = new_place(kind)
    with place.store() as store:
        store.put(("a",), "there", {"text": "there"})
    before = place.items()
    items = [StoreItem(namespace=("a",), key=key, value=raw({"text": key}))
             for key in ("there", "new")]  # fmt: skip

    outcome = await written(place, *items)

    assert [(one.what, one.holdable) for one in outcome.losses] == [
        ("times of 1 store item", False)
    ]
    after = place.items()
    assert {key: after[key] for key in before} == before
    value, created, updated = after[("a",), "new"]
    assert value == {"text": "new"}
    assert datetime.now(UTC) - timedelta(minutes=5) < created == updated <= datetime.now(UTC)
    assert (await written(place, *items)).written is False
    assert place.items() == after


@pytest.mark.parametrize("kind", KINDS)
async def test_an_item_without_times_is_not_known_to_be_newer(
    new_place: Callable[[str], Any], kind: str
) -> None:
    """Another value stays; where it is to be replaced, it was changed now, and made when it was."""
    place = new_place(kind)
    await written(place, item("k", {"text": "old"}))
    other = StoreItem(namespace=("a",), key="k", value=raw({"text": "other"}))

    assert [loss.what for loss in (await written(place, other)).losses] == ["store item 'k' of 'a'"]
    await written(place, other, on_conflict="replace")

    ((value, created, updated),) = place.items().values()
    assert (value, created) == ({"text": "other"}, datetime.fromisoformat(WHEN))
    assert updated > created
