"""`lgx verify` between checkpointers of different layouts, and what was made of them."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

import lgx
from lgx import Secret, Verification
from lgx.cli import main

KEY = "0123456789abcdef"

HELD: dict[str, Any] = {}
"""What the source `saver` is given: it asks for a function of a module."""


def held_saver() -> Any:
    """For the plugin `saver`."""
    return HELD["saver"]


@pytest.fixture
async def copied(filled: Any, tmp_path: Path) -> tuple[Any, Path]:
    """The zoo in PostgreSQL, and the copy of it in SQLite."""
    path = tmp_path / "copy.db"
    report = await lgx.run_async(
        lgx.use("postgres-saver", dsn=filled.dsn), lgx.use("sqlite-saver", path=path)
    )
    assert report.exit_code == 0
    return lgx.use("postgres-saver", dsn=filled.dsn), path


async def verified(source: Any, path: Path) -> Verification:
    return await lgx.verify_async(source, lgx.use("sqlite-saver", path=path))


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0


async def test_an_exact_copy_in_another_layout_is_equal(copied: tuple[Any, Path]) -> None:
    """Every type and every write counts; where a value lies does not."""
    source, path = copied
    found = await verified(source, path)
    assert found.differences == []
    assert (found.exit_code, found.level, found.equal) == (0, "contents", True)
    assert found.threads.equal == 28
    assert found.checkpoints.equal > 80
    assert found.source is not None
    assert found.sink is not None
    assert found.source.digest == found.sink.digest


async def test_a_copy_by_the_interface_is_equal_to_its_tables(copied: tuple[Any, Path]) -> None:
    """As far as the interface shows them: paths of tasks it does not."""
    _, path = copied
    HELD["saver"] = InMemorySaver()
    sys.modules.setdefault(__name__, sys.modules[held_saver.__module__])
    saver = lgx.use("saver", factory=f"{__name__}:held_saver")
    options = {"allow_modules": ("all",)}
    into = lgx.use("saver", factory=f"{__name__}:held_saver", **options)
    report = await lgx.run_async(lgx.use("sqlite-saver", path=path), into)
    assert report.failures == []
    found = await lgx.verify_async(lgx.use("sqlite-saver", path=path), saver)
    assert found.differences == []
    assert (found.exit_code, found.level) == (0, "contents")
    assert [left.what for left in found.left_out] == [
        "task_paths of checkpoint records of the source, sqlite-saver"
    ]


async def test_a_changed_value_is_found(copied: tuple[Any, Path]) -> None:
    """One byte of one channel of one checkpoint."""
    source, path = copied
    with closing(sqlite3.connect(path)) as connection, connection:
        key, value = connection.execute(
            "SELECT checkpoint_id, checkpoint FROM checkpoints WHERE thread_id = 'chat' "
            "ORDER BY checkpoint_id DESC LIMIT 1"
        ).fetchone()
        assert value.count(b"said hello 1") == 1
        connection.execute(
            "UPDATE checkpoints SET checkpoint = ? WHERE checkpoint_id = ?",
            (value.replace(b"said hello 1", b"said hullo 1"), key),
        )
    found = await verified(source, path)
    (difference,) = found.differences
    assert (difference.thread_id, difference.checkpoint_id) == ("chat", key)
    assert difference.fields == ("values.messages",)
    assert found.exit_code == 1


async def test_a_value_of_another_type_is_found(copied: tuple[Any, Path]) -> None:
    """A state shows sets and lists alike; here they differ."""
    source, path = copied
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute(
            "SELECT rowid, checkpoint FROM checkpoints WHERE thread_id = 'values'"
        ).fetchall()
        for rowid, value in rows:
            changed = value.replace(b"\xa8builtins\xa3set", b"\xa8builtins\xa3str")
            connection.execute(
                "UPDATE checkpoints SET checkpoint = ? WHERE rowid = ?", (changed, rowid)
            )
    found = await verified(source, path)
    (difference,) = found.differences
    assert difference.thread_id == "values"
    assert "values.labels" in difference.fields


async def test_other_channels_that_a_step_has_changed_are_found(copied: tuple[Any, Path]) -> None:
    """LangGraph looks at them when it goes on: another name there is another thread."""
    source, path = copied
    with closing(sqlite3.connect(path)) as connection, connection:
        key, value = connection.execute(
            "SELECT checkpoint_id, checkpoint FROM checkpoints WHERE thread_id = 'chat' "
            "ORDER BY checkpoint_id DESC LIMIT 1"
        ).fetchone()
        before, name, after = value.partition(b"updated_channels")
        assert after.count(b"messages") == 1
        changed = before + name + after.replace(b"messages", b"mossages")
        connection.execute(
            "UPDATE checkpoints SET checkpoint = ? WHERE checkpoint_id = ?", (changed, key)
        )
    found = await verified(source, path)
    (difference,) = found.differences
    assert (difference.thread_id, difference.fields) == ("chat", ("updated_channels",))
    assert found.exit_code == 1


async def test_a_lost_write_is_found(copied: tuple[Any, Path]) -> None:
    """Values and next look right without it: only what would be resumed is another."""
    source, path = copied
    change(path, "DELETE FROM writes WHERE thread_id = 'interrupted' AND channel = '__interrupt__'")
    found = await verified(source, path)
    (difference,) = found.differences
    assert difference.thread_id == "interrupted"
    assert difference.fields == ("pending_writes", "task_paths")


async def test_a_lost_namespace_is_found(copied: tuple[Any, Path]) -> None:
    """What a naive copy folds into the root is missing."""
    source, path = copied
    change(
        path,
        "DELETE FROM checkpoints WHERE thread_id = 'nested' AND checkpoint_ns LIKE '%|inner:%'",
        "DELETE FROM writes WHERE thread_id = 'nested' AND checkpoint_ns LIKE '%|inner:%'",
    )
    found = await verified(source, path)
    (difference,) = found.differences
    assert difference.thread_id == "nested"
    assert difference.namespace is not None
    assert "|inner:" in difference.namespace
    assert found.checkpoints.missing == difference.checkpoints > 0


async def test_within_one_layout_rows_are_compared(copied: tuple[Any, Path]) -> None:
    """Byte by byte: another order in a set is a difference there."""
    _, path = copied
    other = path.with_name("other.db")
    await lgx.run_async(lgx.use("sqlite-saver", path=path), lgx.use("sqlite-saver", path=other))
    found = await verified(lgx.use("sqlite-saver", path=path), other)
    assert (found.exit_code, found.level) == (0, "rows")


@pytest.mark.parametrize("name", ["ndjson", "archive", "sqlite"])
async def test_an_export_of_states_is_compared_with_its_checkpointer(
    name: str, sqlite_zoo: Path, tmp_path: Path
) -> None:
    """The checkpointer is asked for states, once the file has turned out to have these alone."""
    source = lgx.use("sqlite-saver", path=sqlite_zoo)
    sink = lgx.use(name, path=tmp_path / f"states.{name}")
    await lgx.run_async(source, sink, fidelity="state")
    found = await lgx.verify_async(source, sink)
    assert found.differences == []
    assert (found.exit_code, found.level) == (0, "states")
    change(sqlite_zoo, "DELETE FROM writes WHERE thread_id = 'failed' AND channel = '__error__'")
    found = await lgx.verify_async(source, sink)
    (difference,) = found.differences
    assert (difference.thread_id, found.exit_code) == ("failed", 1)
    assert "tasks" in difference.fields


async def test_encrypted_threads_are_compared_with_their_key(
    new_store: Callable[[], Any], tmp_path: Path, zoo: Any
) -> None:
    """Each side is given it by its own option; without it the thread is unread, not different."""
    store, path = new_store(), tmp_path / "copy.db"
    with store.saver() as saver:
        saver.serde = EncryptedSerializer.from_pycryptodome_aes(key=KEY.encode())
        zoo.put_checkpoint(saver, "one", "ns")
    key = Secret(KEY)
    source = lgx.use("postgres-saver", dsn=store.dsn, aes_key=key)
    await lgx.run_async(source, lgx.use("sqlite-saver", path=path, aes_key=key))
    found = await lgx.verify_async(source, lgx.use("sqlite-saver", path=path, aes_key=key))
    assert (found.exit_code, found.level) == (0, "contents")
    found = await lgx.verify_async(source, lgx.use("sqlite-saver", path=path))
    assert found.exit_code != 0
    assert "LANGGRAPH_AES_KEY" in str(found.aborted) + str(found.differences)


def test_the_level_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], zoo: Any) -> None:
    """One line of the output tells how far the comparison went."""
    with SqliteSaver.from_conn_string(str(tmp_path / "one.db")) as saver:
        zoo.put_checkpoint(saver, "one")
    ends = ["--source", "sqlite-saver", "--source-path", str(tmp_path / "one.db")]
    file = ["--sink", "ndjson", "--sink-path", str(tmp_path / "states.ndjson")]
    assert main(["run", *ends, *file, "--fidelity", "state", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["verify", *ends, *file]) == 0
    assert "  compared      states, as the API shows them" in capsys.readouterr().out.split("\n")
