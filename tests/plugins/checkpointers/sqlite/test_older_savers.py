"""What older versions of SqliteSaver wrote, from the first one on: documents in JSON, checkpoints
of versions 1 to 4, writes without task_path."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import ormsgpack
import pytest

GOLDEN = Path(__file__).parent.parent / "golden" / "sqlite"

VERSIONS = {"1.0.0": 1, "1.0.4": 1, "2.0.1": 2, "2.0.6": 3, "2.0.11": 4, "3.0.1": 4, "3.1.1": 4}
"""The version of each one's checkpoints."""


def _load(files: Any, version: str, name: str = "older.db") -> Path:
    """A file as that version left it."""
    dump = gzip.decompress((GOLDEN / f"{version}.sql.gz").read_bytes()).decode()
    path: Path = files.script(files.folder / name, dump)
    rows = files.query(path, "SELECT type, checkpoint FROM checkpoints")
    assert {_read(type_, blob)["v"] for type_, blob in rows} == {VERSIONS[version]}
    return path


def _read(type_: str, blob: bytes) -> Any:
    if type_ == "json":
        return json.loads(blob)
    return ormsgpack.unpackb(blob, ext_hook=lambda code, data: None)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_copy_of_an_older_saver_s_file_reads_as_it_does(
    version: str, files: Any, in_sqlite: Any, zoo: Any
) -> None:
    """Every cell is the same, writes have an empty path, and today's saver finds the same in it."""
    path = _load(files, version)
    older = files.rows(path)
    outcomes = await files.copy(path)
    assert [(one.error, one.losses) for one in outcomes] == [(None, ())] * 3
    copy = files.rows(files.target)
    assert copy["checkpoints"] == older["checkpoints"]
    assert sorted(copy["writes"]) == sorted((*row, "", "text") for row in older["writes"])
    before = in_sqlite(path)  # which brings the original up to date
    assert len(before) > 10
    assert zoo.differences(before, in_sqlite(files.target)) == []
    assert await files.copy(path) == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_older_saver_s_file_is_written_to(
    version: str, files: Any, sqlite_zoo: Path, in_sqlite: Any, zoo: Any
) -> None:
    """Threads of today go into it as far as it has room, beside its own."""
    path = _load(files, version)
    own = in_sqlite(_load(files, version, "alike.db"))
    outcomes = await files.copy(sqlite_zoo, path)
    assert {one.error for one in outcomes} == {None}
    held = in_sqlite(path)
    assert zoo.differences(own, {key: held[key] for key in own}) == []
    wanted = in_sqlite(sqlite_zoo)
    came = {key: held[key] for key in wanted}
    for key, one in wanted.items():
        assert zoo.differences({"": one.checkpoint}, {"": came[key].checkpoint}) == []
        assert len(one.pending_writes or ()) == len(came[key].pending_writes or ())
