"""The source: one moment, filters, versions, several origins, broken cells."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from lgx import (
    Failure,
    Query,
    Record,
    Thread,
    ThreadEnd,
    ThreadError,
    UsageError,
    encode_line,
    raw,
    run_async,
    use,
)
from lgx_plugins.sqlite.reader import groups


async def test_a_reader_sees_one_moment(shop: Any) -> None:
    """What others write after the source was opened does not show, in whatever order it reads."""
    await shop.write(shop.thread("a"), shop.thread("b"))
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        await shop.write(shop.thread("b", checkpoints=9, note="later"), shop.thread("c"))
        async with shop.sink() as sink:
            await sink.forget(["a"])
        items = [item async for item in source.read(refs, shop.context)]
    expected = [
        item
        for one in ("a", "b")
        for item in (*shop.thread(one), ThreadEnd(thread_id=one, outcome="complete"))
    ]
    assert list(map(_plain, items)) == list(map(_plain, expected))
    assert sorted(await shop.lines()) == ["b", "c"]


def _plain(item: Record | ThreadEnd) -> object:
    return encode_line(item) if isinstance(item, Record) else item


async def test_reading_leaves_no_files_behind(shop: Any) -> None:
    """Nor does it change the database."""
    await shop.write(shop.thread("a"))
    before = shop.path.read_bytes()
    await shop.lines()
    assert shop.files() == ["threads.db"]
    assert shop.path.read_bytes() == before


async def test_reads_run_side_by_side(shop: Any) -> None:
    """Several reads interleaved give each thread's records together."""
    await shop.write(*(shop.thread(f"t{n}", checkpoints=30) for n in range(6)))
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        readers = [source.read(refs[start : start + 2], shop.context) for start in (0, 2, 4)]
        found: list[list[object]] = [[], [], []]
        while len(readers) > sum(1 for one in found if one and one[-1] is None):
            for reader, items in zip(readers, found, strict=True):
                if not items or items[-1] is not None:
                    items.append(_plain(item) if (item := await anext(reader, None)) else None)
    assert [items[:-1] for items in found] == [
        [
            _plain(item)
            for n in pair
            for item in (
                *shop.thread(f"t{n}", checkpoints=30),
                ThreadEnd(thread_id=f"t{n}", outcome="complete"),
            )
        ]
        for pair in ((0, 1), (2, 3), (4, 5))
    ]


async def test_a_thread_that_is_not_there_ends_as_deleted(shop: Any) -> None:
    """A reference from elsewhere, such as a report, may name what has gone."""
    await shop.write(shop.thread("a"))
    async with shop.source() as source:
        (ref,) = [ref async for ref in source.list(Query(), shop.context)]
        gone = type(ref)(thread_id="gone", version="x")
        items = [item async for item in source.read([gone], shop.context)]
    assert items == [ThreadEnd(thread_id="gone", outcome="deleted")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), ["a", "b", "c", "d"]),
        (Query(thread_ids=("d", "a", "unknown")), ["a", "d"]),
        (Query(thread_ids=(*map(str, range(2000)), "b")), ["b"]),
        (Query(status="busy"), ["b"]),
        (Query(metadata={"owner": raw("alice")}), ["a"]),
        (Query(metadata={"deep": raw({"k": [2]})}), ["b"]),
        (Query(since="2026-02-01"), ["b", "c"]),
        (Query(since="2026-02-01", until="2026-03-01T01:00:00+01:00"), ["b"]),
        (Query(since="2026-02-01", status="idle"), ["c"]),
    ],
)
async def test_filters_choose_threads(shop: Any, query: Query, expected: list[str]) -> None:
    """All filters hold at once; one that looks at what a thread lacks does not pass it."""
    await shop.write(
        [Thread(thread_id="a", status="idle", metadata=raw({"owner": "alice"}))],
        [
            Thread(
                thread_id="b",
                status="busy",
                updated_at="2026-02-01T00:00:00Z",
                metadata=raw({"deep": {"k": [1, 2], "more": 1}}),
            )
        ],
        [Thread(thread_id="c", status="idle", updated_at="2026-03-01T00:00:00+00:00")],
        [Thread(thread_id="d", metadata=Raw(b"[" * 5000 + b"]" * 5000))],
    )
    assert [ref.thread_id for ref in await shop.refs(query)] == expected


async def test_what_a_filter_cannot_look_at_fails_by_itself(shop: Any) -> None:
    """Metadata that is not JSON and a time that is none; the other threads come."""
    await shop.write(shop.thread("a"), shop.thread("b"), shop.thread("c"))
    shop.query("UPDATE langgraph_threads SET metadata = '{' WHERE thread_id = 'a'")
    shop.query("UPDATE langgraph_threads SET updated_at = 'today' WHERE thread_id = 'b'")
    source = use("sqlite", path=shop.path)
    target = use("ndjson", path=shop.path.with_name("out"))
    report = await run_async(source, target, metadata={"owner": "alice"}, since="2026-01-01")
    assert (report.threads.listed, report.threads.written, report.threads.failed) == (3, 1, 2)
    assert {failure.thread_id: failure.why for failure in report.failures} == {
        "a": "column 'metadata' does not hold the text of one JSON value",
        "b": "the thread's updated_at 'today' is not a time, so that no window of time can be "
        "applied to it; leave out --since and --until",
    }


async def test_opening_may_be_cancelled(shop: Any) -> None:
    """At any moment: no connection stays open, and the database can be opened again."""
    await shop.write(shop.thread("a"))
    for steps in (0, 1, 2, 4, 8, 16, 64, 256):
        source = shop.source()
        opening = asyncio.create_task(source.__aenter__())
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait({opening})
        if not opening.cancelled():
            await source.__aexit__(None, None, None)
        del source, opening
        gc.collect()
    assert [t.name for t in threading.enumerate() if "_connection_worker" in t.name] == []
    assert [ref.thread_id for ref in await shop.refs()] == ["a"]


EDITS = [
    "UPDATE langgraph_threads SET status = 'busy' WHERE thread_id = 'a'",
    """UPDATE langgraph_threads SET "values" = '{}' WHERE thread_id = 'a'""",
    "UPDATE langgraph_checkpoints SET metadata = NULL WHERE thread_id = 'a' AND position = 1",
    "UPDATE langgraph_checkpoints SET checkpoint_id = 'x' WHERE thread_id = 'a' AND position = 1",
    "DELETE FROM langgraph_checkpoints WHERE thread_id = 'a' AND position = 1",
    "DELETE FROM langgraph_runs WHERE thread_id = 'a'",
    "UPDATE langgraph_records SET body = '{\"kind\":\"x\"}' WHERE thread_id = 'a'",
    """INSERT INTO langgraph_checkpoints (thread, position, thread_id, checkpoint_ns, checkpoint_id)
       SELECT id, 9, thread_id, '', 'new' FROM langgraph_threads WHERE thread_id = 'a'""",
    """UPDATE langgraph_checkpoints SET thread = (SELECT id FROM langgraph_threads
       WHERE thread_id = 'a'), position = 9 WHERE thread_id = 'b' AND position = 1""",
]


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_by_hand_changes_the_version(shop: Any, edit: str) -> None:
    """Of the thread that was edited, whatever was edited."""
    await shop.write(shop.thread("a"), shop.thread("b"), shop.thread("c"))
    before = {ref.thread_id: ref.version for ref in await shop.refs()}
    shop.query(edit)
    after = {ref.thread_id: ref.version for ref in await shop.refs()}
    assert after["a"] != before["a"]
    assert after["c"] == before["c"]
    assert (after["b"] != before["b"]) == ("'b'" in edit)


async def test_a_new_copy_has_a_new_version(shop: Any) -> None:
    """Also where it is partial, and has no version of its source."""
    versions = []
    for partial in (False, False, True, True):
        async with shop.sink() as sink:
            await sink.write([shop.bundle(shop.thread("a"), partial=partial)], shop.context)
        versions += [ref.version for ref in await shop.refs()]
    assert len(set(versions)) == 4


async def test_the_identity_belongs_to_the_database(shop: Any) -> None:
    """It is made with the schema, and stays when the file is moved."""
    await shop.write(shop.thread("a"))
    async with shop.source() as source:
        identity = await source.identity()
    moved = shop.path.rename(shop.path.with_name("moved.db"))
    async with shop.source(path=moved) as source:
        assert await source.identity() == identity
    await shop.write(shop.thread("a"))
    async with shop.source() as source:
        assert await source.identity() != identity


async def test_a_database_that_has_lost_its_identity_is_known_by_its_place(shop: Any) -> None:
    """Somebody has emptied the table that keeps it: the threads are read all the same."""
    await shop.write(shop.thread("a"))
    shop.query("DELETE FROM langgraph_info WHERE key = 'database_id'")
    async with shop.source() as source:
        assert await source.identity() == f"sqlite://{shop.path}"


async def test_merged_sources_are_read_one_at_a_time(shop: Any) -> None:
    """One id may stand for two threads: the origin says which is meant."""
    await shop.write(shop.thread("a", note="one"))
    await shop.write(shop.thread("a", note="two"), run=shop.run("http://two", merge=True))
    with pytest.raises(UsageError) as refused:
        await shop.refs()
    assert str(refused.value) == (
        f"{str(shop.path)!r} holds threads of several sources: 'http://one', 'http://two'; "
        "choose one with --source-origin"
    )
    with pytest.raises(UsageError, match="holds no threads of 'http://three', only of: "):
        await shop.refs(origin="http://three")
    identities = set()
    for note in ("one", "two"):
        origin = f"http://{note}"
        assert await shop.lines(origin=origin) == {
            "a": list(map(encode_line, shop.thread("a", note=note)))
        }
        async with shop.source(origin=origin) as source:
            identities.add(await source.identity())
    assert len(identities) == 2


NOT_JSON = "column 'metadata' does not hold the text of one JSON value"
BROKEN = [
    *((cell, NOT_JSON) for cell in ("'{\"a\":'", "'NaN'", "'1,2'", "'1],[2'", "''", "'{}}'")),
    ("X'22FF22'", "column 'metadata' holds text that is not UTF-8 at byte 1"),
]


@pytest.mark.parametrize(("cell", "why"), BROKEN)
async def test_a_broken_cell_costs_its_record_alone(shop: Any, cell: str, why: str) -> None:
    """Anybody may write to a database: such a row is listed, all others come."""
    await shop.write(shop.thread("a", checkpoints=3), shop.thread("b"))
    shop.query(f"UPDATE langgraph_checkpoints SET metadata = {cell} WHERE position = 2")
    records, losses = await shop.losses("a")
    expected = [r for r in shop.thread("a", checkpoints=3) if _checkpoint_id(r)[-6:] != "000001"]
    assert list(map(encode_line, records)) == list(map(encode_line, expected))
    ((what, reason, checkpoints, holdable),) = [
        (loss.what, loss.why, loss.checkpoints, loss.holdable) for loss in losses
    ]
    assert (what, checkpoints, holdable) == ("checkpoint '1f000001' of namespace ''", 1, True)
    assert reason == why


@pytest.mark.parametrize(
    "cell", ["""'{"checkpoint_id":"1f000009"}'""", "'{}'", "'forged'", "X'22FF22'", "7"]
)
async def test_a_column_beside_the_record_that_contradicts_it_is_told(shop: Any, cell: str) -> None:
    """Who queries the table would take it for the state's; the record itself comes."""
    given = {"checkpoint": raw({"checkpoint_id": "1f000001", "thread_id": "a", "more": 1e2})}
    thread = shop.thread("a", checkpoints=3)
    thread[2] = msgspec.structs.replace(thread[2], extra=given)
    await shop.write(thread, shop.thread("b"))
    assert [await shop.losses(own) for own in "ab"] == [(thread, []), (shop.thread("b"), [])]
    for same in ("""'{"thread_id":"a", "more":100,"checkpoint_id":"1f000001"}'""", "NULL"):
        shop.query(f"UPDATE langgraph_checkpoints SET checkpoint_data = {same} WHERE position = 2")
        assert (await shop.losses("a"))[1] == []

    shop.query(f"UPDATE langgraph_checkpoints SET checkpoint_data = {cell} WHERE position = 2")

    records, (loss,) = await shop.losses("a")
    assert records == thread
    assert (loss.what, loss.checkpoints, loss.holdable) == (
        "checkpoint_data of checkpoint '1f000001' of namespace ''",
        0,
        True,
    )
    assert loss.why == (
        "somebody has changed it: it is not what the other columns of its row say; delete the "
        "thread's row, and copy it again"
    )


def _checkpoint_id(record: Record) -> str:
    return str(getattr(record, "checkpoint_id", ""))


async def test_white_space_and_numbers_in_cells_are_json_too(shop: Any) -> None:
    """What an editor or SQL puts into a column is read as the JSON it is."""
    await shop.write(shop.thread("a", checkpoints=1))
    shop.query('UPDATE langgraph_threads SET metadata = char(10) || \'{ "a" : 1 }\', "values" = 7')
    records, losses = await shop.losses("a")
    assert losses == []
    line = json.loads(encode_line(records[0]))
    assert (line["metadata"], line["values"]) == ({"a": 1}, 7)


async def test_broken_extras_are_listed_after_the_healthy_ones(shop: Any) -> None:
    """One bad row of a kind does not keep the others back."""
    shop_rows = [("k1", "1"), ("k2", "{"), ("k3", "3")]
    await shop.write(shop.thread("a"))
    for key, value in shop_rows:
        shop.query(
            "INSERT INTO langgraph_store_items (source_url, namespace, key, value) "
            "VALUES ('http://one', '[\"n\"]', ?, ?)",
            key,
            value,
        )
    items = []
    async with shop.source() as source:
        with pytest.raises(ThreadError, match=r"1 could not be read; store_item .*'k2': column"):
            async for item in source.extras("store_item", Query(), shop.context):
                items.append(item)  # noqa: PERF401 -- those before the error count
    assert [item.key for item in items] == ["k1", "k3"]


async def test_small_threads_are_read_together_and_large_ones_alone(shop: Any) -> None:
    """By the sizes of the last export; what was edited since may be of any size."""
    large = [Thread(thread_id="large", values=raw("x" * (2 << 20)))]
    await shop.write(shop.thread("a"), shop.thread("b"), large, shop.thread("c"), shop.thread("d"))
    shop.query("UPDATE langgraph_threads SET status = 'busy' WHERE thread_id = 'd'")
    async with shop.source() as source:
        stored = await source._stored(["a", "b", "c", "d", "large"])
        found = [[thread.thread_id for thread in group] for group in groups(list(stored.values()))]
    assert found == [["a", "b", "c"], ["d"], ["large"]]


async def test_a_broken_row_among_threads_read_together_costs_its_own_thread(shop: Any) -> None:
    """Its neighbours end as complete."""
    await shop.write(*(shop.thread(name) for name in "abc"))
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
    shop.query("DROP TRIGGER langgraph_checkpoints_edited")  # or else it would be read alone
    shop.query("UPDATE langgraph_checkpoints SET tasks = '[' WHERE thread_id = 'b'")
    async with shop.source() as source:
        items = [item async for item in source.read(refs, shop.context)]
    ends = [item for item in items if isinstance(item, ThreadEnd)]
    assert [(end.thread_id, end.outcome, len(end.losses)) for end in ends] == [
        ("a", "complete", 0),
        ("b", "partial", 2),
        ("c", "complete", 0),
    ]


async def test_a_thread_that_is_not_whole_stays_so_in_copies(shop: Any, tmp_path: Path) -> None:
    """It was stored without a mark: each copy of it is stored so, and says that it lacks
    something; a thread beside it is whole."""
    async with shop.sink() as sink:
        whole, part = shop.bundle(shop.thread("a")), shop.bundle(shop.thread("b"), partial=True)
        await sink.write([whole, part], shop.context)
    failure = Failure(
        thread_id="b",
        what="what its source could not give",
        why="this copy of it is not whole: the run that wrote it could not read all of the thread",
    )
    lines, copy = tmp_path / "lines.ndjson", tmp_path / "copy.db"
    for source, sink in (
        (use("sqlite", path=shop.path), use("ndjson", path=lines)),
        (use("sqlite", path=shop.path), use("sqlite", path=copy)),
        (use("sqlite", path=shop.path), use("sqlite", path=copy)),  # it is tried again
        (use("sqlite", path=copy), use("ndjson", path=lines)),
    ):
        report = await run_async(source, sink)
        assert (report.failures, report.exit_code) == ([failure], 3)
        assert (report.threads.partial, report.threads.failed) == (1, 0)
    assert b'"kind":"thread","thread_id":"b"' in lines.read_bytes()


async def test_tables_of_another_program_bear_no_marks_to_lack(shop: Any) -> None:
    """A thread of theirs is as whole as its rows are."""
    shop.query("CREATE TABLE langgraph_threads (thread_id TEXT, source_version TEXT)")
    shop.query("INSERT INTO langgraph_threads VALUES ('a', NULL)")
    assert list(await shop.lines()) == ["a"]
