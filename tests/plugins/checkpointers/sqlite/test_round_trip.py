"""A copy is what the original is: for LangGraph, and byte by byte."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from lgx import run_async, use, verify_async
from lgx_plugins.checkpointers.sqlite import SqliteSaverSource


async def test_a_copy_holds_what_the_saver_wrote(
    files: Any, sqlite_zoo: Path, in_sqlite: Any, zoo: Any
) -> None:
    """Every checkpoint of list(None) is equal, and every row byte by byte: subgraphs, forks,
    interrupts, failures, Send, DeltaChannel, values of every type, awkward ids."""
    outcomes = await files.copy(sqlite_zoo)
    assert {(one.error, one.losses, one.written) for one in outcomes} == {(None, (), True)}
    assert files.rows(files.target) == files.rows(sqlite_zoo)
    before = in_sqlite(sqlite_zoo)
    assert len(before) == 88
    assert zoo.differences(before, in_sqlite(files.target)) == []


async def test_a_copy_of_what_the_async_saver_wrote(
    files: Any, tmp_path: Path, in_sqlite: Any, zoo: Any
) -> None:
    """AsyncSqliteSaver writes the same tables, and reads the copy."""
    original = tmp_path / "async.db"
    async with AsyncSqliteSaver.from_conn_string(str(original)) as saver:
        await asyncio.to_thread(zoo.run, saver)
        before = await asyncio.to_thread(zoo.held, saver)
    await files.copy(original)
    assert files.rows(files.target) == files.rows(original)
    async with AsyncSqliteSaver.from_conn_string(str(files.target)) as saver:
        after = await asyncio.to_thread(zoo.held, saver)
    assert len(after) == 88
    assert zoo.differences(before, after) == []


async def test_what_was_interrupted_goes_on_on_the_copy(
    files: Any, sqlite_zoo: Path, zoo: Any
) -> None:
    """Interrupts are answered, chats continued and deltas added to on the copy, and end as they
    do on the original."""
    await files.copy(sqlite_zoo)
    with SqliteSaver.from_conn_string(str(sqlite_zoo)) as saver:
        wanted = zoo.resume(saver)
    with SqliteSaver.from_conn_string(str(files.target)) as saver:
        came = zoo.resume(saver)
    assert zoo.differences(wanted, came) == []
    assert came["nested"][:2] == ({"answers": ["begun", "begun", "begun", "Ada:1"], "n": 1}, ())


@pytest.mark.parametrize("store", ["archive", "ndjson"])
async def test_through_an_archive_or_a_file_nothing_is_lost(
    store: str, files: Any, sqlite_zoo: Path, in_sqlite: Any, zoo: Any, tmp_path: Path
) -> None:
    """sqlite-saver to archive or ndjson and back, by the engine: the rows are the same bytes."""
    between = use(store, path=tmp_path / ("kept" if store == "archive" else "kept.ndjson.zst"))
    there = await run_async(use("sqlite-saver", path=sqlite_zoo), between)
    back = await run_async(between, use("sqlite-saver", path=files.target))
    count = len({thread_id for thread_id, _, _ in in_sqlite(sqlite_zoo)})
    for report in (there, back):
        assert (report.threads.listed, report.threads.written) == (count, count)
        assert (report.checkpoints.written, report.failures, report.losses) == (88, [], [])
    assert files.rows(files.target) == files.rows(sqlite_zoo)
    assert zoo.differences(in_sqlite(sqlite_zoo), in_sqlite(files.target)) == []


async def test_a_second_run_moves_what_changed(
    files: Any, sqlite_zoo: Path, zoo: Any, in_sqlite: Any
) -> None:
    """Only threads that went on are read and written again: answering an interrupt counts, though
    its writes belong to an old checkpoint."""
    source, sink = use("sqlite-saver", path=sqlite_zoo), use("sqlite-saver", path=files.target)
    first = await run_async(source, sink)
    again = await run_async(source, sink)
    assert (again.threads.unchanged, again.threads.written) == (first.threads.written, 0)
    with SqliteSaver.from_conn_string(str(sqlite_zoo)) as saver:
        changed = zoo.resume(saver)
    third = await run_async(source, sink)
    assert (third.threads.written, third.threads.failed) == (len(changed), 0)
    assert files.rows(files.target) == files.rows(sqlite_zoo)
    assert zoo.differences(in_sqlite(sqlite_zoo), in_sqlite(files.target)) == []


async def test_a_file_that_is_being_written_gives_one_moment(
    files: Any, sqlite_zoo: Path, zoo: Any, move: Callable[..., Any], in_sqlite: Any
) -> None:
    """What a graph writes while threads are read is not in the copy, not even in part; the file
    is not locked for it meanwhile, and its -wal is read."""
    shutil.copy(sqlite_zoo, files.folder / "before.db")
    with SqliteSaver.from_conn_string(str(sqlite_zoo)) as saver:
        zoo.put_checkpoint(saver, "in the log")  # not in the file itself yet
        before = zoo.held(saver)

        class Disturbed(SqliteSaverSource):
            async def read(self, refs: Any, context: Any) -> Any:
                async for item in super().read(refs, context):
                    yield item
                await asyncio.to_thread(zoo.put_checkpoint, saver, "chat")

        await move(Disturbed(files.source(sqlite_zoo).config), files.sink())
        assert len(zoo.held(saver)) > len(before)
    assert zoo.differences(before, in_sqlite(files.target)) == []


async def test_verify_compares_rows(files: Any, sqlite_zoo: Path) -> None:
    """Every row counts; tables that have no column for paths are not compared by them."""
    source, sink = use("sqlite-saver", path=sqlite_zoo), use("sqlite-saver", path=files.target)
    await run_async(source, sink)
    assert (await verify_async(source, sink)).equal
    older = files.folder / "older.db"
    shutil.copy(sqlite_zoo, older)
    files.script(older, "ALTER TABLE writes DROP COLUMN task_path")
    assert (await verify_async(use("sqlite-saver", path=older), sink)).equal
    files.query(files.target, "UPDATE writes SET value = x'01' WHERE channel = '__interrupt__'")
    found = await verify_async(source, sink)
    assert not found.equal
    assert found.threads.different == 5


async def test_ids_that_only_sqlite_holds(
    files: Any, tmp_path: Path, zoo: Any, in_sqlite: Any
) -> None:
    """Empty ones, and those with NUL, also where one is the beginning of another."""
    original = tmp_path / "ids.db"
    with SqliteSaver.from_conn_string(str(original)) as saver:
        for name in ("", "a", "a\0", "a\0b", "\0"):
            for namespace in ("", "\0", "b\0|c\0"):
                zoo.put_checkpoint(saver, name, namespace)
    between = use("archive", path=tmp_path / "kept")
    there = await run_async(use("sqlite-saver", path=original), between)
    back = await run_async(between, use("sqlite-saver", path=files.target))
    assert [one.threads.written for one in (there, back)] == [5, 5]
    assert files.rows(files.target) == files.rows(original)
    assert len(in_sqlite(files.target)) == 15
    assert zoo.differences(in_sqlite(original), in_sqlite(files.target)) == []
