"""Whoever holds a lock that lgx waits for is named, while it waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lgx import Context, Thread, raw
from lgx.testing import make_bundle, make_context, make_run
from lgx_plugins.postgres import waits
from lgx_plugins.postgres.connection import Address, close


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "_SECONDS", 0.05)


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.put_nowait(record.getMessage())


@pytest.fixture
def told() -> Any:
    """What is said of waiting, as it is said."""
    handler = _Told()
    waits._log.addHandler(handler)
    yield handler.messages
    waits._log.removeHandler(handler)


@asynccontextmanager
async def locked(address: Address, sql: str) -> AsyncIterator[int]:
    """Another session holds what that statement locks; gives its number."""
    other = await address.connect()
    try:
        await other.execute(f"SET application_name = 'psql'; BEGIN; {sql}")
        yield other.get_server_pid()
    finally:
        await close(other)


def _named(pid: int) -> str:
    return f"session {pid} of user 'postgres' ('psql', idle in transaction)"


@pytest.mark.parametrize(
    "lock", ["SELECT * FROM langgraph_threads FOR UPDATE", "LOCK TABLE langgraph_checkpoints"]
)
async def test_a_writer_names_whom_it_waits_for(
    target: Any, address: Address, told: Any, lock: str
) -> None:
    """Once, in the log and in the progress; then it goes on."""
    await target.write([Thread(thread_id="t")])
    context = make_context()
    bundle = make_bundle(context, [Thread(thread_id="t", values=raw(1))], version="2")
    async with target.sink() as sink:
        await sink.begin(make_run(), context)
        async with locked(address, lock) as pid:
            writing = asyncio.create_task(sink.write([bundle], context))
            assert await told.get() == (
                f"waiting for {_named(pid)}, which holds a lock on these tables: end its "
                "transaction, or stop this run"
            )
            assert context.progress.waiting_for == _named(pid)
            assert not writing.done()
        (outcome,) = await writing
    bundle.close()
    assert outcome.error is None
    assert told.empty()


async def _begin(target: Any, context: Context) -> None:
    async with target.sink() as sink:
        await sink.begin(make_run(), context)


async def _probe(target: Any, context: Context) -> None:
    async with target.sink() as sink:
        await sink.probe(context)


async def _read(target: Any, context: Context) -> None:
    async with target.source() as source:
        await source.versions(context)


@pytest.mark.parametrize("what", [_begin, _probe, _read])
async def test_what_begins_names_whom_it_waits_for(
    target: Any, address: Address, told: Any, what: Callable[[Any, Context], Any]
) -> None:
    """Whoever alters a table keeps readers out, too."""
    await target.write([Thread(thread_id="t")])
    context = make_context()
    async with locked(address, "LOCK TABLE langgraph_threads") as pid:
        beginning = asyncio.create_task(what(target, context))
        assert (await told.get()).startswith(f"waiting for {_named(pid)}, which holds a lock")
        assert not beginning.done()
    await beginning
    assert context.progress.waiting_for is None
