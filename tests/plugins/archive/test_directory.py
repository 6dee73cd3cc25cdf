"""Where an archive may stand, what its files look like, and who may write it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

import lgx
from lgx import Fact, IntegrityError, LockedError, Query, ThreadRef, UsageError
from lgx.testing import make_context
from lgx_plugins.archive import manifest
from lgx_plugins.archive.directory import DirectoryStore


async def begin(archives: Any, path: Path, **options: Any) -> None:
    async with archives.sink(path, **options) as sink:
        await sink.begin(archives.run(), make_context())


def tree(path: Path) -> list[str]:
    """All names under a directory."""
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


async def test_files_are_for_their_owner_alone(archives: Any, tmp_path: Path) -> None:
    """Files 0600, directories 0700, whatever the umask; names tell nothing of thread ids."""
    path = tmp_path / "archive"
    before = os.umask(0)
    try:
        threads = {
            name: archives.thread(name) for name in ("../../x", "a/b", "a\0b", "🎈" * 99, "")
        }
        await archives.write(path, threads, finish=False)
        assert await archives.read(path) == archives.lines(threads)
    finally:
        os.umask(before)
    for entry in (path, *path.rglob("*")):
        assert stat.S_IMODE(entry.stat().st_mode) == (0o700 if entry.is_dir() else 0o600)
    assert tree(tmp_path)[0] == "archive"
    assert all(name.startswith("archive/") for name in tree(tmp_path)[1:])
    pattern = r"(parts|manifest\.json|journal-\d{8}|\d{8}-\d{4}-[0-9a-f]{16}\.(ndjson|index)\.zst)"
    assert all(re.fullmatch(pattern, entry.name) for entry in path.rglob("*"))


async def test_parts_are_plain_zstd_and_ndjson(archives: Any, tmp_path: Path) -> None:
    """Any zstd decompresses a part into the lines that were written."""
    path = tmp_path / "archive"
    threads = {"a": archives.thread("a", 3), "b": archives.thread("b", 3, "x" * 1_000_000)}
    await archives.write(path, threads)
    (part,) = path.glob("parts/*.ndjson.zst")
    with part.open("rb") as file:
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 24).stream_reader(
            file, read_across_frames=True
        )
        lines = reader.read().splitlines()
    assert lines == [line for some in archives.lines(threads).values() for line in some]


@pytest.mark.parametrize(
    ("make", "error", "writes", "reads"),
    [
        (lambda path: None, UsageError, None, "nothing has that name"),
        (lambda path: path.mkdir(), UsageError, None, "it has no manifest.json"),
        (lambda path: path.write_text("x"), UsageError, "is not a directory", "not a directory"),
        (lambda path: path.symlink_to("nowhere"), UsageError, "a link to nothing", "no archive"),
        (
            lambda path: (path.mkdir(), (path / "mine.txt").write_text("x")),
            UsageError,
            r"not empty \(it holds 'mine.txt'\)",
            "it has no manifest.json",
        ),
        (
            lambda path: (path.mkdir(), (path / "parts").symlink_to("/tmp")),
            UsageError,
            "is a link; an archive holds its own parts",
            "is a link; an archive holds its own parts",
        ),
        (
            lambda path: (path.mkdir(), (path / "manifest.json").write_text('{"format":"x"}')),
            IntegrityError,
            "manifest.json of archive .* is damaged",
            "manifest.json of archive .* is damaged",
        ),
        (
            lambda path: (path.mkdir(), (path / "manifest.json").mkdir()),
            Exception,
            "is a directory",
            "is a directory",
        ),
    ],
    ids=[
        "nothing",
        "empty",
        "file",
        "dead link",
        "not empty",
        "linked parts",
        "other manifest",
        "odd manifest",
    ],
)
async def test_what_is_no_archive_is_refused_and_left_alone(
    archives: Any,
    tmp_path: Path,
    make: Any,
    error: type[Exception],
    writes: str | None,
    reads: str,
) -> None:
    """One clear error that names the path, and not a byte is changed; an empty or missing
    directory becomes an archive."""
    path = tmp_path / "target"
    make(path)
    before = tree(tmp_path), archives.files(tmp_path)
    with pytest.raises(error, match=reads) as raised:
        await archives.read(path)
    assert "target" in str(raised.value)
    if writes is None:
        await archives.write(path, {"a": archives.thread("a")})
        assert set(await archives.read(path)) == {"a"}
        return
    with pytest.raises(error, match=writes) as raised:
        await begin(archives, path)
    assert "target" in str(raised.value)
    assert (tree(tmp_path), archives.files(tmp_path)) == before


async def test_a_missing_folder_is_named_with_the_remedy(archives: Any, tmp_path: Path) -> None:
    """The archive's own directory is made, not those above it."""
    with pytest.raises(UsageError, match="mkdir -p"):
        await begin(archives, tmp_path / "no" / "archive")
    assert tree(tmp_path) == []


async def test_a_bucket_is_told_from_a_directory(archives: Any) -> None:
    """With the plugin that takes it; no directory `s3:` is looked for."""
    for work in (archives.read(Path("s3://bucket/x")), begin(archives, Path("s3://bucket/x"))):
        with pytest.raises(UsageError, match="the plugin for buckets is s3"):
            await work


async def test_a_lost_manifest_is_told(archives: Any, tmp_path: Path) -> None:
    """Parts without manifest are no empty archive: nothing is written over them."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    (path / "manifest.json").unlink()
    files = archives.files(path)
    for attempt in (archives.read(path), begin(archives, path)):
        with pytest.raises(IntegrityError, match=r"lost its manifest\.json"):
            await attempt
    assert archives.files(path) == files


async def test_a_newer_format_is_refused(archives: Any, tmp_path: Path) -> None:
    """With the version that wrote it and what to do."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    file = path / "manifest.json"
    known = manifest.decode_manifest(file.read_bytes(), "x")
    newer = msgspec.structs.replace(known, version=2, lgx="9.9")
    file.write_bytes(manifest.encode_manifest(newer))
    for attempt in (archives.read(path), begin(archives, path)):
        with pytest.raises(UsageError, match=r"format version 2 \(written by lgx 9\.9\).*upgrade"):
            await attempt


async def test_a_second_writer_is_told_who_the_first_one_is(archives: Any, tmp_path: Path) -> None:
    """It changes nothing; a dry run and a reader need no lock; the lock ends with its holder."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    async with archives.sink(path) as first:
        await first.begin(archives.run(), make_context())
        files = archives.files(path)
        with pytest.raises(LockedError, match=f"is being written by process {os.getpid()} on host"):
            await begin(archives, path)
        async with archives.sink(path) as dry:
            await dry.begin(archives.run(dry_run=True), make_context())
            assert len(await dry.held([ThreadRef(thread_id="a", version="v1")])) == 1
        assert set(await archives.read(path)) == {"a"}
        assert archives.files(path) == files
    await begin(archives, path)


async def test_leftovers_of_a_crash_are_told_and_then_removed(
    archives: Any, tmp_path: Path
) -> None:
    """A probe counts unfinished files and uncommitted parts; the next run clears them away."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")}, finish=False)
    parts = path / "parts"
    (data,) = parts.glob("*.ndjson.zst")
    (parts / "00000002-0000-0123456789abcdef.ndjson.zst").write_bytes(data.read_bytes())
    (parts / f".part.{'0' * 16}.tmp").write_bytes(b"half")
    (path / f".manifest.json.{'0' * 16}.tmp").write_bytes(b"half")
    (parts / "notes.txt").write_text("not ours")
    assert set(await archives.read(path)) == {"a"}
    async with archives.reader(path) as source:
        facts = {fact.name: fact for fact in (await source.probe(archives.context())).facts}
    assert facts["leftovers"].value.startswith("3 files")
    assert facts["last run"].level == facts["leftovers"].level == "warn"
    assert facts["foreign files"].level == "warn"
    await begin(archives, path)
    names = sorted(entry.name for entry in path.rglob("*") if entry.is_file())
    assert names == sorted(
        ["manifest.json", "notes.txt", data.name, data.name.replace("ndjson", "index")]
    )
    async with archives.sink(path) as sink:
        probe = await sink.probe(archives.context())
    facts = {fact.name: fact for fact in probe.facts}
    assert (facts["parts"].value, facts["records"].value) == ("1", "3")
    assert facts["foreign files"].level == "warn"
    assert "leftovers" not in facts
    assert facts["last run"].value.startswith("none has finished yet")


async def test_a_probe_reads_every_byte(archives: Any, tmp_path: Path) -> None:
    """`lgx doctor` is how a nightly backup finds a disk that forgets; it names the part."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    async with archives.reader(path) as source:
        whole = {fact.name: fact for fact in (await source.probe(archives.context())).facts}
    assert whole["content"].value == "every part was read, and is as it was written"
    (part,) = path.glob("parts/*.ndjson.zst")
    damaged = bytearray(part.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    part.write_bytes(damaged)

    async with archives.reader(path) as source:
        facts = (await source.probe(archives.context())).facts

    (damage,) = (fact for fact in facts if fact.level == "error")
    assert part.name.removesuffix(".ndjson.zst") in damage.value
    assert "content" not in {fact.name for fact in facts}


async def test_a_level_that_needs_too_much_memory_is_refused(archives: Any, tmp_path: Path) -> None:
    """The error says which levels there are."""
    with pytest.raises(UsageError, match="level 23 is too high; choose 1 to 19"):
        await begin(archives, tmp_path / "archive", level=23)


async def test_a_probe_of_a_target_that_is_not_there_creates_nothing(
    archives: Any, tmp_path: Path
) -> None:
    """It says that an archive will be made."""
    async with archives.sink(tmp_path / "archive") as sink:
        probe = await sink.probe(archives.context())
    assert probe.facts == (Fact(name="archive", value="will be created"),)
    assert tree(tmp_path) == []


async def test_an_empty_archive_reads_as_empty(archives: Any, tmp_path: Path) -> None:
    """No threads, no extras, at any time."""
    path = tmp_path / "archive"
    await archives.write(path, {})
    assert await archives.read(path) == {}
    assert await archives.read(path, Query(as_of="2020-01-01")) == {}
    assert await archives.read_extras(path, "cron") == []


def test_the_module_imports_no_driver() -> None:
    """zstandard is imported when something is compressed, not when the plugin is named."""
    code = "import lgx_plugins.archive, sys; print('zstandard' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "False"


async def test_a_journal_before_its_first_batch_is_an_unfinished_run(
    archives: Any, tmp_path: Path
) -> None:
    """Whatever is left of its first line, also blocks that read as zeros."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    store = DirectoryStore(path)
    for text in (b"", b"0000", b"\0" * 40, b"000000ff 0123456789abcdef {", b"00\0\0\0\0\0\0\0\0\n"):
        (path / "journal-00000002").write_bytes(text)
        assert set(await archives.read(path)) == {"a"}
        await begin(archives, path)
        assert store.journals() == []
        generation = int(re.findall(rb'"generation": (\d+)', store.read_manifest() or b"")[0])
        assert generation > 2
        (path / "manifest.json").unlink()
        for file in path.glob("parts/*"):
            file.unlink()
        await archives.write(path, {"a": archives.thread("a")})


async def test_the_doctor_counts_threads_and_those_that_are_not_whole(
    archives: Any, tmp_path: Path
) -> None:
    """For each source: what counts now, not every version of it."""
    path = tmp_path / "archive"
    other = "http://two.test"
    await archives.write(path, {name: archives.thread(name) for name in "abc"})
    await archives.write(path, {"c": archives.thread("c", 5)}, version="v2", forget=["b"])
    await archives.write(path, {"a": archives.thread("a")}, source=other, merge=True)

    def facts() -> list[tuple[str, str, str]]:
        found = lgx.probe(sink=lgx.use("archive", path=str(path))).facts
        return [(f.name, f.value, f.level) for f in found if "threads" in f.name]

    versions = ("versions of threads", "6", "ok")
    rest = ("threads", f"1 of {other}", "ok")
    assert facts() == [("threads", f"2 of {archives.source}", "ok"), rest, versions]
    context = archives.context()
    bundle = archives.bundle(context, "a", archives.thread("a", 1), marked=False)
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        await sink.write([bundle], context)
        await sink.finish(context)
    bundle.close()
    words = f"2 of {archives.source}, 1 of them not whole"
    assert facts() == [("threads", words, "warn"), rest, ("versions of threads", "7", "ok")]
