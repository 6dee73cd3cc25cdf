"""Two runs never write into one schema at once, whatever happens to the first."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from lgx import LockedError, RetryableError, Secret, Thread, encode_line, raw
from lgx.testing import PostgresProcess, PostgresServer, make_context
from lgx_plugins.postgres.connection import Address, close
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.lock import TargetLease, _key, lock_holder
from lgx_plugins.postgres.migrations import prepare
from lgx_plugins.postgres.names import Names


@contextlib.asynccontextmanager
async def held(address: Address, names: Names, mode: Any = "fail") -> AsyncIterator[TargetLease]:
    lease = TargetLease(address, names, mode)
    await lease.acquire()
    try:
        yield lease
    finally:
        await lease.release()


async def fence(address: Address, lease: TargetLease) -> None:
    """One transaction that would write; tried again while the server still ends a session."""

    async def write() -> None:
        connection = await address.connect()
        try:
            async with connection.transaction():
                await lease.fence(connection)
        finally:
            await close(connection)

    await make_context(attempts=1000).request(write, what="transaction")


async def lose(lease: TargetLease) -> None:
    """Ends the lock, and leaves its connection open: the holder does not notice."""
    assert lease._connection is not None
    await lease._connection.execute("ROLLBACK")


async def session_of(address: Address) -> int:
    """The process of the server that holds the lock."""
    connection = await address.connect()
    try:
        pid: int = await connection.fetchval(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return pid
    finally:
        await close(connection)


async def test_a_second_run_stops_and_names_the_first(address: Address, names: Names) -> None:
    """Process, host and time, so that its owner can be found."""
    async with held(address, names):
        with pytest.raises(LockedError) as caught:
            await TargetLease(address, names).acquire()
    text = str(caught.value)
    assert text.startswith("the tables 'public.langgraph_*' in database 'lgx_test_")
    assert f"written by process {os.getpid()} on host {socket.gethostname()} since 2" in text
    assert text.endswith("; wait for it to end, write elsewhere, or add --sink-lock wait")


async def test_the_lock_is_free_when_release_returns(address: Address, names: Names) -> None:
    """A run that follows at once need not wait."""
    for _ in range(5):
        async with held(address, names):
            pass


async def test_release_may_come_again_and_without_acquire(address: Address, names: Names) -> None:
    """Whoever closes need not know how far the opening came."""
    lease = TargetLease(address, names)
    await lease.release()
    await lease.acquire()
    await lease.release()
    await lease.release()


@pytest.mark.parametrize(
    "other", [Names("public", "other_"), Names("elsewhere", "langgraph_")], ids=str
)
async def test_other_tables_have_another_lock(address: Address, names: Names, other: Names) -> None:
    """Another prefix or schema is another target."""
    async with held(address, names), held(address, other):
        pass


async def test_waiting_ends_when_the_first_run_does(
    address: Address, names: Names, caplog: pytest.LogCaptureFixture, told: asyncio.Event
) -> None:
    """And it is said, once, whom it waits for."""
    caplog.set_level(logging.WARNING)
    first = TargetLease(address, names)
    await first.acquire()
    second = TargetLease(address, names, "wait")
    context = make_context()
    waiting = asyncio.create_task(second.acquire(context))
    await told.wait()
    assert not waiting.done()
    assert str(context.progress.waiting_for).startswith(f"process {os.getpid()} on host ")
    await first.release()
    await waiting
    assert context.progress.waiting_for is None
    await fence(address, second)
    await second.release()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"waiting for process {os.getpid()} on host ")
    assert record.getMessage().endswith(", which writes to 'public.langgraph_*'")


async def waits(address: Address) -> None:
    """Returns once somebody waits for a transaction."""
    connection = await address.connect()
    try:
        await connection.execute("""DO $$ BEGIN
            WHILE NOT EXISTS (
                SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted
            ) LOOP PERFORM pg_sleep(0.005); END LOOP; END $$""")
    finally:
        await close(connection)


async def test_waiting_can_be_cancelled(
    address: Address, names: Names, told: asyncio.Event
) -> None:
    """And leaves nobody who would take the lock later."""
    async with held(address, names):
        waiting = asyncio.create_task(TargetLease(address, names, "wait").acquire())
        await told.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with held(address, names):
        pass


async def test_who_waits_holds_back_no_vacuum(
    address: Address, names: Names, told: asyncio.Event, sql: Any
) -> None:
    """Nor has it any transaction but its own: a run may be waited for for hours."""
    async with held(address, names):
        waiting = asyncio.create_task(TargetLease(address, names, "wait").acquire())
        await told.wait()
        query = (
            "SELECT backend_xmin, backend_xid FROM pg_stat_activity WHERE application_name = 'lgx' "
            "AND datname = current_database() AND state = 'idle in transaction' "
            "AND query = 'SELECT 1'"
        )
        while len(rows := await asyncio.to_thread(sql, query)) != 2:
            pass  # it has yet to go on
        assert rows == [(None, None)] * 2
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_a_run_that_waits_needs_no_other_connection(
    address: Address, names: Names, told: asyncio.Event, sql: Any
) -> None:
    """What it had opened before would be ended meanwhile, as idle."""
    (name,) = sql("SELECT current_database()")[0]
    sql(f"ALTER DATABASE {name} SET idle_session_timeout = '20ms'")
    async with held(address, names):
        second = TargetLease(address, names, "wait")
        waiting = asyncio.create_task(prepare(address, names, second))
        await told.wait()
        sql("SELECT pg_sleep(0.1)")
    await waiting
    await second.release()


_HOLD = """
import asyncio, sys
from lgx import Secret
from lgx_plugins.postgres.connection import Address
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.names import Names

async def main():
    address = Address(Secret(sys.stdin.readline()))
    await TargetLease(address, Names("public", "langgraph_")).acquire()
    print("held", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_holder_does_not_lock_it_for_ever(
    address: Address, names: Names, database: str, told: asyncio.Event
) -> None:
    """The server frees the lock with the process; whoever waits has it then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _HOLD,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{database}\n".encode())
    assert await process.stdout.readline() == b"held\n"
    with pytest.raises(LockedError, match=f"process {process.pid} on host"):
        await TargetLease(address, names).acquire()
    second = TargetLease(address, names, "wait")
    waiting = asyncio.create_task(second.acquire())
    await told.wait()
    process.kill()
    await waiting
    await second.release()
    await process.wait()


async def test_a_lock_whose_connection_was_cut_is_taken_again(
    address: Address, names: Names, sql: Any
) -> None:
    """Before the next write, and without anybody noticing."""
    async with held(address, names) as lease:
        for _ in range(3):
            sql("SELECT pg_terminate_backend($1::int)", await session_of(address))
            assert lease._connection is not None
            lost = asyncio.Event()
            if not lease._connection.is_closed():
                lease._connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await lost.wait()
            await fence(address, lease)
            with pytest.raises(LockedError):
                await TargetLease(address, names).acquire()


async def test_a_run_that_lost_its_lock_to_another_writes_nothing_more(
    address: Address, names: Names, sql: Any
) -> None:
    """Also when that other run has ended since."""
    async with held(address, names) as first:
        async with held(address, Names("public", "other_")):
            sql("SELECT pg_terminate_backend($1::int)", first._session)
        async with held(address, names) as second:
            with pytest.raises(LockedError, match="are being written by process"):
                await fence(address, first)
            await fence(address, second)
        with pytest.raises(LockedError, match="are being written by process"):
            await fence(address, first)


async def test_a_writer_that_does_not_know_of_its_loss_is_stopped_by_the_fence(
    address: Address, names: Names
) -> None:
    """Holding is not enough: the row in `lease` is what counts."""
    async with held(address, names) as first:
        await lose(first)
        async with held(address, names):
            with pytest.raises(LockedError):
                await fence(address, first)


async def test_a_takeover_waits_for_the_last_transaction_of_the_holder(
    address: Address, names: Names
) -> None:
    """What passed the fence ends before another run begins."""
    async with held(address, names) as first:
        writer = await address.connect()
        transaction = writer.transaction()
        await transaction.start()
        await first.fence(writer)
        await lose(first)
        second = TargetLease(address, names)
        taking = asyncio.create_task(second.acquire())
        await waits(address)
        assert not taking.done()
        await transaction.commit()
        await taking
        await second.release()
        await close(writer)


@pytest.mark.parametrize("mode", ["fail", "wait"])
async def test_a_transaction_that_does_not_end_is_named_or_waited_for(
    address: Address, names: Names, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    """A huge thread of a holder that lost its lock: its run is told like any other."""
    monkeypatch.setattr("lgx_plugins.postgres.lock._TAKEOVER_SECONDS", 0.02)
    async with held(address, names) as first:
        writer = await address.connect()
        transaction = writer.transaction()
        await transaction.start()
        await first.fence(writer)
        await lose(first)
        second = TargetLease(address, names, mode)
        taking = asyncio.create_task(second.acquire())
        if mode == "fail":
            with pytest.raises(LockedError, match=f"are being written by process {os.getpid()}"):
                await taking
        else:
            await waits(address)
            await writer.execute("SELECT pg_sleep(0.1)")
            assert not taking.done()
            await transaction.commit()
            await taking
            await second.release()
        await close(writer)


async def test_a_full_house_is_asked_again(
    address: Address, names: Names, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes its lock again and cannot ask who holds it fails in a way that may pass."""
    async with held(address, names) as lease:
        other = await address.connect()
        sql("SELECT pg_terminate_backend($1::int)", lease._session)
        await other.execute("BEGIN")
        await other.execute("SELECT pg_advisory_xact_lock($1)", _key(names))
        connect = address.connect
        left = [2]  # one asks whether it is ours, one for the lock

        async def full(*, again: bool = False) -> Any:
            left[0] -= 1
            if left[0] < 0:
                with explained(address.place, again=again):
                    raise asyncpg.TooManyConnectionsError("sorry, too many clients already")
            return await connect(again=again)

        monkeypatch.setattr(address, "connect", full)
        with pytest.raises(RetryableError, match="too many clients"):
            await lease._retake()
        monkeypatch.undo()
        await close(other)


async def test_writers_of_one_run_do_not_wait_for_each_other(
    address: Address, names: Names
) -> None:
    """The fence is shared: several transactions stand behind it at once."""
    async with held(address, names) as lease:
        connections = [await address.connect() for _ in range(4)]
        for connection in connections:
            await connection.execute("BEGIN")
        await asyncio.gather(*map(lease.fence, connections))
        for connection in connections:
            await close(connection)


async def test_the_lock_holds_back_no_vacuum(address: Address, names: Names, sql: Any) -> None:
    """A run may last for hours: its transaction has no snapshot."""
    async with held(address, names):
        pid = await session_of(address)
        assert sql(
            "SELECT state, backend_xmin, backend_xid FROM pg_stat_activity WHERE pid = $1", pid
        ) == [("idle in transaction", None, None)]


async def test_timeouts_of_the_server_do_not_end_the_lock(
    address: Address, names: Names, sql: Any, postgres_server: PostgresServer
) -> None:
    """Limits that an administrator set for idle transactions are lifted for this one."""
    (name,) = sql("SELECT current_database()")[0]
    for (setting,) in sql(
        "SELECT name FROM pg_settings WHERE name IN "
        "('idle_in_transaction_session_timeout', 'transaction_timeout')"
    ):
        sql(f"ALTER DATABASE {name} SET {setting} = '50ms'")
    async with held(address, names) as lease:
        session = lease._session
        postgres_server.execute(postgres_server.dsn, "SELECT pg_sleep(0.2)")
        assert await session_of(address) == session


async def test_the_server_notices_within_a_minute_that_a_machine_is_gone(
    own_server: PostgresProcess, own_database: str, names: Names
) -> None:
    """Nobody closes the connection of one that lost its power: the server asks for it."""
    role = f"lgx_{secrets.token_hex(4)}"
    own_server.execute(own_server.dsn, f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'plain'")
    name = own_database.partition("?")[0].rpartition("/")[2]
    async with held(Address(Secret(own_server.tcp_dsn(role, "plain", name))), names) as lease:
        assert lease._connection is not None
        asked = [
            await lease._connection.fetchval(f"SHOW tcp_keepalives_{what}")
            for what in ("idle", "interval", "count")
        ]
    assert asked == ["30", "10", "3"]
    own_server.execute(own_database, f"DROP OWNED BY {role} CASCADE")
    own_server.execute(own_server.dsn, f"DROP ROLE {role}")


async def test_timeouts_of_the_server_do_not_end_a_write(
    address: Address, names: Names, sql: Any
) -> None:
    """What stands behind the fence may take its time; the session keeps none of it."""
    (name,) = sql("SELECT current_database()")[0]
    async with held(address, names) as lease:
        sql(f"ALTER DATABASE {name} SET statement_timeout = '50ms'")
        connection = await address.connect()
        async with connection.transaction():
            await lease.fence(connection)
            await connection.execute("SELECT pg_sleep(0.1)")
        assert await connection.fetchval("SHOW statement_timeout") == "50ms"
        await close(connection)


async def test_a_server_that_is_down_is_asked_again(names: Names) -> None:
    """A write finds no server: it is tried again, and then the lock is taken anew."""
    with PostgresProcess() as server:
        address = Address(Secret(server.dsn))
        async with held(address, names) as lease:
            server.kill()
            with pytest.raises(RetryableError):
                await lease._retake()
            server.start()
            await fence(address, lease)


async def test_doctor_sees_who_holds_it(address: Address, names: Names) -> None:
    """And that nobody does, although somebody did."""
    connection = await address.connect()
    async with held(address, names), connection.transaction():
        assert (await lock_holder(connection, names) or "").startswith(f"process {os.getpid()} ")
        assert await lock_holder(connection, Names("public", "other_")) is None
    async with connection.transaction():
        assert await lock_holder(connection, names) is None
    await close(connection)


async def run(folder: Path, dsn: str, *options: str) -> asyncio.subprocess.Process:
    """A whole run in a process of its own, into the database."""
    lines = [Thread(thread_id=f"t{number}", values=raw({"n": number})) for number in range(3)]
    (folder / "in.ndjson").write_bytes(b"".join(encode_line(line) + b"\n" for line in lines))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lgx", "run", "--source", "ndjson", "--source-path", "in.ndjson"),
        *("--sink", "postgres", *options),
        cwd=folder,
        env={**os.environ, "LGX_SINK_DSN": dsn, "COLUMNS": "1000"},
        stderr=asyncio.subprocess.PIPE,
    )


async def test_of_two_runs_the_second_stops_or_waits(
    address: Address, names: Names, database: str, tmp_path: Path, sql: Any
) -> None:
    """As `--sink-lock` says; it tells whom it waits for, and then does its work."""
    async with held(address, names):
        stopped = await run(tmp_path, database)
        assert stopped.stderr is not None
        _, told = await stopped.communicate()
        assert stopped.returncode == 1
        assert f"are being written by process {os.getpid()} on host" in told.decode()
        waiting = await run(tmp_path, database, "--sink-lock", "wait")
        assert waiting.stderr is not None
        told = await waiting.stderr.readline()
        assert told.decode().startswith(f"lgx: waiting for process {os.getpid()} on host")
        assert waiting.returncode is None
    _, told = await waiting.communicate()
    assert waiting.returncode == 0, told.decode()
    assert sql("SELECT count(*) FROM langgraph_threads") == [(3,)]
