"""Any change to an archive's files is found by reading it, and none is seen where there is none."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from lgx import EXTRA_KINDS, IntegrityError, Query, StoreItem, ThreadEnd, UsageError, raw
from lgx_plugins.archive.directory import DirectoryStore
from lgx_plugins.archive.inspection import verify_archive
from lgx_plugins.archive.manifest import decode_manifest, encode_manifest

MUTATIONS = 1000


async def build(archives: Any, path: Path, *, finish: bool = True) -> None:
    """An archive with several runs, replaced and removed threads, pieces, and extras."""
    threads = {f"t{number}": archives.thread(f"t{number}") for number in range(12)}
    threads["large"] = archives.thread("large", 30, "0123456789abcdef" * 400)
    await archives.write(path, threads, batch=5, part_size=1 << 16)
    newer = {f"t{number}": archives.thread(f"t{number}", 3) for number in range(4)}
    items = [StoreItem(namespace=("n",), key=str(k), value=raw(k)) for k in range(5)]
    await archives.write(
        path, newer, version="v2", forget=["t5"], extras={"store_item": items}, finish=finish
    )


async def read_everything(archives: Any, path: Path) -> None:
    await archives.read(path)
    for kind in EXTRA_KINDS:
        await archives.read_extras(path, kind)


def mutate(path: Path, rng: random.Random, *, keep: set[str]) -> tuple[str, set[str]]:
    """Changes an archive in one way; what was done, and names one of which must be told."""
    files = sorted(f for f in path.rglob("*") if f.is_file() and f.name not in keep)
    file = rng.choice(files)
    data = file.read_bytes()
    how = rng.choice(("flip", "flip", "cut", "remove", "add", "swap"))
    if how == "flip":
        at = rng.randrange(len(data))
        file.write_bytes(data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :])
        return f"flip {file.name} at {at}", {file.name}
    if how == "cut":
        file.write_bytes(data[: rng.randrange(len(data))])
        return f"cut {file.name}", {file.name}
    if how == "remove":
        file.unlink()
        return f"remove {file.name}", {file.name, "manifest.json"}
    parts = [f for f in files if f.parent.name == "parts"]
    part = rng.choice(parts)
    if how == "add":
        batch = rng.randrange(1, 40)
        name = f"{batch:08d}-{rng.randrange(9):04d}-{rng.randbytes(8).hex()}{part.name[30:]}"
        new = part.with_name(rng.choice((name, f"copy-{part.name}")))
        new.write_bytes(part.read_bytes())
        return f"add {new.name}", {new.name}
    other = rng.choice([f for f in parts if f.read_bytes() != part.read_bytes()])
    mine, theirs = part.read_bytes(), other.read_bytes()
    part.write_bytes(theirs)
    other.write_bytes(mine)
    return f"swap {part.name} and {other.name}", {part.name, other.name}


def restore(path: Path, files: dict[str, bytes]) -> None:
    """Puts an archive's files back as they were."""
    for file in path.rglob("*"):
        if file.is_file() and str(file.relative_to(path)) not in files:
            file.unlink()
    for name, data in files.items():
        if not (path / name).exists() or (path / name).read_bytes() != data:
            (path / name).write_bytes(data)


async def found(archives: Any, path: Path) -> str:
    """What reading says of an archive; nothing where it finds nothing."""
    try:
        await read_everything(archives, path)
    except IntegrityError as error:
        return str(error)
    return ""


async def test_every_change_is_found_and_named(archives: Any, tmp_path: Path) -> None:
    """Of 1000 random changes to parts, indexes and manifest, reading finds each and names the
    file; of 100 untouched archives none is taken for damaged."""
    path = tmp_path / "archive"
    await build(archives, path)
    files = archives.files(path)
    assert len(files) > 15
    rng = random.Random(20261120)
    for number in range(MUTATIONS):
        what, names = mutate(path, rng, keep=set())
        said = await found(archives, path)
        assert any(name in said for name in names), f"{number}: {what}: {said!r}"
        restore(path, files)
    for _ in range(100):
        assert await found(archives, path) == ""


async def test_verifying_finds_every_change_and_reads_on(archives: Any, tmp_path: Path) -> None:
    """`verify_archive` finds what reading finds, and lists each damaged part."""
    path = tmp_path / "archive"
    await build(archives, path)
    files = archives.files(path)
    clean = verify_archive(DirectoryStore(path))
    assert (clean.problems, clean.threads > 17, clean.records > 60) == ((), True, True)
    rng = random.Random(7)
    for _ in range(100):
        what, names = mutate(path, rng, keep=set())
        problems = verify_archive(DirectoryStore(path)).problems
        assert any(name in problem for name in names for problem in problems), what
        restore(path, files)
    for part in path.glob("parts/*.ndjson.zst"):
        data = bytearray(part.read_bytes())
        data[20] ^= 1
        part.write_bytes(data)
    assert len(verify_archive(DirectoryStore(path)).problems) == clean.parts


async def test_changes_to_an_unfinished_archive_are_found(archives: Any, tmp_path: Path) -> None:
    """A journal is as well guarded; only losing its end cannot be told from a crash, and
    then what came before reads whole."""
    path = tmp_path / "archive"
    await build(archives, path, finish=False)
    (journal,) = path.glob("journal-*")
    whole = await archives.read(path)
    files = archives.files(path)
    text = journal.read_bytes()
    lines = text.splitlines(keepends=True)
    assert len(lines) == 4
    for at in range(len(text)):
        flipped = bytearray(text)
        flipped[at] ^= 1 << at % 8
        journal.write_bytes(flipped)
        assert journal.name in await found(archives, path), at
    for changed in (lines[:1] + lines[2:], lines[:2] + lines[1:], [*lines, lines[-1]], lines[1:]):
        journal.write_bytes(b"".join(changed))
        assert journal.name in await found(archives, path)
    for length in range(len(text) - len(lines[-1]), len(text)):
        journal.write_bytes(text[:length])
        assert await archives.read(path) == whole
    for length in range(0, len(text) - len(lines[-1]), 50):
        journal.write_bytes(text[:length])
        assert re.search("does not list", await found(archives, path))
    journal.unlink()
    assert re.search("does not list", await found(archives, path))
    restore(path, files)
    assert await found(archives, path) == ""


async def test_a_hostile_manifest_cannot_name_other_files(archives: Any, tmp_path: Path) -> None:
    """A manifest with a right checksum whose part is named `../x` is refused."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    text = (path / "manifest.json").read_bytes()
    manifest = decode_manifest(text, "x")
    (part,) = manifest.parts
    for name in ("../../etc/passwd", "00000001-0000-../../../../secret", "/etc/passwd", "a\0b"):
        evil = msgspec.structs.replace(part, name=name)
        data = encode_manifest(msgspec.structs.replace(manifest, parts=(evil,)))
        (path / "manifest.json").write_bytes(data)
        with pytest.raises(IntegrityError, match="lists a part with the name"):
            await archives.read(path)


async def test_a_part_behind_a_link_is_not_followed(archives: Any, tmp_path: Path) -> None:
    """A symbolic link in place of a part counts as a missing part."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    (part,) = path.glob("parts/*.ndjson.zst")
    shutil.move(part, tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    assert "is missing" in await found(archives, path)


async def test_a_linked_directory_of_parts_is_not_followed(archives: Any, tmp_path: Path) -> None:
    """Neither for reading nor for writing."""
    path = tmp_path / "archive"
    threads = {"a": archives.thread("a")}
    await archives.write(path, threads)
    shutil.move(path / "parts", tmp_path / "elsewhere")
    (path / "parts").symlink_to(tmp_path / "elsewhere")
    before = archives.files(tmp_path / "elsewhere")
    message = f"^'{path}/parts' is a link; an archive holds its own parts"
    with pytest.raises(UsageError, match=message):
        await archives.read(path)
    with pytest.raises(UsageError, match=message):
        await archives.write(path, threads, version="v2")
    assert archives.files(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("how", ["lost", "cut", "changed"])
async def test_who_has_no_copy_of_a_damaged_part_is_told_the_way_out(
    archives: Any, tmp_path: Path, how: str
) -> None:
    """A new backup, to another path."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")})
    (part,) = path.glob("parts/*.ndjson.zst")
    data = part.read_bytes()
    if how == "lost":
        part.unlink()
    else:
        part.write_bytes(data[:-1] if how == "cut" else bytes([data[0] ^ 1]) + data[1:])
    assert "restore it from a copy, or make a new backup to another path" in await found(
        archives, path
    )


async def test_records_that_are_not_json_cost_themselves_alone(
    archives: Any, tmp_path: Path
) -> None:
    """Each is named and counted; the thread's other records come, and it is partial."""
    path = tmp_path / "archive"
    records = archives.thread("a", 5)
    spoiled = [*records]
    for number in (2, 4):
        spoiled[number] = msgspec.structs.replace(records[number], values=Raw(b'{"n": nothing}'))
    await archives.write(path, {"a": spoiled, "b": archives.thread("b")})
    context = archives.context()
    async with archives.reader(path) as source:
        refs = [ref async for ref in source.list(Query(), context)]
        items = [item async for item in source.read(refs, context)]
    ends = {item.thread_id: item for item in items if isinstance(item, ThreadEnd)}
    came = [item for item in items if not isinstance(item, ThreadEnd) and item.thread_id == "a"]
    assert came == [record for record in records if record not in (records[2], records[4])]
    assert [(loss.what, loss.checkpoints) for loss in ends["a"].losses] == [
        ("record 3", 1),
        ("record 5", 1),
    ]
    assert all("not JSON" in loss.why for loss in ends["a"].losses)
    assert {thread_id: end.outcome for thread_id, end in ends.items()} == {
        "a": "partial",
        "b": "complete",
    }
