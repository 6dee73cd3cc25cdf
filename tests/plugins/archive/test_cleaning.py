"""`lgx doctor --clean`: what a crash left goes, all else stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx import LockedError
from lgx.testing import make_context
from lgx_plugins.archive.directory import DirectoryStore
from lgx_plugins.archive.journal import JournalHead, encode_entry
from lgx_plugins.archive.manifest import decode_manifest


def leave_behind(path: Path) -> list[str]:
    """What a run that was killed may leave beside what it committed."""
    parts = path / "parts"
    (data,) = parts.glob("*.ndjson.zst")
    left = [
        parts / "00000002-0000-0123456789abcdef.ndjson.zst",
        parts / f".part.{'0' * 16}.tmp",
        path / f".manifest.json.{'0' * 16}.tmp",
    ]
    for file in left:
        file.write_bytes(data.read_bytes())
    return sorted(str(file.relative_to(path)) for file in left)


def names(path: Path) -> list[str]:
    """What stands in a directory, directories too."""
    return sorted(entry.name for entry in path.iterdir())


async def test_cleaning_removes_leftovers_and_keeps_what_was_committed(
    archives: Any, tmp_path: Path
) -> None:
    """Also what stands in the journal alone, and files that are not the archive's; it says what
    went, and a second time there is nothing."""
    path = tmp_path / "archive"
    threads = {"a": archives.thread("a")}
    await archives.write(path, {})
    await archives.write(path, threads, finish=False)
    kept = {name for name in archives.files(path) if not name.startswith("journal")}
    leave_behind(path)
    (path / "parts" / "notes.txt").write_text("not ours")
    sink = lgx.use("archive", path=str(path))
    removed = lgx.clean(sink)
    assert removed == [
        "journal-00000002 (the manifest now holds its one batch of records)",
        "00000002-0000-0123456789abcdef.ndjson.zst",
        f".manifest.json.{'0' * 16}.tmp",
        f".part.{'0' * 16}.tmp",
    ]
    assert list(lgx.clean(sink)) == []
    facts = {fact.name: fact for fact in lgx.probe(sink=sink).facts}
    assert "leftovers" not in facts
    assert facts["last run"].level == "warn"
    assert "was cut short; the next run goes on from there" in facts["last run"].value
    assert set(archives.files(path)) == {*kept, "manifest.json", "parts/notes.txt"}
    assert await archives.read(path) == archives.lines(threads)


@pytest.mark.parametrize("name", ["", "a"], ids=["nothing committed", "a thread committed"])
async def test_cleaning_does_not_make_a_finished_backup_of_a_first_one_that_was_cut_short(
    archives: Any, tmp_path: Path, name: str
) -> None:
    """Doctor and reader say before and after it that no run has finished yet; until one has."""
    path = tmp_path / "archive"
    at_once = {"a": archives.thread("a")} if name else {}
    await archives.write(path, at_once, finish=False)
    if not name:
        store = DirectoryStore(path)
        manifest = decode_manifest(store.read_manifest() or b"", store.place)
        head = JournalHead(archive=manifest.archive, generation=1, started_at=manifest.created_at)
        store.append_journal(1, encode_entry(head))
    sink, source = lgx.use("archive", path=str(path)), lgx.use("archive", path=str(path))

    async def warned() -> bool:
        context = make_context()
        async with archives.reader(path) as reader:
            await reader.versions(context)
        noted = any("no run has finished yet" in m.message for m in context.notes.values())
        for probe in (await lgx.probe_async(sink=sink), await lgx.probe_async(source=source)):
            facts = {fact.name: (fact.level, fact.value) for fact in probe.facts}
            said = "last run" in facts and facts["last run"][1].startswith("none has finished yet")
            assert said == noted
            assert not said or facts["last run"][0] == "warn"
        return noted

    assert await warned()
    (removed,) = await lgx.clean_async(sink)
    held = "the manifest now holds its one batch of records" if name else "with nothing in it"
    assert removed == f"journal-00000001 ({held})"
    assert await warned()
    assert await archives.read(path) == archives.lines(at_once)
    await archives.write(path, at_once)
    assert not await warned()
    before = archives.files(path)
    await archives.write(path, {})
    assert archives.files(path) == before


async def test_a_clean_archive_is_not_changed_by_cleaning(archives: Any, tmp_path: Path) -> None:
    """Nor is one made where there is none."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    before = archives.files(path)
    lgx.clean(lgx.use("archive", path=str(path)))
    lgx.clean(lgx.use("archive", path=str(tmp_path / "none")))
    assert archives.files(path) == before
    assert names(tmp_path) == ["archive"]


async def test_what_a_first_run_left_before_its_manifest_is_removed(
    archives: Any, tmp_path: Path
) -> None:
    """A directory with nothing but unfinished files becomes an empty one."""
    path = tmp_path / "archive"
    path.mkdir()
    (path / f".manifest.json.{'0' * 16}.tmp").write_bytes(b"half")
    lgx.clean(lgx.use("archive", path=str(path)))
    assert archives.files(path) == {}


async def test_cleaning_stays_away_from_a_run_at_work(archives: Any, tmp_path: Path) -> None:
    """Its files are no leftovers; the message says who writes."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        left = leave_behind(path)
        with pytest.raises(LockedError, match="is being written by process"):
            lgx.clean(lgx.use("archive", path=str(path)))
        assert set(left) <= set(archives.files(path))
