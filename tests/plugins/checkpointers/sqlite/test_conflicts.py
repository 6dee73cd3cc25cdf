"""What becomes of threads that stand in the target already."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from msgspec import Raw

from lgx import ChannelBlob, LockedError, RawCheckpoint, ThreadRef, UsageError, WriteOutcome
from lgx.testing import make_context


@pytest.fixture
def original(files: Any, zoo: Any) -> Path:
    """Three threads, a, b and c."""
    path: Path = files.folder / "original.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        for name in "abc":
            zoo.put_checkpoint(saver, name)
    return path


def _put(path: Path, zoo: Any, *names: str) -> None:
    with SqliteSaver.from_conn_string(str(path)) as saver:
        for name in names:
            zoo.put_checkpoint(saver, name)


def _by_id(outcomes: list[WriteOutcome]) -> dict[str | None, WriteOutcome]:
    return {one.thread_id: one for one in outcomes}


def _of(rows: Any, thread_id: str) -> list[Any]:
    return [row for table in rows.values() for row in table if row[0] == thread_id]


async def test_a_thread_of_somebody_else_stays(files: Any, original: Path, zoo: Any) -> None:
    """A thread of that id with other content fails alone; the others arrive, and it is as it
    was."""
    _put(files.target, zoo, "b")
    before = _of(files.rows(files.target), "b")
    outcomes = _by_id(await files.copy(original))
    assert [outcomes[name].error is None for name in "abc"] == [True, False, True]
    assert outcomes["b"].error == (
        "it stands there with other content, which lgx did not write; --sink-on-conflict replace "
        "or skip says what becomes of it"
    )
    rows = files.rows(files.target)
    assert _of(rows, "b") == before
    assert _of(rows, "a") == _of(files.rows(original), "a")
    assert files.query(files.target, "SELECT thread_id FROM lgx_marks ORDER BY 1") == [
        ("a",),
        ("c",),
    ]


async def test_skip_leaves_it_and_says_so(files: Any, original: Path, zoo: Any) -> None:
    """It counts as left, not as lost."""
    _put(files.target, zoo, "b")
    before = _of(files.rows(files.target), "b")
    outcome = _by_id(await files.copy(original, on_conflict="skip"))["b"]
    (loss,) = outcome.losses
    assert (outcome.error, outcome.written, loss.left, loss.holdable) == (None, False, True, False)
    assert "--sink-on-conflict skip" in loss.why
    assert _of(files.rows(files.target), "b") == before


async def test_replace_puts_the_sources_in_its_place(files: Any, original: Path, zoo: Any) -> None:
    """Nothing of the other is left, and the copy is marked."""
    _put(files.target, zoo, "b", "b")
    outcomes = await files.copy(original, on_conflict="replace")
    assert {(one.error, one.losses) for one in outcomes} == {(None, ())}
    assert files.rows(files.target) == files.rows(original)
    assert await files.copy(original) == []


async def test_the_same_content_is_adopted(files: Any, original: Path) -> None:
    """A file that was copied by hand is marked, and not written again."""
    shutil.copy(original, files.target)
    files.query(files.target, "DELETE FROM checkpoints WHERE thread_id = 'c'")
    files.query(files.target, "DELETE FROM writes WHERE thread_id = 'c'")
    before = files.query(files.target, "SELECT rowid, * FROM checkpoints ORDER BY 1")
    outcomes = _by_id(await files.copy(original))
    assert [outcomes[name].written for name in "abc"] == [False, False, True]
    after = files.query(files.target, "SELECT rowid, * FROM checkpoints ORDER BY 1")
    assert after[:2] == before
    assert await files.copy(original) == []


async def test_a_copy_that_was_gone_on_with_is_a_conflict(
    files: Any, original: Path, zoo: Any
) -> None:
    """When the source's thread changes too, the copy is not overwritten unasked; a copy that is
    as lgx left it is."""
    await files.copy(original)
    _put(files.target, zoo, "a")
    _put(original, zoo, "a", "b")
    outcomes = _by_id(await files.copy(original))
    assert outcomes["a"].error is not None
    assert "as a copy that was changed there after lgx wrote it" in outcomes["a"].error
    assert outcomes["b"].error is None
    assert _of(files.rows(files.target), "b") == _of(files.rows(original), "b")
    assert _by_id(await files.copy(original, on_conflict="replace"))["a"].error is None
    assert files.rows(files.target) == files.rows(original)


async def test_a_thread_is_one_sources(files: Any, original: Path, zoo: Any, run_of: Any) -> None:
    """Another source is refused without --merge; with it, it adds its own threads, and what the
    first has stays as it is and is forgotten by the first alone."""
    other = files.folder / "other.db"
    _put(other, zoo, "b", "d")
    await files.copy(original)
    with pytest.raises(UsageError, match="--merge"):
        await files.copy(other)
    run = run_of(f"sqlite-saver:{other}", merge=True)
    outcomes = _by_id(await files.copy(other, run=run))
    assert outcomes["d"].error is None
    assert outcomes["b"].error is not None
    assert f"as a copy from sqlite-saver:{original}" in outcomes["b"].error
    rows = files.rows(files.target)
    assert _of(rows, "b") == _of(files.rows(original), "b")
    assert _of(rows, "d") == _of(files.rows(other), "d")
    async with files.sink() as sink:
        await sink.begin(run, make_context())
        refs = [ThreadRef(thread_id=name, version="") for name in "abcd"]
        assert set(await sink.held(refs)) == {"d"}
        await sink.forget(["a", "d"])
    left = {row[0] for row in files.rows(files.target)["checkpoints"]}
    assert left == {"a", "b", "c"}
    assert {row[0] for row in files.rows(files.target)["writes"]} == {"a", "b", "c"}


async def test_a_dry_run_foretells_it(
    files: Any, original: Path, zoo: Any, run_of: Any, move: Any
) -> None:
    """`preview` says what `write` would, and changes nothing; nor does it create a file."""
    run = run_of(f"sqlite-saver:{original}", dry_run=True)
    assert await _previewed(files, original, run) == {"a": None, "b": None, "c": None}
    assert not files.target.exists()
    _put(files.target, zoo, "b")
    before = files.target.read_bytes()
    found = await _previewed(files, original, run)
    assert found["b"] is not None
    assert (found["a"], found["c"]) == (None, None)
    assert files.target.read_bytes() == before


async def test_a_dry_run_foretells_what_a_new_file_could_not_hold(
    files: Any, original: Path, run_of: Any
) -> None:
    """Before there is one: values apart that are encrypted, and no key to put them together."""
    blob = ChannelBlob(
        thread_id="s", checkpoint_ns="", channel="a", version="1", type="msgpack+aes", blob=b"x"
    )
    document = Raw(b'{"v": 4, "id": "1", "channel_versions": {"a": "1"}}')
    checkpoint = RawCheckpoint(
        thread_id="s", checkpoint_ns="", checkpoint_id="1", document=document
    )
    context = make_context()
    bundle = _bundle(context, "s", [checkpoint, blob])
    async with files.sink() as sink:
        await sink.begin(run_of("test://one", dry_run=True), context)
        found = await sink.preview(bundle, context)
    bundle.close()
    assert found.error is not None
    assert "is encrypted; set LANGGRAPH_AES_KEY" in found.error
    assert not files.target.exists()


async def _previewed(files: Any, original: Path, run: Any) -> dict[str, str | None]:
    context = make_context()
    found: dict[str, str | None] = {}
    async with files.sink() as sink:
        await sink.begin(run, context)
        for name in "abc":
            records, _ = await files.records(original, name)
            bundle = _bundle(context, name, records)
            found[name] = (await sink.preview(bundle, context)).error
            bundle.close()
    return found


def _bundle(context: Any, name: str, records: Any) -> Any:
    from lgx import Bundle, Mark

    spool = context.spool()
    spool.extend(records)
    mark = Mark(version="1", fingerprint="f", checkpoints=spool.checkpoints)
    return Bundle(spool, ref=ThreadRef(thread_id=name, version="1"), mark=mark)


async def test_a_file_is_not_copied_into_itself(files: Any, original: Path) -> None:
    """Not by another name either; nothing is added to it."""
    link = files.folder / "link.db"
    link.symlink_to(original)
    before = files.state()
    with pytest.raises(UsageError, match="is the source, too"):
        await files.copy(original, link)
    assert files.state() == before


async def test_two_runs_into_one_file_are_kept_apart(files: Any, run_of: Any) -> None:
    """The second is told who is at work, and the file is free again afterwards."""
    async with files.sink() as first:
        await first.begin(run_of(), make_context())
        with pytest.raises(LockedError, match="is being written by process"):
            async with files.sink() as second:
                await second.begin(run_of(), make_context())
    async with files.sink() as third:
        await third.begin(run_of(), make_context())


async def test_looking_at_what_stands_there_waits_for_nobody(
    files: Any, original: Path, run_of: Any
) -> None:
    """All memory may be in use by threads that wait for this very sink."""
    await files.copy(original)
    run = run_of(f"sqlite-saver:{original}")
    records, _ = await files.records(original, "a")
    context = make_context()
    bundle = _bundle(context, "a", records)
    full = make_context()
    await full.budget.take(full.budget.total)
    async with files.sink() as sink:
        await sink.begin(run, full)
        async with asyncio.timeout(30):
            (outcome,) = await sink.write([bundle], full)
            assert outcome.error is None
            assert (await sink.preview(bundle, full)).error is None
    bundle.close()
    assert full.progress.received == 0
