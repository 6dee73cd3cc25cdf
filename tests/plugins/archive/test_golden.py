"""Archives of every released format stay readable, and can be gone on with."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lgx import Query, encode_line
from lgx_plugins.archive.directory import DirectoryStore
from lgx_plugins.archive.inspection import verify_archive

GOLDEN = sorted(Path(__file__).with_name("golden").iterdir())


def digest(lines: list[bytes]) -> str:
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
async def test_an_old_archive_reads_as_when_it_was_written(
    archives: Any, tmp_path: Path, golden: Path
) -> None:
    """Threads of both sources, byte by byte, and extras; then a run adds to it."""
    expected = json.loads((golden / "expected.json").read_bytes())
    path = tmp_path / "archive"
    shutil.copytree(golden / "archive", path)
    assert verify_archive(DirectoryStore(path)).problems == ()
    for origin, threads in expected["threads"].items():
        read = await archives.read(path, origin=origin)
        assert {thread_id: digest(lines) for thread_id, lines in read.items()} == threads
    origin = "http://golden.test"
    for kind, lines in expected["extras"].items():
        records = await archives.read_extras(path, kind, origin=origin)
        assert [encode_line(record).decode() for record in records] == lines
    new = {"new": archives.thread("new")}
    await archives.write(path, new, source=origin, merge=True)
    only = Query(thread_ids=("new",))
    assert await archives.read(path, only, origin=origin) == archives.lines(new)


def test_there_is_a_golden_archive_of_this_format() -> None:
    """Each format version has one."""
    assert [path.name for path in GOLDEN] == ["v1"]
