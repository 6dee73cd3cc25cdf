"""Scratch space: what happens where the disk that holds temporary files is full or missing."""

from __future__ import annotations

import resource
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lgx import FatalError
from lgx_plugins.archive.index import Entry, Frame, IndexHead
from lgx_plugins.archive.threads import ThreadTable
from lgx_plugins.scratch import Scratch, ScratchDatabase

CREATE = "CREATE TABLE kept (key BLOB PRIMARY KEY) WITHOUT ROWID"


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Files cannot grow past `size`, which fails as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def many() -> Iterator[tuple[bytes]]:
    for number in range(200):
        yield (b"%08d" % number + bytes(50_000),)


def test_a_database_keeps_what_is_put_into_it() -> None:
    """Also past what memory may hold of it."""
    database = ScratchDatabase(CREATE, cache=1 << 20)
    database.insert("INSERT INTO kept VALUES (?)", many())
    assert database.rows("SELECT count(*), sum(length(key)) FROM kept") == [(200, 200 * 50_008)]
    assert database.row("SELECT key FROM kept WHERE key = x'00'") is None
    with database.together():
        assert database.execute("INSERT OR IGNORE INTO kept VALUES (?)", (b"new",)) == 1
        assert database.execute("INSERT OR IGNORE INTO kept VALUES (?)", (b"new",)) == 0
    assert database.row("SELECT count(*) FROM kept") == (201,)
    database.close()
    database.close()


def test_a_database_that_has_no_room_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    database = ScratchDatabase(CREATE, cache=1 << 20)
    with limited(1 << 20), pytest.raises(FatalError) as caught:
        database.insert("INSERT INTO kept VALUES (?)", many())
    database.close()
    assert str(caught.value).startswith("a temporary database cannot be kept (")
    assert str(caught.value).endswith(
        f"see that there is free room in the temporary directory {str(tmp_path)!r}, "
        "or set TMPDIR to another one"
    )


def test_a_mistake_in_a_statement_is_not_taken_for_a_full_disk() -> None:
    database = ScratchDatabase(CREATE)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        database.rows("SELECT * FROM absent")
    database.close()


def test_the_threads_of_an_archive_that_have_no_room_end_the_run() -> None:
    """More entries than its cache holds, while no file can grow."""
    entries = [
        Entry(thread_id=f"{number:06}" + "x" * 500, bytes=0, sha256="") for number in range(40_000)
    ]
    head = IndexHead(part="p", frames=(Frame(0, 0, 0),))
    table = ThreadTable()
    with limited(1 << 20), pytest.raises(FatalError, match="a temporary database cannot be kept"):
        table.add(0, 1, head, entries)
    table.close()


@pytest.mark.parametrize("size", [1000, 8 << 20])
def test_pieces_that_have_no_room_say_so(size: int) -> None:
    """When they are written, or where bytes still waited when they are read."""
    scratch = Scratch()
    with limited(1 << 20), pytest.raises(FatalError, match="is larger than files may be here"):
        chain = 0
        for _ in range((16 << 20) // size):
            chain = scratch.append(bytes(size), chain)
            scratch.last(chain)
    scratch.close()


def test_pieces_without_a_temporary_directory_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    scratch = Scratch()
    with pytest.raises(FatalError, match=r"absent' does not exist; create it"):
        scratch.append(bytes(8 << 20))
    scratch.close()
