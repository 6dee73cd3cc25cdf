"""`lgx verify` of exact copies of the whole zoo, between all layouts that can hold it."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

import lgx
from lgx import Use

HELD: dict[str, Any] = {}
"""What the plugin `saver` is given: it asks for a function of a module."""


def held_saver() -> Any:
    """For the plugin `saver`."""
    return HELD["saver"]


@pytest.fixture
def new_copy(new_store: Callable[[], Any], tmp_path: Path) -> Callable[[str], Use]:
    """An empty place of a layout."""

    def make(layout: str) -> Use:
        if layout == "postgres":
            return lgx.use("postgres-saver", dsn=new_store().dsn)
        if layout == "sqlite":
            return lgx.use("sqlite-saver", path=tmp_path / "copy.db")
        HELD["saver"] = InMemorySaver()
        sys.modules.setdefault(__name__, sys.modules[held_saver.__module__])
        return lgx.use("saver", factory=f"{__name__}:held_saver")

    return make


async def copied(source: Use, sink: Use) -> None:
    options = {"allow_modules": ("all",)} if sink.name == "saver" else {}
    report = await lgx.run_async(source, lgx.use(sink.name, **{**sink.options, **options}))
    assert (report.failures, report.threads.written) == ([], 28)


async def assert_equal(source: Use, sink: Use) -> None:
    for one, other in ((source, sink), (sink, source)):
        found = await lgx.verify_async(one, other)
        assert found.differences == []
        assert (found.exit_code, found.level, found.threads.equal) == (0, "contents", 28)


@pytest.mark.parametrize("layout", ["postgres", "saver"])
async def test_copies_of_sqlite(
    layout: str, sqlite_zoo: Path, new_copy: Callable[[str], Use]
) -> None:
    """Whichever checkpoints share a snapshot there: it lies at one of them here."""
    source, sink = lgx.use("sqlite-saver", path=sqlite_zoo), new_copy(layout)
    await copied(source, sink)
    await assert_equal(source, sink)


@pytest.mark.parametrize("layout", ["sqlite", "saver"])
async def test_copies_of_postgres(layout: str, filled: Any, new_copy: Callable[[str], Use]) -> None:
    source, sink = lgx.use("postgres-saver", dsn=filled.dsn), new_copy(layout)
    await copied(source, sink)
    await assert_equal(source, sink)


async def test_a_changed_snapshot_is_found(
    sqlite_zoo: Path, new_copy: Callable[[str], Use]
) -> None:
    """At every checkpoint that shares it."""
    source, sink = lgx.use("sqlite-saver", path=sqlite_zoo), new_copy("postgres")
    await copied(source, sink)
    with closing(sqlite3.connect(sqlite_zoo)) as connection, connection:
        rows = connection.execute(
            "SELECT rowid, checkpoint FROM checkpoints WHERE thread_id = 'delta'"
        ).fetchall()
        changed = [
            (value.replace(b"line 0", b"line X"), rowid)
            for rowid, value in rows
            if b"line 0" in value
        ]
        assert changed
        connection.executemany("UPDATE checkpoints SET checkpoint = ? WHERE rowid = ?", changed)

    found = await lgx.verify_async(source, sink)

    (difference,) = found.differences
    assert difference.thread_id == "delta"
    assert difference.fields == ("values.log",)
    assert (found.exit_code, found.checkpoints.different) == (1, difference.checkpoints)
    assert difference.checkpoints > len(changed)


@pytest.mark.parametrize("file", ["archive", "ndjson"])
async def test_rows_in_a_file_are_compared_in_the_way_that_is_said(
    file: str, sqlite_zoo: Path, new_copy: Callable[[str], Use], tmp_path: Path
) -> None:
    """A file cannot say what its rows do: it is copied into the layout of the other side."""
    source, between = (
        lgx.use("sqlite-saver", path=sqlite_zoo),
        lgx.use(file, path=tmp_path / "file"),
    )
    sink, again = new_copy("postgres"), new_copy("postgres")
    for one, other in ((source, between), (source, sink), (between, again)):
        await copied(one, other)

    for sides in ((between, sink), (sink, between)):
        refused = await lgx.verify_async(*sides)
        assert (refused.exit_code, refused.level) == (4, None)
        assert str(refused.aborted).endswith(
            f"; copy {file} into an empty place of postgres-saver's kind (lgx run), and compare "
            "that copy in its place"
        )
    found = await lgx.verify_async(again, sink)
    assert found.differences == []
    assert (found.exit_code, found.level) == (0, "rows")
