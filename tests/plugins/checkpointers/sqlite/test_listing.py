"""The list of threads: versions that cover every row, and filters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from msgspec import Raw

from lgx import (
    Query,
    UsageError,
)
from lgx.testing import make_context

_CHANGES = [
    "UPDATE checkpoints SET checkpoint = x'81' WHERE thread_id = 't' AND checkpoint_id = 'c0'",
    "UPDATE checkpoints SET metadata = CAST('{}' AS BLOB) WHERE checkpoint_id = 'c0'",
    "UPDATE checkpoints SET metadata = NULL WHERE checkpoint_id = 'c0'",
    "UPDATE checkpoints SET parent_checkpoint_id = 'c9' WHERE checkpoint_id = 'c1'",
    "UPDATE checkpoints SET type = NULL WHERE checkpoint_id = 'c1'",
    "DELETE FROM checkpoints WHERE checkpoint_id = 'c0'",
    "UPDATE writes SET value = x'00' WHERE checkpoint_id = 'c0'",
    "UPDATE writes SET idx = -4 WHERE checkpoint_id = 'c0'",
    "UPDATE writes SET channel = '__resume__' WHERE checkpoint_id = 'c0'",
    "UPDATE writes SET checkpoint_ns = 'x' WHERE checkpoint_id = 'c0'",
    "DELETE FROM writes WHERE checkpoint_id = 'c1'",
    "INSERT INTO writes VALUES ('t', '', 'c0', 'task', 1, 'in', 'null', x'')",
]


@pytest.mark.parametrize("change", _CHANGES)
async def test_a_version_covers_every_row(
    change: str, files: Any, thread_rows: Callable[..., str], tmp_path: Path
) -> None:
    """Whatever changes in a thread's rows, its version does, and no other's."""
    path = files.script(tmp_path / "x.db", files.older_tables + thread_rows("t") + thread_rows("s"))
    files.query(
        path, "UPDATE checkpoints SET checkpoint_id = 'd' || checkpoint_id WHERE thread_id = 's'"
    )
    files.query(
        path, "UPDATE writes SET checkpoint_id = 'd' || checkpoint_id WHERE thread_id = 's'"
    )
    before = {ref.thread_id: ref.version for ref in await files.refs(path)}
    assert before == {ref.thread_id: ref.version for ref in await files.refs(path)}
    files.query(path, change)
    after = {ref.thread_id: ref.version for ref in await files.refs(path)}
    assert before["t"] != after["t"]
    assert before["s"] == after["s"]


async def test_bringing_a_file_up_to_date_changes_no_version(
    files: Any, thread_rows: Callable[..., str], tmp_path: Path
) -> None:
    """The column that a newer saver adds, and VACUUM, are no reason to copy everything again."""
    path = files.script(tmp_path / "x.db", files.older_tables + thread_rows("t", 5))
    (before,) = await files.refs(path)
    with SqliteSaver.from_conn_string(str(path)) as saver:
        saver.setup()
    files.script(path, "VACUUM")
    (after,) = await files.refs(path)
    assert after.version == before.version


async def test_writes_without_a_checkpoint_are_a_thread(files: Any, tmp_path: Path) -> None:
    """They may be there before their checkpoint is."""
    path = files.script(
        tmp_path / "x.db",
        files.older_tables
        + "INSERT INTO writes VALUES ('early', '', 'c', 't', 0, 'in', 'null', x'')",
    )
    (outcome,) = await files.copy(path)
    assert (outcome.thread_id, outcome.error) == ("early", None)
    assert len(files.rows(files.target)["writes"]) == 1


async def test_threads_are_chosen_by_id_time_and_metadata(
    files: Any, sqlite_zoo: Path, in_sqlite: Any
) -> None:
    """Time and metadata are those of the latest checkpoint of the root namespace."""

    async def chosen(**options: Any) -> set[str]:
        return {ref.thread_id for ref in await files.refs(sqlite_zoo, Query(**options))}

    held = in_sqlite(sqlite_zoo)
    everything = {thread_id for thread_id, _, _ in held}
    assert await chosen() == everything
    assert await chosen(thread_ids=("chat", "nope", "CASE")) == {"chat", "CASE"}
    assert await chosen(thread_ids=("nope",)) == set()
    assert await chosen(thread_ids=("\ud800",)) == set()
    many = tuple(f"id {n}" for n in range(700))
    assert await chosen(thread_ids=(*many, "chat")) == {"chat"}
    latest = {
        thread_id: max((key for key in held if key[:2] == (thread_id, "")), default=None)
        for thread_id in everything
    }
    heads = {name: held[key] for name, key in latest.items() if key is not None}
    named = {name for name, head in heads.items() if head.metadata.get("user") == "Zoë"}
    assert {"chat"} < named < everything
    assert await chosen(metadata={"user": Raw('"Zoë"'.encode())}) == named
    times = {name: head.checkpoint["ts"] for name, head in heads.items()}
    middle = times["nested"]
    assert await chosen(since=middle) == {name for name, time in times.items() if time >= middle}
    assert await chosen(until=middle) == {name for name, time in times.items() if time < middle}


async def test_a_status_cannot_be_asked_for(files: Any, sqlite_zoo: Path) -> None:
    """A checkpointer keeps none, and says so."""
    with pytest.raises(UsageError, match="keeps no status"):
        await files.refs(sqlite_zoo, Query(status="idle"))


@pytest.mark.parametrize(
    ("type_", "blob", "words"),
    [
        ("msgpack+aes", b"x" * 40, "is encrypted"),
        ("msgpack", b"\x82\xa2ts", "does not tell its time"),
        ("msgpack", b"\x93\x01\x02\x03", "does not tell its time"),
        ("msgpack", b"\x81\xa2tx" + b"\x91" * 5000, "does not tell its time"),
        ("msgpack", None, "does not tell its time"),
        ("json", b'{"ts": 5}', "does not tell its time"),
        ("pickle", b"\x80\x04N.", "does not tell its time"),
        ("msgpack", b"\x81\xa2ts\xa5today", "is not a time"),
    ],
)
async def test_a_thread_whose_time_cannot_be_told_is_listed_as_lost(
    type_: str, blob: bytes | None, words: str, files: Any, tmp_path: Path
) -> None:
    """Where a window of time is asked for, and nowhere else: it might lie in it."""
    path = files.script(tmp_path / "x.db", files.older_tables)
    for thread_id, content in (("t", blob), ("u", b"\x81\xa2ts\xaa2026-01-01")):
        files.query(
            path,
            "INSERT INTO checkpoints VALUES (?, '', 'c', NULL, ?, ?, NULL)",
            (thread_id, type_ if thread_id == "t" else "msgpack", content),
        )
    assert {ref.thread_id for ref in await files.refs(path)} == {"t", "u"}
    loss, ref = await files.refs(path, Query(since="2025-01-01"))
    assert (loss.thread_id, loss.what, ref.thread_id) == ("t", "thread", "u")
    assert words in loss.why


async def test_time_is_found_wherever_it_stands(files: Any, tmp_path: Path) -> None:
    """After values of every sort, and in the older form."""
    path = files.script(tmp_path / "x.db", files.older_tables)
    values = b"\x83\xa1v\x04\xaechannel_values\x82\x01\xc7\x03\x05abc\xc4\x01x\x91\xc0"
    documents = {
        "a": ("msgpack", values + b"\xa2ts\xaa2026-01-01"),
        "b": ("json", b'{"channel_values": {"x": [1e400]}, "ts": "2026-01-01"}'),
        "c": ("msgpack", values + b"\xa2ts\xaa2024-01-01"),
        "d": ("msgpack", b"\x81\xa1v\x04"),
    }
    for name, (type_, blob) in documents.items():
        files.query(
            path,
            "INSERT INTO checkpoints VALUES (?, '', 'c', NULL, ?, ?, NULL)",
            (name, type_, blob),
        )
    found = await files.refs(path, Query(since="2025-01-01"))
    assert [ref.thread_id for ref in found] == ["a", "b"]


async def test_the_list_holds_no_room_while_it_waits(files: Any, sqlite_zoo: Path) -> None:
    """Whoever takes the threads may need that room to read them."""
    context = make_context()
    async with files.source(sqlite_zoo) as source:
        async for _ in source.list(Query(), context):
            assert context.budget.used == 0
    assert context.progress.received > 100_000
