"""The sink's promises: whole threads, marks, replacement, several sources, one writer."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from typing import Any

import pytest
from msgspec import Raw

from lgx import (
    Assistant,
    Checkpoint,
    FatalError,
    LockedError,
    Loss,
    Mark,
    StoreItem,
    Thread,
    ThreadRef,
    UsageError,
    encode_line,
    raw,
)
from lgx_plugins.sqlite import SqliteSink
from lgx_plugins.sqlite.config import SqliteConfig


def _refs(*ids: str) -> list[ThreadRef]:
    return [ThreadRef(thread_id=one, version="v1") for one in ids]


async def test_a_mark_stands_beside_a_whole_thread_alone(shop: Any) -> None:
    """`held` answers with the marks of whole threads; partial and unknown ones have none."""
    async with shop.sink() as sink:
        whole = shop.bundle(shop.thread("whole", checkpoints=3), version="v7")
        part = shop.bundle(shop.thread("part"), partial=True)
        await sink.write([whole, part], shop.context)
        marks = await sink.held(_refs("whole", "part", "unknown"))
    assert marks == {"whole": Mark(version="v7", fingerprint="f1", checkpoints=3)}
    assert list(await shop.lines(part="part")) == ["part", "whole"]


async def test_marks_of_many_threads_are_found(shop: Any) -> None:
    """More ids than one statement takes parameters."""
    ids = [f"t{number:05}" for number in range(1203)]
    async with shop.sink() as sink:
        bundles = [shop.bundle([Thread(thread_id=one)]) for one in ids]
        outcomes = await sink.write(bundles, shop.context)
        assert [o.error for o in outcomes] == [None] * len(ids)
        assert set(await sink.held(_refs(*ids))) == set(ids)


async def test_writing_again_replaces_the_thread(shop: Any) -> None:
    """Rows that no longer exist at the source are gone; a partial copy loses its mark."""
    await shop.write(shop.thread("t", checkpoints=5), shop.thread("other"))
    async with shop.sink() as sink:
        records = [
            Thread(thread_id="t"),
            Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="new"),
        ]
        await sink.write([shop.bundle(records, partial=True)], shop.context)
        assert set(await sink.held(_refs("t", "other"))) == {"other"}
    assert await shop.lines(part="t") == {
        "other": [encode_line(r) for r in shop.thread("other")],
        "t": [encode_line(r) for r in records],
    }


async def test_writing_twice_leaves_what_writing_once_leaves(shop: Any) -> None:
    """The same bundle again changes neither rows nor their number."""
    tables = ("threads", "checkpoints", "runs", "records")
    counts = []
    for _ in range(2):
        await shop.write(shop.thread("t", checkpoints=4))
        counts.append([shop.query(f"SELECT count(*) FROM langgraph_{t}") for t in tables])
    assert counts[0] == counts[1] == [[(1,)], [(4,)], [(1,)], [(1,)]]
    assert shop.query("SELECT DISTINCT thread FROM langgraph_checkpoints") == shop.query(
        "SELECT id FROM langgraph_threads"
    )


async def test_forget_removes_threads_their_parts_and_marks(shop: Any) -> None:
    """Of this source alone; unknown ids are ignored."""
    await shop.write(shop.thread("a"), shop.thread("b"))
    await shop.write(shop.thread("a"), run=shop.run("http://two", merge=True))
    async with shop.sink(shop.run("http://one", merge=True)) as sink:
        await sink.forget(["a", "unknown"])
        assert set(await sink.held(_refs("a", "b"))) == {"b"}
    assert await shop.lines(origin="http://two") == {"a": list(map(encode_line, shop.thread("a")))}
    assert await shop.lines(origin="http://one") == {"b": list(map(encode_line, shop.thread("b")))}
    assert shop.query("SELECT count(*) FROM langgraph_checkpoints") == [(4,)]


async def test_one_bad_thread_of_a_batch_fails_alone(shop: Any) -> None:
    """What SQLite cannot hold costs its thread, with a reason; all others are durable."""
    big = [Thread(thread_id="big", values=raw("x" * 60_000))]
    strange = [
        Thread(thread_id="strange"),
        Checkpoint(thread_id="elsewhere", checkpoint_ns="", checkpoint_id="c"),
    ]
    good = {f"g{number}": shop.thread(f"g{number}") for number in range(40)}
    async with shop.sink() as sink:
        await shop.limit(sink, 50_000)
        bundles = [shop.bundle(records) for records in good.values()]
        bundles.insert(7, shop.bundle(big))
        bundles.insert(23, shop.bundle(strange, thread_id="strange"))
        outcomes = await sink.write(bundles, shop.context)
    assert {o.thread_id: o.error for o in outcomes if o.error} == {
        "big": "a record is larger than the 1000000000 bytes that SQLite can hold; "
        "move its thread into an archive or an ndjson file",
        "strange": "a checkpoint of thread 'elsewhere' came with thread 'strange'; "
        "nothing of it was written",
    }
    assert [o.thread_id for o in outcomes] == [bundle.thread_id for bundle in bundles]
    assert await shop.lines() == {key: list(map(encode_line, good[key])) for key in sorted(good)}


async def test_a_failed_replacement_leaves_what_stood_there(shop: Any) -> None:
    """A thread that cannot be written again keeps its earlier copy and mark."""
    await shop.write(shop.thread("t"))
    async with shop.sink() as sink:
        await shop.limit(sink, 50_000)
        records = [
            *shop.thread("t", checkpoints=9),
            Checkpoint(
                thread_id="t", checkpoint_ns="", checkpoint_id="big", values=raw("x" * 60_000)
            ),
        ]
        (outcome,) = await sink.write([shop.bundle(records, version="v2")], shop.context)
        assert outcome.error is not None
        assert (await sink.held(_refs("t")))["t"].version == "v1"
    assert await shop.lines() == {"t": list(map(encode_line, shop.thread("t")))}


async def test_one_id_twice_in_a_batch_leaves_the_last(shop: Any) -> None:
    """Bundles of a batch are written in their order."""
    async with shop.sink() as sink:
        first = shop.bundle(shop.thread("t", checkpoints=5, note="first"))
        last = shop.bundle(shop.thread("t", checkpoints=2, note="last"))
        outcomes = await sink.write([first, last], shop.context)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert await shop.lines() == {"t": list(map(encode_line, shop.thread("t", 2, "last")))}


async def test_a_doubled_checkpoint_is_listed(shop: Any) -> None:
    """Of two with one identity the last stands, and the outcome says so."""
    records = [
        Thread(thread_id="t"),
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", next=Raw(b"[1]")),
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", next=Raw(b"[2]")),
    ]
    async with shop.sink() as sink:
        (outcome,) = await sink.write([shop.bundle(records)], shop.context)
    assert outcome.error is None
    assert outcome.losses == (
        Loss(
            what="1 doubled checkpoints",
            why="they came under an identity that another one of the thread has; "
            "the last of each stands",
            checkpoints=1,
            holdable=False,
        ),
    )
    assert shop.query("SELECT next FROM langgraph_checkpoints") == [("[2]",)]


async def test_extras_are_replaced_by_a_whole_and_added_to_by_a_part(shop: Any) -> None:
    """A whole kind takes the place of what this source had; a part removes nothing."""

    def item(key: str, value: int) -> StoreItem:
        return StoreItem(namespace=("n",), key=key, value=raw(value))

    async def write(sink: Any, *items: StoreItem, partial: bool = False) -> list[Any]:
        bundle = shop.bundle(items, extras=True, partial=partial)
        bundle.outcome = "partial" if partial else "complete"
        outcome = await sink.write_extras("store_item", bundle, shop.context)
        assert outcome.error is None
        rows: list[Any] = shop.query(
            "SELECT source_url, key, value FROM langgraph_store_items ORDER BY 1, 2"
        )
        return rows

    async with shop.sink(shop.run("http://two")) as sink:
        two = await write(sink, item("z", 0))
    async with shop.sink(shop.run("http://one", merge=True)) as sink:
        assert await write(sink, item("a", 1), item("b", 2)) == [
            ("http://one", "a", "1"),
            ("http://one", "b", "2"),
            *two,
        ]
        assert await write(sink, item("b", 3), item("c", 4), partial=True) == [
            ("http://one", "a", "1"),
            ("http://one", "b", "3"),
            ("http://one", "c", "4"),
            *two,
        ]
        assert await write(sink, item("d", 5)) == [("http://one", "d", "5"), *two]


async def test_a_number_beyond_64_bits_fails_its_extras_with_a_reason(shop: Any) -> None:
    """An assistant's version is a whole number of any size in a file, not in SQLite."""
    records = [Assistant(assistant_id="a", version=2**64)]
    async with shop.sink() as sink:
        outcome = await sink.write_extras(
            "assistant", shop.bundle(records, extras=True), shop.context
        )
    assert outcome.error == (
        "a number is larger than the 64 bits that SQLite can hold; "
        "move it into an archive or an ndjson file"
    )


async def test_a_second_source_needs_merge(shop: Any) -> None:
    """Threads of two sources in one target are refused, then kept apart by `source_url`."""
    await shop.write(shop.thread("t", note="one"))
    with pytest.raises(UsageError) as refused:
        await shop.write(shop.thread("t", note="two"), run=shop.run("http://two"))
    assert str(refused.value) == (
        f"{str(shop.path)!r} was filled from 'http://one', and this run reads 'http://two'; "
        "a copy in an archive counts as a source of its own; write to another file, "
        "or add --merge to keep both apart in this one"
    )
    async with shop.sink(shop.run("http://two", merge=True)) as sink:
        assert await sink.held(_refs("t")) == {}
        await sink.write([shop.bundle(shop.thread("t", note="two"))], shop.context)
    for note in ("one", "two"):
        assert await shop.lines(origin=f"http://{note}") == {
            "t": list(map(encode_line, shop.thread("t", note=note)))
        }


async def test_a_second_run_is_told_who_writes(shop: Any) -> None:
    """Two runs never interleave: the second fails at once and changes nothing."""
    async with shop.sink() as first:
        with pytest.raises(LockedError, match=f"is being written by process {os.getpid()} on"):
            async with shop.sink():
                raise AssertionError("a second run began")
        await first.write([shop.bundle(shop.thread("t"))], shop.context)
    assert await shop.lines() == {"t": list(map(encode_line, shop.thread("t")))}
    assert shop.files() == ["threads.db"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
async def test_files_are_of_mode_0600_whatever_the_umask(shop: Any, umask: int) -> None:
    """The database and what SQLite keeps beside it."""
    before = os.umask(umask)
    try:
        async with shop.sink() as sink:
            await sink.write([shop.bundle(shop.thread("t"))], shop.context)
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in shop.path.parent.iterdir()
                if path.name != "threads.db.lgx-lock"
            }
    finally:
        os.umask(before)
    assert modes == {"threads.db": 0o600, "threads.db-wal": 0o600, "threads.db-shm": 0o600}


async def test_other_tables_of_a_database_are_left_alone(shop: Any) -> None:
    """A database that exists gets lgx's tables beside its own."""
    shop.query("CREATE TABLE mine (x)")
    shop.query("INSERT INTO mine VALUES (1)")
    await shop.write(shop.thread("t"))
    assert shop.query("SELECT * FROM mine") == [(1,)]
    assert list(await shop.lines()) == ["t"]


async def test_a_dry_run_creates_nothing(shop: Any) -> None:
    """A file that is missing stays missing; one that is there stays as it is."""
    async with shop.sink(shop.run(dry_run=True)) as sink:
        assert await sink.held(_refs("t")) == {}
    assert shop.files() == []

    shop.query("CREATE TABLE mine (x)")
    before = shop.path.read_bytes()
    async with shop.sink(shop.run(dry_run=True)) as sink:
        assert await sink.held(_refs("t")) == {}
    assert shop.path.read_bytes() == before

    await shop.write(shop.thread("t"))
    before = shop.path.read_bytes()
    async with shop.sink(shop.run(dry_run=True)) as sink:
        assert set(await sink.held(_refs("t", "u"))) == {"t"}
        with pytest.raises(UsageError, match="add --merge"):
            async with shop.sink(shop.run("http://two", dry_run=True)):
                pass
    assert shop.path.read_bytes() == before
    assert shop.files() == ["threads.db"]


async def test_a_cancelled_write_leaves_nothing_and_the_sink_usable(shop: Any) -> None:
    """The transaction is rolled back; the next write finds none open."""
    async with shop.sink() as sink:
        bundles = [shop.bundle(shop.thread(f"t{n}", checkpoints=50)) for n in range(100)]
        for steps in (1, 5, 9, 20):
            writing = asyncio.create_task(sink.write(bundles, shop.context))
            for _ in range(steps):
                await asyncio.sleep(0)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            assert shop.query("SELECT count(*) FROM langgraph_threads") == [(0,)]
        await sink.write([shop.bundle(shop.thread("t"))], shop.context)
    assert list(await shop.lines()) == ["t"]


async def test_runs_are_logged(shop: Any) -> None:
    """Each run has a row; one that was aborted has no end."""
    await shop.write(shop.thread("a", checkpoints=3), shop.thread("b", checkpoints=2))
    with pytest.raises(FatalError, match="stopped"):
        async with shop.sink():
            raise FatalError("stopped")
    rows = shop.query(
        "SELECT source_url, started_at, finished_at IS NOT NULL, fingerprint, versions, threads, "
        "checkpoints FROM langgraph_exports ORDER BY id"
    )
    begun = ("http://one", "2026-01-03T00:00:00+00:00")
    versions = '{"lgx":"0.1.0"}'
    assert rows == [
        (*begun, 1, "f1", versions, 2, 5),
        (*begun, 0, "f1", versions, 0, 0),
    ]


async def test_a_thread_without_its_own_record_is_kept(shop: Any) -> None:
    """Its checkpoints need a row to belong to; that row has the id alone."""
    checkpoint = Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c")
    await shop.write([checkpoint])
    assert await shop.lines() == {"t": [encode_line(checkpoint)]}


async def test_commits_are_synced_and_readers_are_not_kept_out(shop: Any) -> None:
    """The database is in WAL mode, and each commit waits for the disk."""
    async with shop.sink() as sink:
        ((synchronous,),) = await sink._open().execute_fetchall("PRAGMA synchronous")
        assert synchronous == 2
        assert shop.query("PRAGMA journal_mode") == [("wal",)]


async def test_prefixes_are_compared_as_sqlite_does(shop: Any) -> None:
    """ASCII letters in either case are the same table, others are not."""
    await shop.write(shop.thread("one"), table_prefix="É_")
    await shop.write(shop.thread("two"), table_prefix="é_")
    await shop.write(shop.thread("three"), table_prefix="a_")
    await shop.write(shop.thread("four"), table_prefix="A_")
    found = {prefix: list(await shop.lines(table_prefix=prefix)) for prefix in ("É_", "é_", "a_")}
    assert found == {"É_": ["one"], "é_": ["two"], "a_": ["four", "three"]}


async def test_a_probe_tells_what_a_run_would_meet(shop: Any) -> None:
    """Nothing there yet; threads and how many are not whole; no tables under a prefix."""

    async def facts(**options: Any) -> dict[str, tuple[str, str]]:
        sink = SqliteSink(SqliteConfig(path=shop.path, **options))
        async with sink:
            probe = await sink.probe(shop.context)
        found: dict[str, tuple[str, str]] = {f.name: (f.value, f.level) for f in probe.facts}
        assert found.pop("sqlite") == (sqlite3.sqlite_version, "ok")
        assert found.pop("free space")[0].endswith(("MB", "GB", "TB"))
        return found

    assert await facts() == {"database": (f"{shop.path} will be created", "ok")}
    assert shop.files() == []
    async with shop.sink() as sink:
        whole, part = shop.bundle(shop.thread("a")), shop.bundle(shop.thread("b"), partial=True)
        await sink.write([whole, part], shop.context)
    size = f"{shop.path.stat().st_size / 1000:.0f} kB"
    assert await facts() == {
        "database": (f"{shop.path}, {size}", "ok"),
        "schema": ("version 1", "ok"),
        "threads": ("2 of http://one, 1 of them not whole", "warn"),
    }
    assert await facts(table_prefix="x_") == {
        "database": (f"{shop.path}, {size}", "ok"),
        "schema": ("no tables of lgx under 'x_'", "ok"),
    }
    assert shop.files() == ["threads.db"]
