"""Rows of every sort find their place, or are named; files are private, and free afterwards."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from msgspec import Raw

from lgx import (
    Bundle,
    ChannelBlob,
    CheckpointWrite,
    FatalError,
    Loss,
    Mark,
    RawCheckpoint,
    Record,
    Secret,
    Thread,
    ThreadRef,
    UsageError,
    WriteOutcome,
)
from lgx.testing import make_context

_KEY = b"0123456789abcdef"


def _checkpoint(thread_id: str = "t", checkpoint_id: str = "c", **fields: Any) -> RawCheckpoint:
    known: dict[str, Any] = {"type": "msgpack", "blob": b"\x80", "metadata": Raw(b"{}"), **fields}
    return RawCheckpoint(
        thread_id=thread_id, checkpoint_ns="", checkpoint_id=checkpoint_id, **known
    )


def _write(thread_id: str = "t", **fields: Any) -> CheckpointWrite:
    known: dict[str, Any] = {"idx": 0, "channel": "x", "type": "null", "blob": b"", **fields}
    return CheckpointWrite(
        thread_id=thread_id, checkpoint_ns="", checkpoint_id="c", task_id="task", **known
    )


async def _store(
    files: Any, run_of: Any, *threads: Sequence[Record], ids: Sequence[str] = (), **options: Any
) -> list[WriteOutcome]:
    context = make_context()
    bundles = []
    for number, records in enumerate(threads):
        spool = context.spool()
        spool.extend(records)
        thread_id = ids[number] if ids else getattr(records[0], "thread_id", "")
        ref = ThreadRef(thread_id=thread_id, version="1")
        mark = Mark(version="1", fingerprint="f", checkpoints=spool.checkpoints)
        bundles.append(Bundle(spool, ref=ref, mark=mark))
    async with files.sink(**options) as sink:
        await sink.begin(run_of(), make_context())
        outcomes = list(await sink.write(bundles, context))
        await sink.finish(context)
    for bundle in bundles:
        bundle.close()
    assert context.budget.used == 0
    return outcomes


async def test_cells_arrive_as_they_are(files: Any, run_of: Any) -> None:
    """NULL is not empty, ids may hold NUL, and metadata that is no JSON keeps its bytes."""
    (outcome,) = await _store(
        files,
        run_of,
        [
            _checkpoint("a\0b", "c1", type=None, blob=None, metadata=msgspec.UNSET),
            _checkpoint("a\0b", "c2", metadata=msgspec.UNSET, metadata_blob=b'{"x": NaN}\n'),
            _checkpoint("a\0b", "", parent_checkpoint_id="", blob=b""),
            _write("a\0b", type=None, blob=None, idx=-(2**63), task_path="~\0"),
            _write("a\0b", idx=2**63 - 1, channel=""),
        ],
    )
    assert (outcome.error, outcome.losses) == (None, ())
    with closing(sqlite3.connect(files.target)) as connection:
        rows = connection.execute("SELECT * FROM checkpoints ORDER BY 3").fetchall()
        writes = connection.execute("SELECT * FROM writes ORDER BY idx").fetchall()
    assert rows == [
        ("a\0b", "", "", "", "msgpack", b"", b"{}"),
        ("a\0b", "", "c1", None, None, None, None),
        ("a\0b", "", "c2", None, "msgpack", b"\x80", b'{"x": NaN}\n'),
    ]
    assert writes == [
        ("a\0b", "", "c", "task", "~\0", -(2**63), "x", None, None),
        ("a\0b", "", "c", "task", "", 2**63 - 1, "", "null", b""),
    ]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([_checkpoint(), _checkpoint()], "came twice"),
        ([_write(), _write(channel="y")], "came twice"),
        ([_write(idx=2**63)], "larger than the 64 bits"),
        ([_checkpoint("u")], "of thread 'u' came with thread 't'"),
        ([Thread(thread_id="t")], "a record of kind 'thread' came"),
        ([_checkpoint(extra={"ttl": Raw(b"5")})], "with the fields 'ttl'"),
        ([_checkpoint(blob=None, type=None, document=Raw(b"[]"))], "no JSON object"),
    ],
)
async def test_a_thread_that_has_no_place_fails_alone(
    records: list[Record], words: str, files: Any, run_of: Any
) -> None:
    """Its neighbours arrive, nothing of it does."""
    outcomes = await _store(
        files, run_of, [_checkpoint("a")], records, [_checkpoint("z")], ids=("a", "t", "z")
    )
    assert [one.error is None for one in outcomes] == [True, False, True]
    assert words in (outcomes[1].error or "")
    rows = files.query(files.target, "SELECT thread_id FROM checkpoints ORDER BY 1")
    assert rows == [("a",), ("z",)]
    assert files.query(files.target, "SELECT count(*) FROM writes") == [(0,)]
    marks = files.query(files.target, "SELECT thread_id FROM lgx_marks ORDER BY 1")
    assert marks == [("a",), ("z",)]


async def test_what_no_checkpoint_refers_to_is_listed(files: Any, run_of: Any) -> None:
    """Whole documents have no place for values that stand there for nobody."""
    document = b'{"v": 4, "channel_values": {}, "channel_versions": {"a": "2"}}'
    (outcome,) = await _store(
        files,
        run_of,
        [
            ChannelBlob(
                thread_id="t", checkpoint_ns="", channel="a", version="1", type="null", blob=b""
            ),
            _checkpoint(type=None, blob=None, document=Raw(document)),
        ],
    )
    assert outcome.error is None
    assert outcome.losses == (
        Loss(
            what="1 values of channels",
            why="no checkpoint refers to them, and whole documents hold what their own checkpoint "
            "does",
            thread_id="t",
            holdable=False,
        ),
    )


async def test_encrypted_checkpoints_are_copied_without_the_key(
    files: Any, tmp_path: Path, zoo: Any
) -> None:
    """Within one layout their bytes are left as they are; the saver with the key reads them."""
    serde = EncryptedSerializer.from_pycryptodome_aes(key=_KEY)
    original = tmp_path / "secret.db"
    with closing(sqlite3.connect(original, check_same_thread=False)) as connection:
        saver = SqliteSaver(connection, serde=serde)
        zoo.run(saver)
        before = zoo.held(saver)
    outcomes = await files.copy(original)
    assert {(one.error, one.losses) for one in outcomes} == {(None, ())}
    assert {row[8] for row in files.rows(files.target)["checkpoints"]} == {"msgpack+aes"}
    assert files.rows(files.target) == files.rows(original)
    with closing(sqlite3.connect(files.target, check_same_thread=False)) as connection:
        assert zoo.differences(before, zoo.held(SqliteSaver(connection, serde=serde))) == []


async def test_a_new_file_is_private(files: Any, run_of: Any) -> None:
    """It, and what SQLite keeps beside it, are its owner's alone, and the lock is gone."""
    async with files.sink() as sink:
        await sink.begin(run_of(), make_context())
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode) for path in files.folder.glob("copy*")
        }
    assert set(modes.values()) == {0o600}
    assert "copy.db.lgx-lock" in modes
    assert [path.name for path in files.folder.glob("copy*")] == ["copy.db"]


async def test_a_file_that_is_locked_by_another_program(
    files: Any, run_of: Any, thread_rows: Any
) -> None:
    """After the time that it may take, the run ends with a sentence; what stands is left."""
    await _store(files, run_of, [_checkpoint("a")])
    with closing(sqlite3.connect(files.target, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(FatalError, match="is locked by another program"):
            await _store(files, run_of, [_checkpoint("b")])
    assert files.query(files.target, "SELECT thread_id FROM checkpoints") == [("a",)]


async def test_a_key_that_is_none_is_refused_before_anything_is_made(files: Any) -> None:
    with pytest.raises(UsageError, match="has 5 bytes"):
        files.sink(aes_key=Secret("short"))
    assert list(files.folder.iterdir()) == []


async def test_a_partial_thread_comes_again(files: Any, run_of: Any) -> None:
    """It is stored without a mark that holds it, and the whole one replaces it without a
    conflict."""
    context = make_context()
    spool = context.spool()
    spool.append(_checkpoint("t", "c1"))
    ref = ThreadRef(thread_id="t", version="1")
    bundle = Bundle(spool, ref=ref, mark=None, outcome="partial")
    async with files.sink() as sink:
        await sink.begin(run_of(), make_context())
        (outcome,) = await sink.write([bundle], context)
        assert (outcome.error, outcome.written) == (None, True)
        assert dict(await sink.held([ref])) == {}
    bundle.close()
    (outcome,) = await _store(files, run_of, [_checkpoint("t", "c1"), _checkpoint("t", "c2")])
    assert outcome.error is None
    assert files.query(files.target, "SELECT count(*) FROM checkpoints") == [(2,)]


async def test_a_thread_that_was_deleted_there_is_held_no_more(files: Any, run_of: Any) -> None:
    """A saver deletes its rows and knows nothing of marks; the next run writes it again."""
    await _store(files, run_of, [_checkpoint("a")], [_checkpoint("b")], [_write("c")])
    refs = [ThreadRef(thread_id=thread_id, version="1") for thread_id in "abc"]
    with SqliteSaver.from_conn_string(str(files.target)) as saver:
        saver.delete_thread("b")
    async with files.sink() as sink:
        await sink.begin(run_of(), make_context())
        assert sorted(await sink.held(refs)) == ["a", "c"]
    (outcome,) = await _store(files, run_of, [_checkpoint("b")])
    assert (outcome.error, outcome.written) == (None, True)
    assert files.query(files.target, "SELECT count(*) FROM checkpoints") == [(2,)]


async def test_a_probe_tells_what_is_there(files: Any, run_of: Any, sqlite_zoo: Path) -> None:
    """Of a target that is not there yet, of one with other tables, and of one with threads."""
    async with files.sink() as sink:
        facts = {fact.name: fact.value for fact in (await sink.probe(make_context())).facts}
    assert facts["database"] == f"{files.target} will be created"
    assert list(files.folder.glob("copy*")) == []
    other = files.script(files.folder / "other.db", "CREATE TABLE a (b)")
    async with files.sink(other) as sink:
        facts = {fact.name: fact.value for fact in (await sink.probe(make_context())).facts}
    assert facts["database"] == f"{other} has no tables of a SqliteSaver yet"
    async with files.sink(sqlite_zoo) as sink:
        facts = {fact.name: fact.value for fact in (await sink.probe(make_context())).facts}
    assert facts["checkpoints"] == "88 of msgpack"
