"""The sink's promises: whole threads, marks, replacement, few writes, several sources."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from lgx import (
    Assistant,
    Checkpoint,
    LockedError,
    Mark,
    Secret,
    StoreItem,
    Thread,
    ThreadRef,
    UsageError,
    raw,
)
from lgx.testing import make_context, make_run, sample_threads
from lgx_plugins.postgres import PostgresSink
from lgx_plugins.postgres.config import PostgresSinkConfig


def _refs(*ids: str) -> list[ThreadRef]:
    return [ThreadRef(thread_id=one, version="1") for one in ids]


async def test_a_mark_stands_beside_a_whole_thread_alone(shop: Any) -> None:
    """`held` answers with the marks of whole threads; partial and unknown ones have none."""
    async with shop.sink() as sink:
        assert await sink.held(_refs("whole", "part")) == {}
        whole = shop.bundle(shop.thread("whole", 3), version="v7")
        part = shop.bundle(shop.thread("part"), partial=True)
        await sink.write([whole, part], shop.context)
        marks = await sink.held(_refs("whole", "part", "unknown"))
    assert marks == {"whole": Mark(version="v7", fingerprint="f" * 64, checkpoints=3)}


async def test_marks_of_earlier_runs_are_found_and_stay_right(shop: Any) -> None:
    """Read once and kept; what this run writes or removes is looked up again."""
    await shop.write(*(shop.thread(f"t{number}") for number in range(5)))
    async with shop.sink() as sink:
        assert set(await sink.held(_refs("t0", "t1", "none"))) == {"t0", "t1"}
        await sink.write([shop.bundle(shop.thread("t1"), version="2")], shop.context)
        await sink.forget(["t2"])
        found = await sink.held(_refs("t0", "t1", "t2", "t3"))
    assert {key: mark.version for key, mark in found.items()} == {"t0": "1", "t1": "2", "t3": "1"}


async def test_writing_again_replaces_the_thread(shop: Any, lines: Any) -> None:
    """Rows that no longer exist at the source are gone; a partial copy loses its mark."""
    await shop.write(shop.thread("t", 5), shop.thread("other"))
    records = [
        Thread(thread_id="t"),
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="new"),
    ]
    async with shop.sink() as sink:
        await sink.write([shop.bundle(records, partial=True)], shop.context)
        assert set(await sink.held(_refs("t", "other"))) == {"other"}
    assert await shop.read() == {"other": lines(shop.thread("other")), "t": lines(records)}
    assert shop.counts() == {"threads": 2, "checkpoints": 3, "runs": 1, "records": 1}


async def test_an_unchanged_thread_is_not_written_again(shop: Any) -> None:
    """The same records under the same mark: no row of any table is touched."""
    threads = list(sample_threads().values())
    await shop.write(*threads)
    tables = ("threads", "checkpoints", "runs", "records")
    before = [shop.written(table) for table in tables]
    await shop.write(*threads)
    assert [shop.written(table) for table in tables] == before


async def test_one_more_checkpoint_writes_two_rows(shop: Any, lines: Any) -> None:
    """Of a thread of 500 the new checkpoint, and the thread's row with its new mark."""
    await shop.write(shop.thread("t", 500), shop.thread("other", 3))
    before = {table: shop.written(table) for table in ("threads", "checkpoints", "runs")}
    await shop.write(shop.thread("t", 501), version="2")
    after = {table: shop.written(table) for table in before}
    changed = {table: len(after[table].items() - before[table].items()) for table in before}
    assert changed == {"threads": 1, "checkpoints": 1, "runs": 0}
    assert (await shop.read())["t"] == lines(shop.thread("t", 501))


async def test_what_changed_in_the_middle_is_written_and_the_rest_keeps_its_rows(
    shop: Any, lines: Any
) -> None:
    """An edited checkpoint, one that is gone, one that came between: order and content are
    the new ones, and the rows of all others stay, with their ids."""
    old = shop.thread("t", 20)
    await shop.write(old)
    before = dict(shop.sql("SELECT checkpoint_id, id FROM langgraph_checkpoints"))
    new = list(old)
    new[5] = msgspec.structs.replace(new[5], values=raw({"edited": True}))
    del new[10]
    new.insert(3, shop.checkpoint("t", 900))
    await shop.write(new, version="2")
    assert (await shop.read())["t"] == lines(new)
    after = dict(shop.sql("SELECT checkpoint_id, id FROM langgraph_checkpoints"))
    same = {key for key in before if after.get(key) == before[key]}
    assert len(same) == 18


async def test_ids_of_any_sort_are_kept_apart(shop: Any, lines: Any) -> None:
    """Also an id with NUL, and the text that NUL is written as."""
    ids = ["a\0b", "a\ufdd00000b", "a\ufdd0fdd00000b", "", "x" * 2000, "'; DROP TABLE x; --"]
    threads = [shop.thread(one, 1) for one in ids]
    await shop.write(*threads)
    async with shop.sink() as sink:
        assert set(await sink.held(_refs(*ids, "ab"))) == set(ids)
    assert await shop.read() == {one: lines(shop.thread(one, 1)) for one in ids}


async def test_forget_removes_threads_their_parts_and_marks(shop: Any) -> None:
    """Of this source alone; unknown ids are ignored."""
    await shop.write(shop.thread("a"), shop.thread("b"))
    await shop.write(shop.thread("a"), run=make_run(source="kit://second", merge=True))
    async with shop.sink(make_run(merge=True)) as sink:
        await sink.forget(["a", "unknown"])
        assert set(await sink.held(_refs("a", "b"))) == {"b"}
    assert shop.counts() == {"threads": 2, "checkpoints": 4, "runs": 2, "records": 2}
    assert set(await shop.read(origin="kit://second")) == {"a"}


async def test_one_bad_thread_of_a_batch_fails_alone(shop: Any, lines: Any) -> None:
    """What the server refuses costs its thread, with a reason; all others are durable."""
    threads = [shop.thread(f"t{number:02}") for number in range(30)]
    bad = [7, 8, 21]
    for number in bad:
        threads[number][1] = msgspec.structs.replace(threads[number][1], values=Raw(b'{"n": x}'))
    async with shop.sink() as sink:
        outcomes = await sink.write([shop.bundle(one) for one in threads], shop.context)
    failed = [number for number, outcome in enumerate(outcomes) if outcome.error]
    assert failed == bad
    assert {outcome.error for outcome in outcomes if outcome.error} == {
        'text is not JSON at byte 176: b\'x},"next":[],"tasks"\''
    }
    assert await shop.read() == {
        f"t{number:02}": lines(threads[number]) for number in range(30) if number not in bad
    }


async def test_a_failed_replacement_leaves_what_stood_there(shop: Any, lines: Any) -> None:
    """A thread that cannot be written again keeps its earlier copy and mark."""
    await shop.write(shop.thread("t", 3))
    bad = shop.thread("t", 5)
    bad[4] = msgspec.structs.replace(bad[4], tasks=Raw(b"[nothing]"))
    async with shop.sink() as sink:
        (outcome,) = await sink.write([shop.bundle(bad, version="2")], shop.context)
        assert outcome.error
        assert (await sink.held(_refs("t")))["t"].version == "1"
    assert await shop.read() == {"t": lines(shop.thread("t", 3))}


async def test_records_of_another_thread_are_refused(shop: Any) -> None:
    """A bundle that holds them is a plugin's fault, and spoils nothing."""
    mixed = [*shop.thread("t"), shop.checkpoint("other", 1)]
    async with shop.sink() as sink:
        (outcome,) = await sink.write([shop.bundle(mixed)], shop.context)
    assert outcome.error == (
        "a checkpoint of thread 'other' came with thread 't'; nothing of it was written"
    )
    assert shop.counts()["threads"] == 0


async def test_one_id_twice_in_a_batch_leaves_the_last(shop: Any, lines: Any) -> None:
    """Bundles of a batch are written in their order."""
    async with shop.sink() as sink:
        bundles = [shop.bundle(shop.thread("t", count), version=str(count)) for count in (3, 1, 2)]
        outcomes = await sink.write(bundles, shop.context)
        assert [outcome.error for outcome in outcomes] == [None] * 3
        assert (await sink.held(_refs("t")))["t"].version == "2"
    assert await shop.read() == {"t": lines(shop.thread("t", 2))}


@pytest.mark.parametrize("earlier", [False, True], ids=["new", "standing"])
async def test_a_doubled_checkpoint_is_listed(shop: Any, lines: Any, *, earlier: bool) -> None:
    """Of two with one identity the last stands, and the outcome says so."""
    if earlier:
        await shop.write(shop.thread("t", 4))
    records = shop.thread("t", 4)
    twin = msgspec.structs.replace(records[2], values=raw({"twin": True}))
    records.insert(4, twin)
    records.insert(4, records[3])
    async with shop.sink() as sink:
        neighbour = shop.bundle(shop.thread("n", 1))
        doubled, other = await sink.write(
            [shop.bundle(records, version="2"), neighbour], shop.context
        )
    assert (doubled.error, other) == (None, type(other)(thread_id="n"))
    (loss,) = doubled.losses
    assert (loss.what, loss.checkpoints, loss.holdable) == ("2 doubled checkpoints", 2, False)
    kept = [record for number, record in enumerate(records) if number not in (2, 3)]
    assert sorted((await shop.read(in_order=False))["t"]) == sorted(lines(kept))


async def test_large_and_deep_values_go_in_by_looking_closely(shop: Any, lines: Any) -> None:
    """Numbers beyond `numeric`, nesting beyond the server's stack: kept as one string each, in
    the columns that have them alone."""
    deep = Raw(b'{"d":' + b"[" * 50_000 + b"]" * 50_000 + b"}")
    long = Raw(b'{"n":' + b"7" * 140_000 + b"}")
    records = shop.thread("t", 1)
    records[1] = msgspec.structs.replace(records[1], values=deep, metadata=long)
    await shop.write(records, shop.thread("other"))
    assert await shop.read() == {"t": lines(records), "other": lines(shop.thread("other"))}
    assert shop.sql(
        "SELECT jsonb_typeof(values), jsonb_typeof(metadata), jsonb_typeof(tasks) "
        "FROM langgraph_checkpoints WHERE thread_id = 't'"
    ) == [("string", "string", "array")]


async def test_extras_are_replaced_by_a_whole_and_added_to_by_a_part(shop: Any) -> None:
    """A whole kind takes the place of what this source had; a part removes nothing."""

    def item(key: str, n: int) -> StoreItem:
        return StoreItem(namespace=("a\0", "b"), key=key, value=raw({"n": n}))

    def held() -> list[tuple[Any, ...]]:
        return shop.sql("SELECT key, value ->> 'n' FROM langgraph_store_items ORDER BY key")  # type: ignore[no-any-return]

    async with shop.sink() as sink:

        async def write(*items: StoreItem, partial: bool = False) -> None:
            bundle = shop.extras(items, partial=partial)
            assert (await sink.write_extras("store_item", bundle, shop.context)).error is None

        await write(item("x", 1), item("y", 1))
        before = shop.written("store_items")
        await write(item("x", 1), item("y", 2), partial=True)
        assert held() == [("x", "1"), ("y", "2")]
        assert len(shop.written("store_items").items() & before.items()) == 1
        await write(item("y", 3), item("z", 1), item("z", 2))
        assert held() == [("y", "3"), ("z", "2")]
        await write()
        assert held() == []


async def test_extras_that_cannot_be_held_are_left_out_and_listed(shop: Any) -> None:
    """A whole number of any size stands in a file, not in a table; nor is a key of any length
    indexed. The others arrive, and what stood there stays."""
    dice = random.Random(1)
    long = "".join(dice.choice("0123456789abcdef") for _ in range(20_000))
    async with shop.sink() as sink:

        async def write(kind: str, *records: Any) -> Any:
            outcome = await sink.write_extras(kind, shop.extras(records), shop.context)
            assert outcome.error is None
            return [(loss.what, loss.why, loss.holdable) for loss in outcome.losses]

        assert await write("assistant", Assistant(assistant_id="old", version=1)) == []
        assert await write(
            "assistant",
            Assistant(assistant_id="a", version=1 << 70),
            Assistant(assistant_id="b", version=1),
        ) == [
            (
                f'assistant "a" {1 << 70}',
                (
                    f"version {1 << 70} is larger than the 64 bits that PostgreSQL can hold; "
                    "move it into an archive or an ndjson file"
                ),
                True,
            )
        ]
        assert await write(
            "store_item",
            StoreItem(namespace=("a",), key=long, value=raw(1)),
            StoreItem(namespace=("a",), key="k", value=raw(1)),
            StoreItem(namespace=(long,), key="k", value=raw(1)),
        ) == [
            (
                f"store_item {what}…",
                (
                    "namespace and key take 20018 bytes with the source's name, and PostgreSQL "
                    "indexes 2500 for sure; an archive or an ndjson file can hold it"
                ),
                True,
            )
            for what in (f'["a"] "{long[:73]}', f'["{long[:78]}')
        ]
    assert shop.sql("SELECT assistant_id FROM langgraph_assistants ORDER BY 1") == [
        ("b",),
        ("old",),
    ]
    assert shop.sql("SELECT key FROM langgraph_store_items") == [("k",)]


async def test_a_second_source_needs_merge(shop: Any, lines: Any) -> None:
    """Threads of two sources in one target are refused, then kept apart by `source_url`."""
    await shop.write(shop.thread("t", 1))
    with pytest.raises(UsageError, match="were filled from 'kit://first', and this run reads"):
        await shop.write(shop.thread("t", 2), run=make_run(source="kit://second"))
    await shop.write(shop.thread("t", 2), run=make_run(source="kit://second", merge=True))
    assert await shop.read(origin="kit://first") == {"t": lines(shop.thread("t", 1))}
    assert await shop.read(origin="kit://second") == {"t": lines(shop.thread("t", 2))}


async def test_what_a_run_is_refused_for_is_told_before_it_waits(shop: Any) -> None:
    """Another source's threads, another layout: they will be there when the other has ended."""
    await shop.write(shop.thread("t"))
    async with shop.sink():
        with pytest.raises(UsageError, match="were filled from 'kit://first'"):
            await shop.write(run=make_run(source="kit://second"), lock="wait")
        with pytest.raises(UsageError, match="hold checkpoints in the layout 'plain'"):
            await shop.write(layout="dedup", lock="wait")


async def test_two_runs_at_once_never_interleave(shop: Any, lines: Any) -> None:
    """The second is told who writes, or waits until the first has ended."""
    async with shop.sink() as first:
        await first.write([shop.bundle(shop.thread("a"))], shop.context)
        with pytest.raises(LockedError, match=r"are being written by process \d+ on host"):
            await shop.write(shop.thread("b"))
        waiting = asyncio.ensure_future(shop.write(shop.thread("b"), lock="wait"))
        await first.write([shop.bundle(shop.thread("c"))], shop.context)
        assert not waiting.done()
        assert shop.counts()["threads"] == 2
        await first.finish(shop.context)
    await waiting
    assert set(await shop.read()) == {"a", "b", "c"}
    rows = shop.sql("SELECT finished_at IS NOT NULL FROM langgraph_exports ORDER BY id")
    assert rows == [(True,), (True,)]


async def test_many_writers_at_once_leave_what_one_leaves(shop: Any, lines: Any) -> None:
    """Batches of all sizes, written concurrently over few connections; the log counts all."""
    threads = [shop.thread(f"t{number:03}", number % 7) for number in range(120)]
    async with shop.sink(connections=3) as sink:
        batches = [threads[start : start + 10] for start in range(0, 120, 10)]
        await asyncio.gather(
            *(sink.write([shop.bundle(one) for one in batch], shop.context) for batch in batches)
        )
        await sink.finish(shop.context)
    assert await shop.read() == {
        f"t{number:03}": lines(thread) for number, thread in enumerate(threads)
    }
    shop.check_whole()
    assert shop.sql("SELECT threads, checkpoints FROM langgraph_exports") == [
        (120, sum(number % 7 for number in range(120)))
    ]


async def test_a_dry_run_changes_nothing(shop: Any) -> None:
    """Neither where nothing is there yet nor where marks are."""
    async with shop.sink(make_run(dry_run=True)) as sink:
        assert await sink.held(_refs("t")) == {}
    assert shop.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'langgraph%'") == [(0,)]
    await shop.write(shop.thread("t"))
    before = shop.written("threads"), shop.sql("SELECT * FROM langgraph_lease")
    async with shop.sink(make_run(dry_run=True)) as sink:
        assert set(await sink.held(_refs("t", "u"))) == {"t"}
    assert (shop.written("threads"), shop.sql("SELECT * FROM langgraph_lease")) == before


async def test_a_dry_run_is_refused_as_a_run_is(shop: Any) -> None:
    """Tables of somebody else, another layout, another source."""
    shop.sql("CREATE TABLE mine_runs (x INT)")
    await shop.write(shop.thread("t"))
    refusals = []
    for options, source in (
        ({"table_prefix": "mine_"}, "kit://first"),
        ({"layout": "dedup"}, "kit://first"),
        ({}, "kit://second"),
    ):
        for dry_run in (True, False):
            with pytest.raises(UsageError) as refused:
                async with shop.sink(make_run(source=source, dry_run=dry_run), **options):
                    pass
            refusals.append(str(refused.value))
    assert refusals[::2] == refusals[1::2]
    assert len(set(refusals)) == 3


async def test_what_a_server_calls_its_version_is_logged_whatever_it_is(shop: Any) -> None:
    """JSONB refuses NUL; the run does not end of it."""
    run = msgspec.structs.replace(make_run(), versions={"langgraph-api": "1\0"})
    await shop.write(shop.thread("t"), run=run)
    assert shop.sql("SELECT versions ->> 'langgraph-api' FROM langgraph_exports") == [
        ("1\ufdd00000",)
    ]


async def test_runs_are_logged(shop: Any) -> None:
    """Each run has a row; one that was aborted has no end, and tells how far it came."""
    await shop.write(shop.thread("a", 2), shop.thread("b", 3))
    async with shop.sink() as sink:
        await sink.write([shop.bundle(shop.thread("c", 4))], shop.context)
    assert shop.sql(
        "SELECT source_url, threads, checkpoints, finished_at IS NULL, versions::text "
        "FROM langgraph_exports ORDER BY id"
    ) == [
        ("kit://first", 2, 5, False, '{"lgx": "0"}'),
        ("kit://first", 1, 4, True, '{"lgx": "0"}'),
    ]


async def test_any_schema_and_prefix_are_one_target_each(shop: Any, lines: Any) -> None:
    """Whatever their names hold; nothing is created outside the schema."""
    places = [
        {"schema": 'Böse "name"; --', "table_prefix": "p'\"%s{0}$1 "},
        {"schema": "public", "table_prefix": "🎈"},
        {"schema": "public", "table_prefix": ""},
    ]
    for number, place in enumerate(places):
        await shop.write(shop.thread("t", number), **place)
        await shop.write(shop.thread("t", number + 1), version="2", **place)
    for number, place in enumerate(places):
        assert await shop.read(**place) == {"t": lines(shop.thread("t", number + 1))}
    schemas = shop.sql(
        "SELECT DISTINCT nspname FROM pg_class AS c JOIN pg_namespace AS n "
        "ON n.oid = c.relnamespace WHERE relkind IN ('r', 'v', 'S') "
        "AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY 1"
    )
    assert schemas == [('Böse "name"; --',), ("public",)]


async def test_a_thread_without_its_own_record_is_kept(shop: Any, lines: Any) -> None:
    """Its checkpoints need a row to belong to; that row has the id alone."""
    records = [shop.checkpoint("t", number) for number in range(2)]
    await shop.write(records)
    assert await shop.read(in_order=False) == {"t": lines(records)}


async def test_other_tables_are_left_alone(shop: Any) -> None:
    """A schema that exists gets lgx's tables beside its own."""
    shop.sql("CREATE TABLE orders AS SELECT 1 AS n")
    await shop.write(shop.thread("t"))
    assert shop.sql("SELECT n FROM orders") == [(1,)]


async def test_a_commit_is_durable_where_the_server_says_otherwise(shop: Any) -> None:
    """`synchronous_commit = off` is the database's default here; a write waits all the same."""
    shop.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', "
        "current_database()); END $$"
    )
    async with shop.sink() as sink, sink._transactions.writing(again=False) as connection:
        assert await connection.fetchval("SHOW synchronous_commit") == "on"


async def test_the_password_shows_nowhere() -> None:
    """Neither in the sink's options nor in what it says of itself."""
    config = PostgresSinkConfig(dsn=Secret("postgresql://u:hunter2@127.0.0.1:1/db"))
    sink = PostgresSink(config)
    with pytest.raises(Exception) as caught:
        await sink.begin(make_run(), make_context())
    assert "hunter2" not in f"{caught.value!r} {config!r} {vars(sink)!r}"
