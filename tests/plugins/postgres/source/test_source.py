"""The source: filters, versions, several origins, broken rows."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import Raw

from lgx import (
    Checkpoint,
    Failure,
    FatalError,
    Query,
    Record,
    RetryableError,
    Thread,
    ThreadEnd,
    ThreadError,
    ThreadRef,
    UsageError,
    canonical,
    encode_line,
    raw,
    run_async,
    use,
)
from lgx.testing import PostgresProcess
from lgx_plugins.postgres.reader import groups


def forms(records: Sequence[Record]) -> list[bytes]:
    return [canonical(encode_line(record)) for record in records]


@pytest.mark.parametrize("connections", [1, 2, 4])
async def test_every_thread_comes_back(shop: Any, connections: int) -> None:
    """However many connections read, small threads and large ones."""
    threads = [shop.thread(f"t{n:03}", checkpoints=n % 7) for n in range(120)]
    threads.append([Thread(thread_id="z", values=raw("x" * (3 << 20)))])
    await shop.write(*threads)
    found = await shop.records(connections=connections)
    assert found == {one[0].thread_id: forms(one) for one in threads}


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


def _plain(item: Record | ThreadEnd) -> object:
    return canonical(encode_line(item)) if isinstance(item, Record) else item


async def test_a_thread_that_is_not_there_ends_as_deleted(shop: Any) -> None:
    """A reference from elsewhere, such as a report, may name what has gone, or no id at all."""
    await shop.write(shop.thread("a"))
    gone = ["gone", "'; --", "\0", "\ud800", "\ufdd0"]
    async with shop.source() as source:
        refs = [ThreadRef(thread_id=name, version="x", size_hint=1) for name in gone]
        items = [item async for item in source.read(refs, shop.context)]
    assert items == [ThreadEnd(thread_id=name, outcome="deleted") for name in gone]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), ["a", "b", "c", "d"]),
        (Query(thread_ids=("d", "a", "unknown")), ["a", "d"]),
        (Query(thread_ids=(*map(str, range(2000)), "b")), ["b"]),
        (Query(thread_ids=("\0", "\ud800", "c")), ["c"]),
        (Query(status="busy"), ["b"]),
        (Query(status="\0"), []),
        (Query(metadata={"owner": raw("alice")}), ["a"]),
        (Query(metadata={"deep": raw({"k": [2]})}), ["b"]),
        (Query(metadata={"text": Raw(b'"a\\u0000b"')}), ["c"]),
        (Query(since="2026-02-01"), ["b", "c"]),
        (Query(since="2026-02-01", until="2026-03-01T01:00:00+01:00"), ["b"]),
        (Query(since="2026-02-01", status="idle"), ["c"]),
        (Query(until="0002-01-01"), ["a"]),
    ],
)
async def test_filters_choose_threads(shop: Any, query: Query, expected: list[str]) -> None:
    """All filters hold at once; one that looks at what a thread lacks does not pass it."""
    await shop.write(
        [
            Thread(
                thread_id="a",
                status="idle",
                updated_at="0001-01-01T00:00:00Z",
                metadata=raw({"owner": "alice"}),
            )
        ],
        [
            Thread(
                thread_id="b",
                status="busy",
                updated_at="2026-02-01T00:00:00Z",
                metadata=raw({"deep": {"k": [1, 2], "more": 1}}),
            )
        ],
        [
            Thread(
                thread_id="c",
                status="idle",
                updated_at="2026-03-01T00:00:00+00:00",
                metadata=raw({"text": "a\0b"}),
            )
        ],
        [Thread(thread_id="d", metadata=Raw(b"[" * 5000 + b"]" * 5000))],
    )
    assert [ref.thread_id for ref in await shop.refs(query)] == expected


def _some_json(random: Random, depth: int = 0) -> Any:
    """Of few values, so that one often contains another; some of them are escaped."""
    if depth < 3 and random.random() < 0.45:
        if random.random() < 0.5:
            return [_some_json(random, depth + 1) for _ in range(random.randrange(3))]
        return {
            random.choice(("k", "l", "m\0")): _some_json(random, depth + 1)
            for _ in range(random.randrange(3))
        }
    texts = ["1", "", "a", "a\0", "\ufdd0", "\ufdd00000", "\ud800", "é😀"]
    numbers = [b"0", b"1", b"1.0", b"10e-1", b"-0", b"1e400", b"1e5000", b"10e4999"]
    return random.choice([None, True, False, *texts, Raw(b'"\\u0061"'), *map(Raw, numbers)])


def _encoded(value: Any) -> Raw:
    """With lone surrogates, which the usual encoder refuses."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, dict):
        items = (json.dumps(k).encode() + b":" + bytes(_encoded(v)) for k, v in value.items())
        return Raw(b"{" + b",".join(items) + b"}")
    if isinstance(value, list):
        return Raw(b"[" + b",".join(bytes(_encoded(item)) for item in value) + b"]")
    return Raw(json.dumps(value).encode())


async def test_the_server_leaves_out_no_thread_that_passes(shop: Any) -> None:
    """A filter by metadata finds what looking at each thread finds, and one by time too; also in
    cells that somebody wrote without escapes."""
    random = Random(7)
    threads = [
        Thread(
            thread_id=f"t{n:03}",
            updated_at=random.choice(
                (None, "2026-01-01T00:00:00.000001Z", "2026-01-02T00:00+05:00")
            ),
            metadata=_encoded({key: _some_json(random) for key in "kl"[: random.randrange(3)]}),
        )
        for n in range(300)
    ]
    threads.append(Thread(thread_id="u", metadata=Raw(b'{"k":10e999}')))
    await shop.write(*([thread] for thread in threads))
    by_hand = {"x1": "\ufdd0", "x2": "\ufdd0zz", "x3": "\ufdd00041", "x4": "\ufdd0fdd0"}
    for name, text in by_hand.items():
        shop.query(
            "INSERT INTO langgraph_threads (thread_id, source_url, metadata) "
            "VALUES ($1, 'http://one', jsonb_build_object('k', $2::text))",
            name,
            text,
        )
    read = ["\ufdd0", "\ufdd0zz", "A", "\ufdd0"]
    threads += [
        Thread(thread_id=name, metadata=_encoded({"k": text}))
        for name, text in zip(by_hand, read, strict=True)
    ]
    queries = [
        Query(
            metadata={key: _encoded(_some_json(random)) for key in random.choice(("k", "l", "kl"))}
        )
        for _ in range(200)
    ]
    queries += [Query(metadata={"k": _encoded(text)}) for text in read]
    queries.append(Query(metadata={"k": Raw(b"1" + b"0" * 1000)}))  # more than is kept by value
    queries += [
        Query(since=since, until=until)
        for since in (
            None,
            "2026-01-01",
            "2026-01-01T00:00:00.000001",
            "2026-01-01T00:00:00.000002Z",
        )
        for until in (None, "2026-01-01T20:00+01:00", "2026-01-01T19:00:00.000001Z", "9999-12-31")
    ]
    passed = 0
    async with shop.source() as source:
        for query in queries:
            found = [ref.thread_id async for ref in source.list(query, shop.context)]
            assert found == [thread.thread_id for thread in threads if query.admits(thread)], query
            passed += len(found)
    assert passed > 1000


@pytest.mark.parametrize(
    "query", [Query(metadata={"owner": raw("t7")}), Query(since="2026-01-07", until="2026-01-08")]
)
async def test_what_a_filter_leaves_out_is_not_looked_at(shop: Any, query: Query) -> None:
    """The versions of a few threads cost a few look-ups, not one for each that is there."""
    await shop.write(
        *(
            [
                Thread(
                    thread_id=f"t{n}",
                    metadata=raw({"owner": f"t{n}"}),
                    updated_at=f"2026-01-{n:02}T00:00:00Z",
                ),
                *shop.thread(f"t{n}")[1:],
            ]
            for n in range(1, 29)
        )
    )
    shop.query("VACUUM ANALYZE langgraph_threads, langgraph_checkpoints")
    looks = (
        "SELECT sum(seq_scan + idx_scan)::int FROM pg_stat_user_tables "
        "WHERE relname = 'langgraph_checkpoints'"
    )
    ((before,),) = shop.query(looks)
    assert [ref.thread_id for ref in await shop.refs(query)] == ["t7"]
    shop.await_end()
    ((after,),) = shop.query(looks)
    assert after - before < 10


async def test_what_a_filter_cannot_look_at_fails_by_itself(shop: Any) -> None:
    """A time that is none, whether it came so or was edited; the other threads come."""
    strange = [Thread(thread_id="b", updated_at="today", metadata=raw({"owner": "alice"}))]
    await shop.write(shop.thread("a"), strange, shop.thread("c"))
    shop.query("UPDATE langgraph_threads SET updated_at = 'infinity' WHERE thread_id = 'a'")
    source = use("postgres", dsn=shop.dsn)
    target = use("ndjson", path=shop.directory / "out")
    report = await run_async(source, target, metadata={"owner": "alice"}, since="2026-01-01")
    assert (report.threads.listed, report.threads.written, report.threads.failed) == (3, 1, 2)
    assert {failure.thread_id: failure.why for failure in report.failures} == {
        name: f"the thread's updated_at {when!r} is not a time, so that no window of time can be "
        "applied to it; leave out --since and --until"
        for name, when in (("a", "infinity"), ("b", "today"))
    }


async def test_the_first_use_may_be_cancelled(shop: Any) -> None:
    """At any moment: no connection stays open, and the database can be read again."""
    await shop.write(shop.thread("a"))
    for steps in (0, 1, 2, 4, 8, 16, 32, 64):
        async with shop.source() as source:
            using = asyncio.create_task(source.versions(shop.context))
            for _ in range(steps):
                await asyncio.sleep(0)
            using.cancel()
            await asyncio.wait({using})
    assert [ref.thread_id for ref in await shop.refs()] == ["a"]


async def test_opening_takes_nothing(shop: Any) -> None:
    """The database comes into play with its first use, in a run that can be interrupted."""
    async with shop.source():
        assert shop.sessions() == []


async def test_a_server_that_is_about_to_start_is_waited_for(
    own_server: PostgresProcess, own_database: str, shop: Any
) -> None:
    """The first connection is tried again, as any other request is, and then given up."""
    shop.server, shop.dsn = own_server, own_database
    await shop.write(shop.thread("a"))
    shop.query("CREATE ROLE late LOGIN PASSWORD 'x'")
    shop.query("GRANT SELECT ON ALL TABLES IN SCHEMA public TO late")
    deaf = 2

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal deaf
        deaf -= 1
        if deaf < 0:
            there = await asyncio.open_connection("127.0.0.1", own_server.port)
            await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))
        else:
            await reader.read(1)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as door:
        port = door.sockets[0].getsockname()[1]
        name = own_database.split("?")[0].rsplit("/", 1)[1]
        shop.dsn = f"postgresql://late:x@127.0.0.1:{port}/{name}"
        assert [ref.thread_id for ref in await shop.refs(connections=1)] == ["a"]
        deaf = 99
        with pytest.raises(RetryableError) as given_up:
            await shop.refs()
        message = str(given_up.value)
        assert message.startswith(f"the first connection failed after 4 tries: {shop.place} cannot")
        assert message.endswith("see that the server runs and the dsn is right, then run again")
    shop.dsn = own_database
    shop.query("DROP OWNED BY late; DROP ROLE late")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("connections", [1, 4])
async def test_reading_may_end_early(shop: Any, connections: int) -> None:
    """A reader that goes away in the middle of a large thread takes nothing from the others."""
    large = [
        Thread(thread_id="large"),
        *shop.thread("large", checkpoints=4000, note="x" * 2000)[1:],
    ]
    await shop.write(large, shop.thread("small"))
    async with shop.source(connections=connections) as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        for _ in range(5):
            reader = source.read(refs[:1], shop.context)
            items = [await anext(reader) for _ in range(10)]
            await reader.aclose()
            assert forms(items) == forms(large[:10])
        found = await shop.records_of(source)
    assert found == {"large": forms(large), "small": forms(shop.thread("small"))}


async def test_a_reader_that_outlives_the_source_leaves_nothing_open(shop: Any) -> None:
    """Its connection ends with it, not with the process."""
    await shop.write(shop.thread("large", checkpoints=4000, note="x" * 2000))
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        reader = source.read(refs, shop.context)
        await anext(reader)
    assert len(shop.sessions()) == 1
    with pytest.raises(FatalError, match="the moment that was being read, which cannot be taken"):
        [item async for item in reader]
    shop.await_end()
    assert shop.sessions() == []


EDITS = [
    "UPDATE langgraph_threads SET status = 'busy' WHERE thread_id = 'a'",
    "UPDATE langgraph_threads SET values = '{}' WHERE thread_id = 'a'",
    "UPDATE langgraph_checkpoints SET metadata = NULL WHERE thread_id = 'a' AND position = 1",
    "UPDATE langgraph_checkpoints SET checkpoint_id = 'x' WHERE thread_id = 'a' AND position = 1",
    "DELETE FROM langgraph_checkpoints WHERE thread_id = 'a' AND position = 1",
    "DELETE FROM langgraph_runs WHERE thread_id = 'a'",
    "UPDATE langgraph_records SET body = '{\"kind\":\"x\"}' WHERE thread_id = 'a'",
    """INSERT INTO langgraph_checkpoints (thread, position, thread_id, checkpoint_ns, checkpoint_id)
       SELECT id, 9, thread_id, '', 'new' FROM langgraph_threads WHERE thread_id = 'a'""",
    """UPDATE langgraph_checkpoints SET thread = (SELECT id FROM langgraph_threads
       WHERE thread_id = 'a'), position = 9, checkpoint_id = 'moved'
       WHERE thread_id = 'b' AND position = 1""",
    # Hard to notice: as many rows as before, of the same content.
    """WITH gone AS (DELETE FROM langgraph_checkpoints
           WHERE thread_id = 'a' AND position = 1 RETURNING *)
       INSERT INTO langgraph_checkpoints
           (id, thread, position, thread_id, checkpoint_ns, checkpoint_id)
       SELECT id, thread, position, thread_id, checkpoint_ns, checkpoint_id FROM gone""",
]


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_by_hand_changes_the_version(shop: Any, edit: str) -> None:
    """Of the thread that was edited, whatever was edited."""
    await shop.write(shop.thread("a"), shop.thread("b"), shop.thread("c"))
    before = await shop.versions()
    shop.query(edit)
    after = await shop.versions()
    assert after["a"] != before["a"]
    assert after["c"] == before["c"]
    assert (after["b"] != before["b"]) == ("'b'" in edit)


DEDUP_EDITS = [
    "UPDATE langgraph_checkpoint_rows SET channels = NULL WHERE thread_id = 'a' AND position = 1",
    "DELETE FROM langgraph_checkpoint_rows WHERE thread_id = 'a' AND position = 1",
    """UPDATE langgraph_channel_values SET value = '7' WHERE value = '0'
       AND thread = (SELECT id FROM langgraph_threads WHERE thread_id = 'a')""",
]


@pytest.mark.parametrize("edit", DEDUP_EDITS)
async def test_an_edit_of_a_value_that_is_kept_once_changes_the_version(
    shop: Any, edit: str
) -> None:
    """Behind the view of checkpoints, where rows and values are."""
    await shop.write(shop.thread("a"), shop.thread("b"), layout="dedup")
    before = await shop.versions()
    shop.query(edit)
    after = await shop.versions()
    assert (after["a"] != before["a"], after["b"] == before["b"]) == (True, True)


async def test_a_version_outlives_what_changes_nothing(shop: Any) -> None:
    """Rows that are moved, frozen, locked or indexed are the same rows."""
    await shop.write(shop.thread("a"), shop.thread("b"))
    before = await shop.versions()
    for sql in (
        "VACUUM (FULL, FREEZE) langgraph_checkpoints",
        "VACUUM (FULL, FREEZE) langgraph_threads",
        "CREATE INDEX ON langgraph_checkpoints (parent_checkpoint_id)",
        "SELECT count(*) FROM (SELECT 1 FROM langgraph_checkpoints FOR UPDATE) AS locked",
    ):
        shop.query(sql)
        assert await shop.versions() == before, sql


async def test_a_new_copy_has_a_new_version(shop: Any) -> None:
    """Where a checkpoint was added, in an incremental run; the other threads keep theirs."""
    await shop.write(shop.thread("a"), shop.thread("b"))
    before = await shop.versions()
    await shop.write(shop.thread("a", checkpoints=3))
    after = await shop.versions()
    assert (after["a"] != before["a"], after["b"] == before["b"]) == (True, True)


async def test_a_restored_server_does_not_repeat_a_version(shop: Any) -> None:
    """It numbers its transactions from the backup on once more: another content, written by the
    transaction with the same number, is told from the one that was lost."""
    kept = shop.server, shop.dsn
    with PostgresProcess(autovacuum="off") as server:
        shop.server, shop.dsn = server, server.new_database()
        await shop.write(shop.thread("a"), shop.thread("b"))
        data, backup = server.directory / "data", server.directory / "backup"
        server.stop()
        subprocess.run(["cp", "-a", data, backup], check=True)  # noqa: ASYNC221 -- nothing else runs
        server.start()
        lost = []
        for note in ("lost", "other"):
            await shop.write(shop.thread("a", note=note), [Thread(thread_id="b"), *_PART[note]])
            lost.append((await shop.versions(), shop.query("SELECT xmin FROM langgraph_threads")))
            server.stop()
            shutil.rmtree(data)
            subprocess.run(["cp", "-a", backup, data], check=True)  # noqa: ASYNC221
            server.start()
    shop.server, shop.dsn = kept
    (first, numbers), (second, same_numbers) = lost
    assert numbers == same_numbers  # else this would show nothing
    assert [name for name in "ab" if first[name] == second[name]] == []


_PART = {
    note: [Checkpoint(thread_id="b", checkpoint_ns="", checkpoint_id="c", values=raw(note))]
    for note in ("lost", "other")
}


async def test_an_incremental_run_reads_what_was_edited(shop: Any) -> None:
    """From PostgreSQL into an archive: a run without changes writes nothing, an edit one thread."""
    await shop.write(*(shop.thread(name) for name in "abc"))
    source = use("postgres", dsn=shop.dsn)
    target = use("archive", path=shop.directory / "archive")
    written = [(await run_async(source, target)).threads.written for _ in range(2)]
    shop.query("DELETE FROM langgraph_checkpoints WHERE thread_id = 'b' AND position = 1")
    written += [(await run_async(source, target)).threads.written for _ in range(2)]
    assert written == [3, 0, 1, 0]


async def test_the_identity_belongs_to_the_database(shop: Any) -> None:
    """It is made with the tables, whatever the address is that leads there."""
    await shop.write(shop.thread("a"))
    await shop.write(shop.thread("a"), table_prefix="other_")
    async with shop.source() as source:
        identity = await source.identity()
    async with shop.source(connections=1) as source:
        assert await source.identity() == identity
    async with shop.source(table_prefix="other_") as source:
        assert await source.identity() != identity


async def test_tables_that_have_lost_their_identity_are_known_by_their_place(shop: Any) -> None:
    """Somebody has emptied the table that keeps it: two such databases are still two."""
    await shop.write(shop.thread("a"))
    await shop.write(shop.thread("a"), table_prefix="other_")
    identities = set()
    for prefix in ("langgraph_", "other_"):
        shop.query(f"DELETE FROM {prefix}info WHERE key = 'database_id'")
        async with shop.source(table_prefix=prefix) as source:
            identities.add(await source.identity())
    assert len(identities) == 2
    assert all(not identity.endswith("None") for identity in identities)


async def test_merged_sources_are_read_one_at_a_time(shop: Any) -> None:
    """One id may stand for two threads: the origin says which is meant."""
    await shop.write(shop.thread("a", note="one"))
    await shop.write(shop.thread("a", note="two"), origin="http://two")
    with pytest.raises(UsageError) as refused:
        await shop.refs()
    assert str(refused.value) == (
        f"{shop.place} holds threads of several sources: 'http://one', 'http://two'; "
        "choose one with --source-origin"
    )
    with pytest.raises(UsageError, match="holds no threads of 'http://three', only of: "):
        await shop.refs(origin="http://three")
    identities = set()
    for note in ("one", "two"):
        origin = f"http://{note}"
        assert await shop.records(origin=origin) == {"a": forms(shop.thread("a", note=note))}
        async with shop.source(origin=origin) as source:
            identities.add(await source.identity())
    assert len(identities) == 2


BROKEN = [
    ("checkpoints", "created_at = 'infinity'", "'created_at' holds a time beyond the years 1 to"),
    ("checkpoints", "created_at = '4000-01-01 BC'", "'created_at' holds a time beyond the years"),
    ("checkpoints", "extra = '[]'", "a JSON object was expected, not b'[]'"),
    (
        "checkpoints",
        """extra = '{"kind": 1}'""",
        "column 'extra' holds 'kind', which has a place of its own",
    ),
    ("runs", "extra = '7'", "a JSON object was expected, not b'7'"),
    ("records", "body = '{}'", 'a record has no "kind"'),
    ("threads", "extra = '[]'", "a JSON object was expected, not b'[]'"),
]


@pytest.mark.parametrize(("table", "edit", "why"), BROKEN)
async def test_a_broken_row_costs_its_record_alone(
    shop: Any, table: str, edit: str, why: str
) -> None:
    """Anybody may write to a database: such a row is listed, all others come."""
    await shop.write(shop.thread("a", checkpoints=3), shop.thread("b"), shop.thread("c"))
    row = "" if table == "threads" else f"AND id = (SELECT max(id) FROM langgraph_{table} "
    row += "WHERE thread_id = 'b')" if row else ""
    shop.query(f"UPDATE langgraph_{table} SET {edit} WHERE thread_id = 'b' {row}")
    records, losses = await shop.losses("b")
    kind = {"records": "memo"}.get(table, table.removesuffix("s"))
    expected = forms(shop.thread("b"))
    at = max(n for n, record in enumerate(shop.thread("b")) if record.kind == kind)
    assert forms(records) == expected[:at] + expected[at + 1 :]
    ((what, reason, checkpoints, holdable),) = [
        (loss.what, loss.why, loss.checkpoints, loss.holdable) for loss in losses
    ]
    assert what.startswith("record" if table == "records" else kind)
    assert why in reason
    assert (checkpoints, holdable) == (int(table == "checkpoints"), True)
    for name in "ac":
        assert (await shop.losses(name))[1] == []


async def test_an_edited_time_is_read_as_edited(shop: Any) -> None:
    """The text of a time counts as long as it means what the column says."""
    texts = ["2026-01-01T00:00:00Z", "2026-01-01 01:00:00.5+01:00", "no time", None]
    threads = [[Thread(thread_id=str(n), created_at=text)] for n, text in enumerate(texts)]
    await shop.write(*threads)
    assert await shop.records() == {str(n): forms(one) for n, one in enumerate(threads)}
    shop.query("UPDATE langgraph_threads SET created_at = '2027-01-01 00:00:00.25+00'")
    edited = Thread(thread_id="", created_at="2027-01-01T00:00:00.250000+00:00")
    found = await shop.records()
    assert {line.replace(key.encode(), b"") for key, lines in found.items() for line in lines} == {
        line.replace(key.encode(), b"")
        for key in found
        for line in forms([Thread(thread_id=key, created_at=edited.created_at)])
    }


async def test_rows_added_by_hand_are_read(shop: Any) -> None:
    """A thread that somebody inserted, with what a column gives by itself and no more."""
    await shop.write(shop.thread("a"))
    shop.query(
        "WITH made AS (INSERT INTO langgraph_threads (thread_id, source_url, metadata) "
        "VALUES ('new', 'http://one', '{\"by\": \"hand\"}') RETURNING id, thread_id) "
        "INSERT INTO langgraph_checkpoints "
        "(thread, position, thread_id, checkpoint_ns, checkpoint_id, values) "
        "SELECT id, 1, thread_id, '', 'c1', '{\"n\": 1}' FROM made"
    )
    found = await shop.records()
    assert [json.loads(line) for line in found["new"]] == [
        {
            "kind": "thread",
            "thread_id": "new",
            "created_at": None,
            "updated_at": None,
            "status": None,
            "metadata": {"by": "hand"},
        },
        {
            "kind": "checkpoint",
            "thread_id": "new",
            "checkpoint_ns": "",
            "checkpoint_id": "c1",
            "parent_checkpoint_id": None,
            "created_at": None,
            "values": {"n": 1},
        },
    ]


async def test_broken_extras_are_listed_after_the_healthy_ones(shop: Any) -> None:
    """One bad row of a kind does not keep the others back."""
    await shop.write(shop.thread("a"))
    for key, extra in (("k1", "{}"), ("k2", "[]"), ("k3", "{}")):
        shop.query(
            "INSERT INTO langgraph_store_items (source_url, namespace, key, extra) "
            "VALUES ('http://one', '[\"n\"]', $1, $2::text::jsonb)",
            key,
            extra,
        )
    items = []
    async with shop.source() as source:
        with pytest.raises(ThreadError, match=r"1 could not be read; store_item .*'k2': a JSON"):
            async for item in source.extras("store_item", Query(), shop.context):
                items.append(item)  # noqa: PERF401 -- those before the error count
    assert [item.key for item in items] == ["k1", "k3"]


def test_small_threads_are_read_together_and_large_ones_alone() -> None:
    """By the sizes of the last export; what has no size may be of any."""
    sizes = [400_000, 400_000, 2 << 20, 400_000, None, 400_000]
    refs = [
        ThreadRef(thread_id=str(number), version="v", size_hint=size)
        for number, size in enumerate(sizes)
    ]
    found = [[ref.thread_id for ref in group] for group in groups(refs)]
    assert found == [["0", "1"], ["2"], ["3"], ["4"], ["5"]]


async def test_a_thread_that_grew_by_hand_is_read_alone(shop: Any) -> None:
    """Its size is that of the last export: it is noticed in the middle, and nothing is lost."""
    await shop.write(*(shop.thread(name) for name in "abc"))
    shop.query(
        "INSERT INTO langgraph_checkpoints "
        "(thread, position, thread_id, checkpoint_ns, checkpoint_id, values) "
        "SELECT id, 100 + n, thread_id, '', 'grown ' || n, to_jsonb(repeat('x', 1000000)) "
        "FROM langgraph_threads, generate_series(1, 40) AS n WHERE thread_id = 'b'"
    )
    before = shop.context.budget.peak
    found = await shop.records()
    assert {name: len(lines) for name, lines in found.items()} == {"a": 5, "b": 45, "c": 5}
    assert shop.context.budget.peak - before < 10 << 20


async def test_a_thread_that_is_not_whole_stays_so_in_copies(shop: Any, tmp_path: Path) -> None:
    """It was stored without a mark: each copy of it is stored so, and says that it lacks
    something; a thread beside it is whole."""
    await shop.write(shop.thread("a"))
    await shop.write(shop.thread("b"), partial=True)
    failure = Failure(
        thread_id="b",
        what="what its source could not give",
        why="this copy of it is not whole: the run that wrote it could not read all of the thread",
    )
    here, lines = use("postgres", dsn=shop.dsn), tmp_path / "lines.ndjson"
    copy = use("postgres", dsn=shop.dsn, table_prefix="copy_")
    for source, sink in (
        (here, use("ndjson", path=lines)),
        (here, copy),
        (here, copy),  # it is tried again
        (copy, use("ndjson", path=lines)),
    ):
        report = await run_async(source, sink)
        assert (report.failures, report.exit_code) == ([failure], 3)
        assert (report.threads.partial, report.threads.failed) == (1, 0)
    assert b'"kind":"thread","thread_id":"b"' in lines.read_bytes()


async def test_rows_that_the_sink_did_not_write_bear_no_marks_to_lack(shop: Any) -> None:
    """A thread that was put in by hand is as whole as its rows are."""
    await shop.write(shop.thread("a"))
    shop.query("INSERT INTO langgraph_threads (thread_id, source_url) VALUES ('b', 'http://one')")
    assert list(await shop.records()) == ["a", "b"]
