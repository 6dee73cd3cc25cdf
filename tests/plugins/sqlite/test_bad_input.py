"""What can be wrong with a path, a file, a disk or a name: one clear line each, and no loss."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lgx import FatalError, IntegrityError, LgxError, Query, ThreadEnd, UsageError, encode_line
from lgx.testing import make_context
from lgx_plugins.sqlite import SqliteSink
from lgx_plugins.sqlite.config import SqliteConfig

EXPORT = Path(__file__).with_name("export.py")


async def _refusal(kind: type[LgxError], action: Callable[[], Awaitable[object]]) -> str:
    with pytest.raises(kind) as refused:
        await action()
    assert type(refused.value) is kind
    return str(refused.value)


async def test_a_directory_is_no_database(shop: Any) -> None:
    """Neither end takes one."""
    shop.path.mkdir()
    message = f"{str(shop.path)!r} is a directory; name a file in it"
    assert await _refusal(UsageError, lambda: shop.write(shop.thread("t"))) == message
    assert await _refusal(UsageError, shop.lines) == message
    assert shop.files() == ["threads.db"]


async def test_a_missing_directory_is_not_created(shop: Any) -> None:
    """The folder may be a slip of the pen, or a disk that is not mounted."""
    path = shop.path.parent / "none" / "threads.db"
    message = await _refusal(UsageError, lambda: shop.write(shop.thread("t"), path=path))
    assert message.startswith(f"the folder {str(path.parent)!r} does not exist; create it")
    assert shop.files() == []


async def test_a_missing_database_is_no_empty_one(shop: Any) -> None:
    """The source creates nothing."""
    message = f"there is no database {str(shop.path)!r}; correct --source-path"
    assert await _refusal(UsageError, shop.lines) == message
    assert shop.files() == []


@pytest.mark.parametrize("content", [b"x", b"{}" * 4000, b"SQLite format 3\0" + b"\xff" * 600])
async def test_another_sort_of_file_is_left_as_it_is(shop: Any, content: bytes) -> None:
    """It is not overwritten."""
    shop.path.write_bytes(content)
    message = f"{str(shop.path)!r} is not a SQLite database; name another file"
    assert await _refusal(UsageError, lambda: shop.write(shop.thread("t"))) == message
    assert await _refusal(UsageError, shop.lines) == message
    assert shop.path.read_bytes() == content
    assert shop.files() == ["threads.db"]


async def test_a_database_without_threads_is_not_read_as_empty(shop: Any) -> None:
    """The wrong file, or the wrong prefix."""
    shop.query("CREATE TABLE mine (x)")
    assert await _refusal(UsageError, shop.lines) == (
        f"{str(shop.path)!r} has no table 'langgraph_threads' of threads; "
        "choose another file or --source-table-prefix"
    )


async def test_a_damaged_database_is_named(shop: Any) -> None:
    """Pages overwritten by something else are found when they are read."""
    await shop.write(*(shop.thread(f"t{n}", checkpoints=20) for n in range(50)))
    size = shop.path.stat().st_size
    with shop.path.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xa5" * (size - 4096 * 4))
    message = await _refusal(IntegrityError, shop.lines)
    assert message.startswith(f"{str(shop.path)!r} is damaged (")
    assert message.endswith("repair a copy with: sqlite3 FILE .recover")


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("a\0b", "table-prefix 'a\\x00b' holds a character that no table name can; drop it"),
        ("\ud800", "table-prefix '\\ud800' holds a character that no table name can; drop it"),
        ("SQLite_", "table-prefix 'SQLite_' is reserved by SQLite; choose one without sqlite_"),
    ],
)
async def test_an_impossible_prefix_is_refused(shop: Any, prefix: str, message: str) -> None:
    """Before anything is opened."""
    write = await _refusal(UsageError, lambda: shop.write(shop.thread("t"), table_prefix=prefix))
    read = await _refusal(UsageError, lambda: shop.lines(table_prefix=prefix))
    assert (write, read) == (message, message)
    assert shop.files() == []


async def test_an_impossible_path_is_refused(shop: Any) -> None:
    """A configuration file may hold any character."""
    message = await _refusal(UsageError, lambda: shop.write(shop.thread("t"), path=Path("a\0b")))
    assert message == "path 'a\\x00b' holds a NUL character; correct it"


LOCKED = (
    "is locked by another program; end its transaction (or close it), then run again: "
    "what was committed stands, and the run goes on from there"
)


async def test_a_database_that_another_program_holds_is_waited_for_and_named(shop: Any) -> None:
    """At the begin and in the middle; what was written before stands, and the sink goes on."""
    await shop.write(shop.thread("a"))
    with closing(sqlite3.connect(shop.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        message = await _refusal(FatalError, lambda: shop.write(shop.thread("b")))
        assert message == f"{str(shop.path)!r} {LOCKED}"
        assert list(await shop.lines()) == ["a"]
        other.execute("ROLLBACK")
        async with shop.sink() as sink:
            await sink.write([shop.bundle(shop.thread("b"))], shop.context)
            other.execute("BEGIN IMMEDIATE")
            bundle = shop.bundle(shop.thread("c"))
            message = await _refusal(FatalError, lambda: sink.write([bundle], shop.context))
            assert message == f"{str(shop.path)!r} {LOCKED}"
            other.execute("ROLLBACK")
            await sink.write([bundle], shop.context)
    assert list(await shop.lines()) == ["a", "b", "c"]


async def test_a_short_lock_is_waited_out(shop: Any) -> None:
    """`busy_seconds` is how long."""
    await shop.write(shop.thread("a"))
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.readline(); "
        "c.execute('COMMIT')"
    )
    other = subprocess.Popen(  # noqa: ASYNC220 -- waits for its first line alone
        [sys.executable, "-c", program, str(shop.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    async with SqliteSink(SqliteConfig(path=shop.path, busy_seconds=60)) as sink:
        begun = asyncio.create_task(sink.begin(shop.run(), make_context()))
        await asyncio.sleep(0)
        other.communicate("go\n")
        await begun
        await sink.write([shop.bundle(shop.thread("b"))], shop.context)
    assert list(await shop.lines()) == ["a", "b"]


async def test_a_full_disk_ends_the_run_and_leaves_what_was_committed(shop: Any) -> None:
    """SQLite reports it; the batch is rolled back, and the next run goes on."""
    await shop.write(shop.thread("a"))
    async with shop.sink() as sink:
        connection = sink._open()
        await connection.execute_fetchall("PRAGMA max_page_count = 1")  # as many as there are
        bundles = [shop.bundle(shop.thread(f"b{n}", checkpoints=200)) for n in range(20)]
        message = await _refusal(FatalError, lambda: sink.write(bundles, shop.context))
        assert message == (
            f"{str(shop.path)!r} has no space left; free some on its disk, then run again: "
            "what was committed stands, and the run goes on from there"
        )
    assert await shop.lines() == {"a": list(map(encode_line, shop.thread("a")))}
    assert shop.query("PRAGMA integrity_check") == [("ok",)]
    await shop.write(shop.thread("b"))
    assert list(await shop.lines()) == ["a", "b"]


def _export(path: Path, *more: str) -> tuple[int, list[str]]:
    process = subprocess.run(
        [sys.executable, str(EXPORT), str(path), *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr == ""
    return process.returncode, process.stdout.splitlines()


async def test_a_limit_on_file_sizes_is_a_full_disk(shop: Any) -> None:
    """The write that fails ends the run; whole batches stand, and the next run adds the rest."""
    code, lines = _export(shop.path, "2000", str(1 << 20))
    assert code == 1
    assert lines[-1] == (
        f"FatalError: {str(shop.path)!r} could not be read or written (disk I/O error): its disk "
        "is full or failing, or a limit on file sizes was reached; see to that, then run again"
    )
    assert shop.query("PRAGMA integrity_check") == [("ok",)]
    done = len(lines) - 1
    assert done > 0
    assert len(await shop.lines()) == 100 * done
    assert _export(shop.path, "2000")[0] == 0
    assert len(await shop.lines()) == 2000


@pytest.mark.parametrize("what", ["file", "directory"])
async def test_a_target_that_may_not_be_written_is_named(shop: Any, what: str) -> None:
    """The bits of the file or of its directory say so, for anybody but root; reading works."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "threads.db"
        await shop.write(shop.thread("t"), path=path)
        before = path.read_bytes()
        path.chmod(0o444 if what == "file" else 0o666)
        path.parent.chmod(0o777 if what == "file" else 0o555)
        with _not_root():
            message = await _refusal(UsageError, lambda: shop.write(shop.thread("u"), path=path))
            lines = await shop.lines(path=path)
        path.parent.chmod(0o755)
        if what == "file":
            assert message == (
                f"{str(path)!r} cannot be written: the file or its directory is read-only; "
                "change its mode, or write elsewhere"
            )
        else:
            assert message == (
                f"the folder {str(path.parent)!r} cannot be written to: permission denied; "
                "write elsewhere, or run as its owner"
            )
        assert lines == {"t": list(map(encode_line, shop.thread("t")))}
        assert path.read_bytes() == before
        assert [path.name for path in path.parent.iterdir()] == ["threads.db"]


async def test_a_database_that_may_not_be_locked_is_watched(shop: Any) -> None:
    """Who may not write cannot hold a moment fast: a change in between ends the run."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "threads.db"
        await shop.write(shop.thread("t"), path=path)
        path.parent.chmod(0o755)
        path.chmod(0o444)
        async with AsyncExitStack() as stack:
            with _not_root():
                source = await stack.enter_async_context(shop.source(path=path))
            refs = [ref async for ref in source.list(Query(), shop.context)]
            items = [item async for item in source.read(refs, shop.context)]
            assert isinstance(items[-1], ThreadEnd)
            os.utime(path)
            with pytest.raises(FatalError, match="was changed while it was read"):
                async for _ in source.read(refs, shop.context):
                    pass
        assert [path.name for path in path.parent.iterdir()] == ["threads.db"]


@contextmanager
def _not_root() -> Iterator[None]:
    """Root may write anywhere: it takes another user's part meanwhile."""
    before = os.geteuid()
    if before:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)
