"""Behind a pooler in transaction mode, where each transaction may meet another session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lgx import Checkpoint, LockedError, Secret, Thread, UsageError, raw
from lgx.testing import TransactionPooler, make_context, same_records
from lgx_plugins.postgres.connection import Address, close, close_pool
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.migrations import prepare
from lgx_plugins.postgres.names import Names


@pytest.fixture
def pooled(pooler: TransactionPooler) -> Address:
    return Address(Secret(pooler.dsn))


async def test_the_pooler_of_these_tests_is_a_strict_one(
    pooler: TransactionPooler, pooled: Address
) -> None:
    """What it is to catch it catches: a statement prepared in another session is not there,
    and what is left in a session is told."""
    import asyncpg

    connection = await pooled.connect()
    statement = await connection.prepare("SELECT $1::int", name="kept")
    assert await statement.fetchval(7) == 7
    assert pooler.leaks == ["statement kept"]
    with pytest.raises(asyncpg.InvalidSQLStatementNameError):
        await statement.fetchval(7)
    pooler.leaks.clear()
    await connection.execute("SET work_mem = '1MB'; SELECT pg_advisory_lock(7)")
    assert set(pooler.leaks) >= {"setting work_mem", "advisory lock"}
    await close(connection)


async def test_a_target_is_prepared_and_locked(
    pooler: TransactionPooler, pooled: Address, names: Names
) -> None:
    """The lock lasts over the transactions of others, and nothing is left in any session."""
    lease = TargetLease(pooled, names)
    assert await prepare(pooled, names, lease) == ()
    pool = await pooled.open_pool(3)
    for _ in range(5):
        async with pool.acquire() as connection, connection.transaction():
            await lease.fence(connection)
        with pytest.raises(LockedError, match="are being written by process"):
            await TargetLease(pooled, names).acquire()
    await close_pool(pool)
    await lease.release()
    lease = TargetLease(pooled, names)
    assert await prepare(pooled, names, lease) == ()
    await lease.release()
    assert pooler.leaks == []
    assert pooler.transactions > 10


async def test_threads_are_written_and_read(
    pooler: TransactionPooler, open_target: Callable[[str], Any]
) -> None:
    """By several writers and readers at once, new threads and those that stand already; no
    session keeps anything of it."""
    threads = [
        [
            Thread(thread_id=f"t{number}", values=raw({"n": number})),
            Checkpoint(thread_id=f"t{number}", checkpoint_ns="", checkpoint_id="c"),
        ]
        for number in range(120)
    ]
    target = open_target(pooler.dsn)
    await target.write(*threads[:80])
    await target.write(*threads)
    found = await target.read()
    assert sorted(found) == sorted(f"t{number}" for number in range(120))
    for records in threads:
        assert same_records(found[records[0].thread_id], records) == []  # type: ignore[attr-defined]
    assert pooler.leaks == []


async def test_a_lock_whose_session_lives_on_is_taken_back(
    pooler: TransactionPooler, pooled: Address, names: Names
) -> None:
    """The network fails, and the server does not notice: the former session of the same run
    holds the lock, and is ended."""
    lease = TargetLease(pooled, names)
    await prepare(pooled, names, lease)
    session = lease._session
    pooler.cut()

    async def write() -> None:
        connection = await pooled.connect()
        try:
            async with connection.transaction():
                await lease.fence(connection)
        finally:
            await close(connection)

    # Tried again while the server still ends that session.
    await make_context(attempts=1000).request(write, what="transaction")
    assert lease._session != session
    with pytest.raises(LockedError):
        await TargetLease(pooled, names).acquire()
    await lease.release()


async def test_waiting_for_a_lock_can_be_cancelled(
    pooled: Address, names: Names, told: asyncio.Event
) -> None:
    """And leaves nobody behind the pooler who would take it later."""
    lease = TargetLease(pooled, names)
    await lease.acquire()
    second = asyncio.create_task(TargetLease(pooled, names, "wait").acquire())
    await told.wait()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await lease.release()
    third = TargetLease(pooled, names)
    await third.acquire()
    await third.release()


async def test_a_startup_parameter_that_the_pooler_refuses_is_named(
    pooler: TransactionPooler,
) -> None:
    """As PgBouncer does with what it cannot keep for each client."""
    address = Address(Secret(f"{pooler.dsn}?search_path=other"))
    with pytest.raises(UsageError, match="unsupported startup parameter: search_path; correct"):
        await address.connect()


async def test_parameters_of_other_clients_do_not_reach_the_server(
    pooler: TransactionPooler,
) -> None:
    """What libpq, JDBC and others put into URLs is left out, where no server knows it."""
    address = Address(Secret(f"{pooler.dsn}?pgbouncer=true&connect_timeout=7&keepalives=1"))
    await close(await address.connect())
