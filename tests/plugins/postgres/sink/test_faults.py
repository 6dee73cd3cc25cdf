"""Faults of a real server in the middle of writing: whole threads, or none of them."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from lgx import (
    Bundle,
    FatalError,
    LockedError,
    RetryableError,
    Secret,
    UsageError,
    raw,
)
from lgx.testing import PostgresProcess, make_context, make_run
from lgx_plugins.postgres import PostgresSink
from lgx_plugins.postgres.config import PostgresSinkConfig
from lgx_plugins.postgres.connection import Address, close

# Sessions of lgx, but for the one that asks.
_SESSIONS = "FROM pg_stat_activity WHERE application_name = 'lgx' AND datname = current_database()"
_TERMINATE = f"SELECT count(pg_terminate_backend(pid)) {_SESSIONS}"
_COPYING = f"{_TERMINATE} AND query LIKE 'COPY%' AND state = 'active'"


class Paused(Bundle):
    """A bundle whose first reading stops in the middle until something has happened."""

    def __init__(self, plain: Bundle, at: int, happens: Any) -> None:
        super().__init__(plain.spool, ref=plain.ref, mark=plain.mark)
        self._left = [at]
        self._happens = happens
        self.happened = threading.Event()

    def lines(self) -> Iterator[bytes]:
        for number, line in enumerate(super().lines()):
            if self._left and self._left[0] == number:
                self._left.clear()
                self._happens()
                self.happened.set()
            yield line


def _until_blocked(shop: Any) -> None:
    while not shop.sql(f"SELECT 1 {_SESSIONS} AND wait_event_type = 'Lock'"):
        pass


def _large(shop: Any, name: str = "large") -> list[Any]:
    """A thread of some four megabytes."""
    return shop.thread(name, 40, values=raw({"text": "x" * 100_000}))  # type: ignore[no-any-return]


class SecondReading(Paused):
    """Stops in the middle of a COPY: what comes before only looks through the thread."""

    def lines(self) -> Iterator[bytes]:
        if not getattr(self, "_looked", False):
            self._looked = True
            yield from Bundle.lines(self)
            return
        yield from super().lines()


async def test_a_session_that_is_ended_in_mid_copy_is_begun_anew(shop: Any, lines: Any) -> None:
    """pg_terminate_backend while rows are under way: the transaction is made again, whole."""
    await shop.write(shop.thread("before"))
    ended: list[Any] = []

    def end() -> None:
        while not ended or ended[-1] == (0,):
            ended.extend(shop.sql(_COPYING))

    async with shop.sink() as sink:
        records = _large(shop)
        bundle = SecondReading(shop.bundle(records), 30, end)
        outcomes = await sink.write([bundle, shop.bundle(shop.thread("n"))], shop.context)
        assert [outcome.error for outcome in outcomes] == [None, None]
    assert (ended[-1], shop.context.progress.retries) == ((1,), 1)
    found = await shop.read()
    assert set(found) == {"before", "large", "n"}
    assert found["large"] == lines(records)
    shop.check_whole()


@asynccontextmanager
async def _terminating(shop: Any, dice: random.Random, ended: list[int]) -> AsyncIterator[None]:
    """Ends lgx's sessions, all or one, at random moments; counts them in `ended`."""

    async def go() -> None:
        sql = _TERMINATE  # at first, so that some are met
        while True:
            ((count,),) = await asyncio.to_thread(shop.sql, sql)
            ended[0] += count
            await asyncio.sleep(dice.uniform(0, 0.05))
            sql = dice.choice((_TERMINATE, _COPYING, f"{_TERMINATE} AND pid % 3 = 0"))

    task = asyncio.create_task(go())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _terminate_often(shop: Any, lines: Any, rounds: int) -> None:
    dice = random.Random(rounds)
    threads = {
        f"t{number:03}": shop.thread(f"t{number:03}", 1 + number % 9, "y" * 3000)
        for number in range(120)
    }
    threads["large"] = _large(shop)
    wanted = {key: lines(records) for key, records in threads.items()}
    ended = [0]
    for number in range(rounds):
        version = str(number)
        context = make_context(attempts=30)
        with suppress(FatalError, RetryableError):  # none of them, but a run may end so
            async with shop.sink() as sink, _terminating(shop, dice, ended):
                whole = [shop.bundle(records, version=version) for records in threads.values()]
                batches = [whole[start : start + 15] for start in range(0, len(whole), 15)]
                await asyncio.gather(*(sink.write(batch, context) for batch in batches))
        shop.check_whole()
        found = await shop.read()
        assert found == {key: wanted[key] for key in found}
        for records in threads.values():  # so that the next round has something to write
            records[1] = shop.checkpoint(records[0].thread_id, 0, f"round {number}")
        wanted = {key: lines(records) for key, records in threads.items()}
        shop.close()
    await shop.write(*threads.values(), version="last")
    assert await shop.read() == wanted
    assert ended[0] >= rounds


@pytest.mark.timeout(120)
async def test_sessions_that_end_at_random_moments_leave_whole_threads(
    shop: Any, lines: Any
) -> None:
    """Writers', the lock's, all at once: what stands is whole, and the next run ends it."""
    await _terminate_often(shop, lines, 3)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
async def test_sessions_that_end_fifty_times_leave_whole_threads(shop: Any, lines: Any) -> None:
    """The same at length."""
    await _terminate_often(shop, lines, 50)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_a_server_that_comes_back_is_written_to_again(
    shop: Any, lines: Any, how: str
) -> None:
    """Shut down, or killed, in mid-COPY, and started again: the run goes on and loses nothing;
    what was committed before stands."""
    with PostgresProcess() as server:
        shop.dsn = server.new_database()
        shop.sql = lambda text, *args: server.execute(shop.dsn, text, *args)

        def restart() -> None:
            if how == "kill":
                server.kill()
                server.start()
            else:
                server.restart()

        records = _large(shop)
        async with shop.sink() as sink:
            await sink.write([shop.bundle(shop.thread("before"))], shop.context)
            bundle = SecondReading(shop.bundle(records), 30, restart)
            patient = make_context(attempts=100_000)  # whose waits take no time
            (outcome,) = await sink.write([bundle], patient)
            assert outcome.error is None
            await sink.finish(shop.context)
        assert await shop.read() == {
            "before": lines(shop.thread("before")),
            "large": lines(records),
        }
        shop.check_whole()


@pytest.mark.timeout(120)
async def test_a_server_that_stays_away_ends_the_run_with_a_reason(shop: Any, lines: Any) -> None:
    """Whole threads stand, and the error names the database and no secret."""
    with PostgresProcess() as server:
        shop.dsn = server.new_database()
        shop.sql = lambda text, *args: server.execute(shop.dsn, text, *args)
        async with shop.sink() as sink:
            await sink.write([shop.bundle(shop.thread("before"))], shop.context)
            bundle = SecondReading(shop.bundle(_large(shop)), 30, server.kill)
            with pytest.raises(RetryableError, match=r"transaction with 1 thread failed after 4"):
                await sink.write([bundle], shop.context)
        server.start()
        assert await shop.read() == {"before": lines(shop.thread("before"))}
        await shop.write(_large(shop))
        assert set(await shop.read()) == {"before", "large"}


async def test_a_deadlock_is_tried_again(shop: Any, lines: Any) -> None:
    """Another program takes the tables in the other order; the server ends one of the two, and
    the transaction that it ends (40P01) is made again."""
    shop.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''10ms''', "
        "current_database()); END $$"
    )
    loop = asyncio.get_running_loop()
    async with shop.sink() as sink:
        other = await Address(Secret(shop.dsn)).connect()
        try:
            await other.execute("SET deadlock_timeout = '60s'")  # it is never the victim
            transaction = other.transaction()
            await transaction.start()
            await other.execute("LOCK TABLE langgraph_runs")
            blocked: list[asyncio.Task[Any]] = []

            def block() -> None:
                lock = other.execute("LOCK TABLE langgraph_checkpoints")
                loop.call_soon_threadsafe(lambda: blocked.append(loop.create_task(lock)))
                _until_blocked(shop)

            bundle = SecondReading(shop.bundle(_large(shop)), 30, block)
            writing = asyncio.create_task(sink.write([bundle], shop.context))
            await asyncio.to_thread(bundle.happened.wait, 30)
            await asyncio.wait_for(blocked[0], 30)  # lgx was ended, and let it go on
            await transaction.rollback()
            (outcome,) = await writing
        finally:
            await close(other)
    assert (outcome.error, shop.context.progress.retries) == (None, 1)
    assert await shop.read() == {"large": lines(_large(shop))}


async def test_a_thread_that_another_program_adds_at_once_is_replaced(
    shop: Any, lines: Any
) -> None:
    """A clash of keys (23505) is found again as what stands, by a second look."""
    async with shop.sink() as sink:
        other = await Address(Secret(shop.dsn)).connect()
        try:
            transaction = other.transaction()
            await transaction.start()
            await other.execute(
                "INSERT INTO langgraph_threads (thread_id, source_url) VALUES ('t', 'kit://first')"
            )
            writing = asyncio.ensure_future(
                sink.write([shop.bundle(shop.thread("t"))], shop.context)
            )
            await asyncio.to_thread(_until_blocked, shop)
            await transaction.commit()
            (outcome,) = await writing
        finally:
            await close(other)
    assert outcome.error is None
    assert await shop.read() == {"t": lines(shop.thread("t"))}


@pytest.mark.parametrize("state", ["40001", "53300", "57P03"])
async def test_what_may_pass_is_tried_again(shop: Any, lines: Any, state: str) -> None:
    """A trigger that fails with that code twice stands for what a small server seldom does."""
    async with shop.sink() as sink:
        _failing(shop, state, times=2)
        (outcome,) = await sink.write([shop.bundle(shop.thread("t"))], shop.context)
        assert (outcome.error, shop.context.progress.retries) == (None, 2)
    assert await shop.read() == {"t": lines(shop.thread("t"))}


def _failing(shop: Any, state: str, times: int) -> None:
    """Makes writing of checkpoints fail; a sequence counts, for it is not rolled back."""
    shop.sql(
        f"""CREATE SEQUENCE failures;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('public.failures') <= {times} THEN
                RAISE EXCEPTION 'no luck' USING ERRCODE = '{state}';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER fail BEFORE INSERT ON langgraph_checkpoints
            FOR EACH STATEMENT EXECUTE FUNCTION fail();"""
    )


async def test_a_full_disk_ends_the_run_and_leaves_what_was_committed(
    shop: Any, lines: Any
) -> None:
    """Disk full (53100), as a trigger says it: not tried again, and nothing is half there."""
    async with shop.sink() as sink:
        await sink.write([shop.bundle(shop.thread("before"))], shop.context)
        _failing(shop, "53100", times=1)
        with pytest.raises(FatalError, match="has no space left; free some on its disk"):
            await sink.write([shop.bundle(shop.thread("t"))], shop.context)
    assert await shop.read() == {"before": lines(shop.thread("before"))}
    await shop.write(shop.thread("t"))
    assert set(await shop.read()) == {"before", "t"}


async def test_a_revoked_permission_ends_the_run(
    shop: Any, lines: Any, own_server: PostgresProcess
) -> None:
    """Taken away while the run is under way: the message says what is missing."""
    shop.dsn = own_server.new_database()
    shop.sql = lambda text, *args: own_server.execute(shop.dsn, text, *args)
    shop.sql("DROP ROLE IF EXISTS writer; CREATE ROLE writer LOGIN PASSWORD 'secret';")
    shop.sql("GRANT CREATE ON SCHEMA public TO writer")
    dsn = own_server.tcp_dsn("writer", "secret", urlsplit(shop.dsn).path[1:])
    sink = PostgresSink(PostgresSinkConfig(dsn=Secret(dsn)))
    async with sink:
        await sink.begin(make_run(), make_context())
        await sink.write([shop.bundle(shop.thread("before"))], shop.context)
        shop.sql("ALTER TABLE langgraph_checkpoints OWNER TO postgres")
        with pytest.raises(FatalError, match="permission denied for table langgraph_checkpoints"):
            await sink.write([shop.bundle(shop.thread("t"))], shop.context)
    assert shop.context.progress.retries == 0
    assert await shop.read() == {"before": lines(shop.thread("before"))}


async def test_a_run_whose_turn_is_over_writes_nothing_more(shop: Any, lines: Any) -> None:
    """Its lock's session is cut and another run takes over: the first stops, nothing mixes."""
    async with shop.sink() as first:
        await first.write([shop.bundle(shop.thread("a"))], shop.context)
        shop.sql(_TERMINATE)
        async with shop.sink() as second:
            await second.write([shop.bundle(shop.thread("b"))], shop.context)
            with pytest.raises((LockedError, RetryableError), match="being written by process"):
                await first.write([shop.bundle(shop.thread("c"))], shop.context)
    assert set(await shop.read()) == {"a", "b"}


@pytest.mark.parametrize("what", ["thread_id", "checkpoint_ns", "checkpoint_id", "run_id"])
async def test_a_poison_row_among_healthy_ones_costs_its_thread(
    shop: Any, lines: Any, what: str
) -> None:
    """One that only the server refuses: an index entry of more bytes than one may have."""
    dice = random.Random(1)
    threads = [shop.thread(f"t{number:02}") for number in range(40)]
    long = "".join(dice.choice("0123456789abcdef") for _ in range(20_000))
    poison = shop.thread(long if what == "thread_id" else "poison", 1)
    for number, record in enumerate(poison):
        if what != "thread_id" and hasattr(record, what):
            poison[number] = msgspec.structs.replace(record, **{what: long})
    threads.insert(17, poison)
    async with shop.sink() as sink:
        outcomes = await sink.write([shop.bundle(one) for one in threads], shop.context)
    assert [number for number, outcome in enumerate(outcomes) if outcome.error] == [17]
    (error,) = (outcome.error for outcome in outcomes if outcome.error)
    assert error.startswith(
        "PostgreSQL cannot hold an id, or another text that is indexed, of that length (index row "
        "requires 200"
    )
    assert error.endswith("); an archive or an ndjson file can")
    assert set(await shop.read()) == {f"t{number:02}" for number in range(40)}


class Deaf:
    """Stands between lgx and the server, and keeps the answer to the first COMMIT to itself."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.armed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        from_server, to_server = await asyncio.open_unix_connection(self._socket)
        hears = True

        async def ask() -> None:
            nonlocal hears
            while chunk := await reader.read(1 << 16):
                if self.armed and b"COMMIT;" in chunk:
                    self.armed = hears = False
                to_server.write(chunk)

        asking = asyncio.create_task(ask())
        try:
            while (chunk := await from_server.read(1 << 16)) and hears:
                writer.write(chunk)
        finally:
            asking.cancel()
            await asyncio.wait([asking])
            for stream in (writer, to_server):
                stream.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def test_a_commit_whose_answer_is_lost_leaves_one_copy(
    shop: Any, lines: Any, own_server: PostgresProcess
) -> None:
    """It stands, and nobody knows: the transaction is made again and finds its own threads."""
    shop.dsn = own_server.new_database()
    shop.sql = lambda text, *args: own_server.execute(shop.dsn, text, *args)
    deaf = Deaf(f"{own_server.directory}/.s.PGSQL.{own_server.port}")
    listener = await asyncio.start_server(deaf.accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    dsn = f"postgresql://postgres@127.0.0.1:{port}{urlsplit(shop.dsn).path}?sslmode=disable"
    sink = PostgresSink(PostgresSinkConfig(dsn=Secret(dsn)))
    async with sink:
        await sink.begin(make_run(), make_context())
        for version, count in ("1", 3), ("2", 5):
            deaf.armed = True
            records = shop.thread("t", count)
            (outcome,) = await sink.write([shop.bundle(records, version=version)], shop.context)
            assert (outcome.error, deaf.armed) == (None, False)
            assert await shop.read() == {"t": lines(records)}
    assert shop.context.progress.retries == 2
    assert shop.counts() == {"threads": 1, "checkpoints": 5, "runs": 1, "records": 1}
    shop.check_whole()
    listener.close()
    await deaf.close()


async def test_a_role_without_temporary_tables_is_refused_at_the_begin(
    shop: Any, own_server: PostgresProcess
) -> None:
    """Threads that stand are replaced through one: nothing is begun that the next run could not
    go on with."""
    shop.dsn = own_server.new_database()
    name = urlsplit(shop.dsn).path[1:]
    shop.sql = lambda text, *args: own_server.execute(shop.dsn, text, *args)
    shop.sql('DROP ROLE IF EXISTS "the writer"; CREATE ROLE "the writer" LOGIN PASSWORD \'x\';')
    shop.sql('GRANT CREATE ON SCHEMA public TO "the writer"')
    shop.sql(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    sink = PostgresSink(
        PostgresSinkConfig(dsn=Secret(own_server.tcp_dsn("the%20writer", "x", name)))
    )
    async with sink:
        with pytest.raises(UsageError) as refused:
            await sink.begin(make_run(), make_context())
        facts = {fact.name: fact for fact in (await sink.probe(shop.context)).facts}
        command = f'GRANT TEMPORARY ON DATABASE {name} TO "the writer"'
        assert str(refused.value).endswith(
            "cannot be written to: the user may not make temporary tables, through which threads "
            f"are replaced; {command}"
        )
        assert facts["access"].level == "error"
        assert str(refused.value).endswith(facts["access"].value)
        assert shop.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'langgraph%'") == [(0,)]
        shop.sql(command)
        await sink.begin(make_run(), make_context())
        await sink.write([shop.bundle(shop.thread("t"))], shop.context)
        (outcome,) = await sink.write([shop.bundle(shop.thread("t", 3))], shop.context)
    assert outcome.error is None


async def test_a_server_that_is_not_there_ends_the_run_before_it_begins() -> None:
    """The message names the place, and no password."""
    sink = PostgresSink(PostgresSinkConfig(dsn=Secret("postgresql://u:pw@127.0.0.1:9/db")))
    async with sink:
        with pytest.raises(FatalError) as refused:
            await sink.begin(make_run(), make_context())
    assert str(refused.value) == (
        "database 'db' on 127.0.0.1:9 cannot be reached (connection refused); see that the server "
        "runs and the dsn is right, then run again"
    )
