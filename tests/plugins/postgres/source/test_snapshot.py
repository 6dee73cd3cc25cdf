"""One moment over several connections: writers go on meanwhile, and connections may be lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lgx import (
    Checkpoint,
    FatalError,
    Query,
    Record,
    Thread,
    ThreadEnd,
    canonical,
    encode_line,
    raw,
)
from lgx.testing import PostgresProcess, TransactionPooler


def generation(number: int, count: int = 60) -> list[list[Record]]:
    """Threads that all say which time they were written; later ones are larger."""
    return [
        [
            Thread(thread_id=f"t{n:03}", metadata=raw({"generation": number})),
            *(
                Checkpoint(
                    thread_id=f"t{n:03}",
                    checkpoint_ns="",
                    checkpoint_id=f"c{step}",
                    values=raw({"generation": number}),
                )
                for step in range(2 + number % 5)
            ),
        ]
        for n in range(count)
    ]


def forms(threads: list[list[Record]]) -> dict[str, list[bytes]]:
    return {
        getattr(one[0], "thread_id"): [canonical(encode_line(r)) for r in one]  # noqa: B009
        for one in threads
    }


def plain(item: Record | ThreadEnd) -> object:
    return canonical(encode_line(item)) if isinstance(item, Record) else item


@pytest.mark.parametrize("connections", [1, 4])
async def test_readers_see_one_moment_while_writers_go_on(shop: Any, connections: int) -> None:
    """Each read is of one generation, whole, however many were written and removed since."""
    await shop.write(*generation(0))
    seen: set[int] = set()
    written = 0
    more = asyncio.Condition()

    async def write() -> None:
        nonlocal written
        while len(seen) < 3:
            await shop.write(*generation(written + 1, 90))
            async with more:
                written += 1
                more.notify_all()

    writing = asyncio.create_task(write())
    while len(seen) < 3:
        async with shop.source(connections=connections) as source:
            refs = [ref async for ref in source.list(Query(), shop.context)]
            begun = written

            def went_on(begun: int = begun) -> bool:
                return written > begun

            items: list[Any] = []

            async def read(part: Any, source: Any = source, items: list[Any] = items) -> None:
                items += [item async for item in source.read(part, shop.context)]

            for _ in range(2):  # once at once, and once after the next generation
                await asyncio.gather(*(read(refs[at : at + 10]) for at in range(0, len(refs), 10)))
                async with more:
                    await more.wait_for(went_on)
        lines = [json.loads(encode_line(item)) for item in items if isinstance(item, Record)]
        found = {
            line["metadata" if line["kind"] == "thread" else "values"]["generation"]
            for line in lines
        }
        assert len(found) == 1
        (number,) = found
        assert len(refs) == (60 if number == 0 else 90)
        assert len(lines) == 2 * len(refs) * (1 + 2 + number % 5)
        assert all(item.outcome == "complete" for item in items if isinstance(item, ThreadEnd))
        seen.add(number)
    await writing


async def test_what_was_removed_meanwhile_is_still_read(shop: Any) -> None:
    """Also by connections that join later: rows, and tables' shapes."""
    await shop.write(*generation(0))
    async with shop.source() as source:
        await source.versions(shop.context)
        shop.query("DELETE FROM langgraph_threads")
        shop.query("VACUUM langgraph_threads, langgraph_checkpoints")
        assert await shop.records_of(source) == forms(generation(0))
    assert await shop.refs() == []


async def test_tables_stay_as_they_are_while_they_are_read(shop: Any) -> None:
    """Who would alter or empty them waits, since no moment is proof against that."""
    await shop.write(*generation(0))
    async with shop.source() as source:
        await source.versions(shop.context)
        for sql in (
            "TRUNCATE langgraph_threads CASCADE",
            "ALTER TABLE langgraph_checkpoints RENAME COLUMN tasks TO other",
            "DROP TABLE langgraph_records",
        ):
            with pytest.raises(Exception, match="lock timeout"):
                shop.query(f"SET lock_timeout = '10ms'; {sql}")
        assert await shop.records_of(source) == forms(generation(0))


LOST = (
    "the connection to {place} was lost, and with it the moment that was being read, which "
    "cannot be taken again; run again: what a target keeps of this run it does not need a "
    "second time"
)


async def test_a_lost_reader_is_replaced(shop: Any) -> None:
    """The moment stands as long as one connection holds it: a new one joins, and goes on where
    the other one stopped."""
    large = [Thread(thread_id="a"), *(
        Checkpoint(
            thread_id="a", checkpoint_ns="", checkpoint_id=f"c{n:05}", values=raw("x" * 5000)
        )
        for n in range(2000)
    )]  # fmt: skip
    await shop.write(large, *generation(0))
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        (keeper,) = shop.sessions()
        shop.query("UPDATE langgraph_checkpoints SET values = '{}'")
        found = []
        reading = source.read(refs[:1], shop.context)
        async for item in reading:
            found.append(item)
            if len(found) in (10, 700, 1500):
                shop.terminate(*shop.sessions(f"pid <> {keeper}"))
        assert [canonical(encode_line(item)) for item in found[:-1]] == [
            canonical(encode_line(record)) for record in large
        ]
        assert found[-1] == ThreadEnd(thread_id="a", outcome="complete")
        del refs[0]
        items = [item async for item in source.read(refs, shop.context)]
        assert sum(isinstance(item, Record) for item in items) == 3 * 60


async def test_another_connection_keeps_the_moment_where_its_keeper_is_lost(shop: Any) -> None:
    """One that has joined takes its place; the listing goes on after the last thread."""
    await shop.write(*generation(0, 1500))
    async with shop.source() as source:
        listing = source.list(Query(), shop.context)
        refs = [await anext(listing) for _ in range(10)]
        before = [item async for item in source.read(refs, shop.context)]
        keeper, _ = shop.sessions()
        shop.query("DELETE FROM langgraph_threads")
        shop.terminate(keeper)
        refs += [ref async for ref in listing]
        assert [ref.thread_id for ref in refs] == sorted({f"t{n:03}" for n in range(1500)})
        again = [item async for item in source.read(refs[:10], shop.context)]
        assert list(map(plain, again)) == list(map(plain, before))


@pytest.mark.parametrize("connections", [1, 4])
async def test_a_moment_that_nobody_holds_is_gone(shop: Any, connections: int) -> None:
    """It is not replaced by another one: half a copy would be of another time."""
    await shop.write(*generation(0))
    async with shop.source(connections=connections) as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        [item async for item in source.read(refs[:10], shop.context)]
        shop.terminate(*shop.sessions())
        with pytest.raises(FatalError) as gone:
            [item async for item in source.read(refs[10:20], shop.context)]
        assert str(gone.value) == LOST.format(place=shop.place)
        with pytest.raises(FatalError):
            [ref async for ref in source.list(Query(), shop.context)]


async def test_a_cancelled_statement_is_asked_again(shop: Any) -> None:
    """What an administrator cancels is no loss: the rest of a large thread comes."""
    text = "x" * 5000
    large = [Thread(thread_id="a"), *(
        Checkpoint(thread_id="a", checkpoint_ns="", checkpoint_id=f"c{n:05}", values=raw(text))
        for n in range(2000)
    )]  # fmt: skip
    await shop.write(large)
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        (keeper,) = shop.sessions()
        found = []
        async for item in source.read(refs, shop.context):
            found.append(item)
            if len(found) in (10, 800):
                cancelled = shop.query(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = "
                    "current_database() AND application_name = 'lgx' AND pid <> $1",
                    keeper,
                )
                assert cancelled == [(True,)]
    assert [canonical(encode_line(item)) for item in found[:-1]] == [
        canonical(encode_line(record)) for record in large
    ]


async def test_a_server_that_limits_idle_time_does_not_end_the_moment(shop: Any) -> None:
    """Nor one that limits statements and transactions: a long export is meant to be long."""
    await shop.write(*generation(0))
    ((name,),) = shop.query("SELECT current_database()")
    for setting in (
        "idle_in_transaction_session_timeout",
        "transaction_timeout",
        "statement_timeout",
    ):
        shop.query(f"ALTER DATABASE {name} SET {setting} = '200ms'")
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        before = [item async for item in source.read(refs[:10], shop.context)]
        await asyncio.sleep(0.5)
        again = [item async for item in source.read(refs[:10], shop.context)]
        assert list(map(plain, again)) == list(map(plain, before))


async def test_a_pooler_in_transaction_mode_does_not_mind(
    own_server: PostgresProcess, own_database: str, pooler: TransactionPooler, shop: Any
) -> None:
    """Every statement is in a transaction; nothing is left in a session."""
    shop.server, shop.dsn = own_server, own_database
    await shop.write(*generation(0))
    shop.dsn = pooler.dsn
    pooler.leaks.clear()
    for connections in (1, 3):
        assert await shop.records(connections=connections) == forms(generation(0))
    assert pooler.leaks == []
    shop.dsn = own_database


WAITING = """
DO $$ BEGIN
    FOR attempt IN 1..1000 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()));
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$
"""


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE langgraph_checkpoints ADD COLUMN more INT",
        "REINDEX TABLE langgraph_checkpoints",
        "DROP TABLE langgraph_crons",
    ],
)
async def test_who_waits_to_alter_a_table_does_not_stop_the_reader(shop: Any, sql: str) -> None:
    """He waits for the keeper of the moment, and new connections behind him, for ever; so the
    keeper reads by itself."""
    await shop.write(*generation(0))
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        altering = asyncio.create_task(asyncio.to_thread(shop.query, sql))
        await asyncio.to_thread(shop.query, WAITING)
        async with asyncio.timeout(20):
            items = [item async for item in source.read(refs, shop.context)]
        assert not altering.done()
    await altering
    assert len(items) == 60 * (1 + 2 + 1)


async def test_where_the_server_has_no_room_one_connection_reads(
    own_server: PostgresProcess, own_database: str, shop: Any
) -> None:
    """It goes slower, and nothing is lost."""
    shop.server, shop.dsn = own_server, own_database
    await shop.write(*generation(0))
    shop.query(
        "CREATE ROLE single LOGIN PASSWORD 'x' CONNECTION LIMIT 1;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO single"
    )
    name = own_database.split("?")[0].rsplit("/", 1)[1]
    shop.dsn = own_server.tcp_dsn("single", "x", name)
    assert await shop.records() == forms(generation(0))
    shop.dsn = own_database
    shop.query("DROP OWNED BY single; DROP ROLE single")


async def test_behind_a_pooler_with_one_connection_that_one_reads(
    own_server: PostgresProcess,
    own_database: str,
    shop: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second one would wait for the first one's transaction to end, for ever."""
    monkeypatch.setattr("lgx_plugins.postgres.snapshot._JOIN_SECONDS", 0.3)
    shop.server, shop.dsn = own_server, own_database
    await shop.write(*generation(0))
    async with TransactionPooler(own_database, size=1) as narrow:
        shop.dsn = narrow.dsn
        async with asyncio.timeout(30):
            assert await shop.records() == forms(generation(0))
    shop.dsn = own_database
