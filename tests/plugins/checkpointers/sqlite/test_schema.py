"""The tables are those that the installed SqliteSaver makes, or those that stand there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from lgx import Loss, UsageError
from lgx.testing import make_context

_PRAGMAS = (
    "journal_mode",
    "user_version",
    "application_id",
    "encoding",
    "page_size",
    "auto_vacuum",
    "foreign_key_list(checkpoints)",
    "foreign_key_list(writes)",
    "table_xinfo(checkpoints)",
    "table_xinfo(writes)",
    "index_xinfo(sqlite_autoindex_checkpoints_1)",
    "index_xinfo(sqlite_autoindex_writes_1)",
)


def _schema(files: Any, path: Path) -> list[Any]:
    """Everything but lgx's marks."""
    found = [
        (kind, name, table, " ".join(sql.split()) if sql else None)
        for kind, name, table, sql in files.query(
            path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        )
        if table != "lgx_marks"
    ]
    return [*found, *(files.query(path, f"PRAGMA {pragma}") for pragma in _PRAGMAS)]


async def _begin(files: Any, run_of: Any, path: Path, **options: Any) -> None:
    async with files.sink(path, **options) as sink:
        await sink.begin(run_of(), make_context())


async def test_the_tables_are_those_of_the_installed_saver(
    files: Any, run_of: Any, tmp_path: Path
) -> None:
    """Tables, columns, types, defaults, keys and settings, to the letter of their definition."""
    with SqliteSaver.from_conn_string(str(tmp_path / "theirs.db")) as saver:
        saver.setup()
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "async.db")) as other:
        await other.setup()
    await _begin(files, run_of, files.target)
    assert _schema(files, files.target) == _schema(files, tmp_path / "theirs.db")
    assert _schema(files, files.target) == _schema(files, tmp_path / "async.db")
    marks = "SELECT name FROM sqlite_master WHERE tbl_name = 'lgx_marks' AND type = 'table'"
    assert files.query(files.target, marks) == [("lgx_marks",)]


async def test_setup_finds_nothing_to_do(files: Any, sqlite_zoo: Path) -> None:
    """The saver's own setup() on a copy changes nothing."""
    await files.copy(sqlite_zoo)
    before = _schema(files, files.target), files.rows(files.target)
    with SqliteSaver.from_conn_string(str(files.target)) as saver:
        saver.setup()
    assert (_schema(files, files.target), files.rows(files.target)) == before


async def test_a_file_in_use_keeps_what_it_has(
    files: Any, sqlite_zoo: Path, zoo: Any, in_sqlite: Any
) -> None:
    """A file with threads and tables of others takes more threads; those that it had stay, and
    its saver may be open meanwhile."""
    with SqliteSaver.from_conn_string(str(files.target)) as saver:
        zoo.put_checkpoint(saver, "mine")
        await asyncio.to_thread(files.script, files.target, "CREATE TABLE other (a); ")
        await files.copy(sqlite_zoo)
        zoo.put_checkpoint(saver, "mine too")
        held = zoo.held(saver)
    wanted = in_sqlite(sqlite_zoo)
    assert {key[0] for key in held} - {key[0] for key in wanted} == {"mine", "mine too"}
    assert zoo.differences(wanted, {key: held[key] for key in wanted}) == []


async def test_tables_without_task_path_take_what_they_can(
    files: Any, sqlite_zoo: Path, in_sqlite: Any, zoo: Any
) -> None:
    """A file of an older saver gets the rows without their paths; those that had one are listed,
    and such a thread is not marked, so that it comes again once the file was brought up to date."""
    files.script(files.target, files.older_tables)
    outcomes = {one.thread_id: one for one in await files.copy(sqlite_zoo)}
    (loss,) = outcomes["chat"].losses
    assert isinstance(loss, Loss)
    assert (loss.holdable, loss.what) == (True, "task_path of 15 writes")
    assert "3.1.2" in loss.why
    assert files.query(files.target, "SELECT count(version) FROM lgx_marks") == [(0,)]

    def without(path: Path) -> list[Any]:
        return [row[:-2] for row in files.rows(path)["writes"]]

    there = sorted(files.rows(files.target)["writes"])
    assert there == sorted(without(sqlite_zoo))
    with SqliteSaver.from_conn_string(str(files.target)) as saver:
        saver.setup()  # adds the column
    assert {one.losses for one in await files.copy(sqlite_zoo)} == {()}
    assert files.rows(files.target) == files.rows(sqlite_zoo)
    assert zoo.differences(in_sqlite(sqlite_zoo), in_sqlite(files.target)) == []


async def test_tables_that_are_not_a_savers_are_refused(
    files: Any, run_of: Any, tmp_path: Path
) -> None:
    """A table of that name with other columns is left alone."""
    files.script(files.target, "CREATE TABLE checkpoints (a); CREATE TABLE writes (b)")
    before = files.target.read_bytes()
    with pytest.raises(UsageError, match="no column 'thread_id'"):
        await _begin(files, run_of, files.target)
    assert files.query(files.target, "SELECT name FROM sqlite_master") == [
        ("checkpoints",),
        ("writes",),
    ]
    assert len(before) == len(files.target.read_bytes())
    lacking = tmp_path / "lacking.db"
    files.script(lacking, files.older_tables.replace("metadata BLOB,", ""))
    with pytest.raises(UsageError, match=r"no checkpoints\.metadata"):
        await _begin(files, run_of, lacking)
