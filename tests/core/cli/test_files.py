"""Paths that are named on the command line: which mistakes are the user's, and reports on disk."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lgx import FatalError, Report
from lgx.cli.files import path_is_wrong, write_report

Lgx = Callable[..., Any]


def because_of(cause: OSError) -> FatalError:
    error = FatalError("it cannot be opened")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "wrong"),
    [
        (FileNotFoundError(errno.ENOENT, "none", "x"), True),
        (PermissionError(errno.EACCES, "not yours", "x"), True),
        (OSError(errno.EROFS, "read-only", "x"), True),
        (OSError(errno.ENOSPC, "full", "x"), False),
        (OSError(errno.EIO, "broken", "x"), False),
        (PermissionError(errno.EPERM, "a firewall"), False),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), False),
    ],
)
def test_a_path_is_wrong_where_the_user_can_correct_it(cause: OSError, wrong: bool) -> None:
    """A disk that is full or fails, or a server that refuses, is no mistake of the command."""
    assert path_is_wrong(because_of(cause)) is wrong


def test_a_target_that_cannot_be_opened_is_a_wrong_path(lgx: Lgx, tmp_path: Path) -> None:
    """Nothing was begun because of it: exit code 2, whatever the plugin's own error."""
    ends = ("--source", "tiny", "--source-place", "x", "--sink", "ndjson")
    name = "long" * 70 + ".ndjson"

    code, out, err = lgx("run", *ends, "--sink-path", name)

    assert (code, out) == (2, "")
    assert "name" in err
    assert list(tmp_path.iterdir()) == []


def test_source_and_sink_are_two_files(lgx: Lgx, tmp_path: Path) -> None:
    """The sink would put its own in the source's place."""
    (tmp_path / "x.json").write_text("{}")
    ends = ("--source", "json", "--source-path", "x.json", "--sink", "ndjson")

    assert lgx("run", *ends, "--sink-path", "./x.json") == (
        2,
        "",
        "lgx: error: --source-path and --sink-path are both x.json; name another sink\n",
    )
    assert (tmp_path / "x.json").read_text() == "{}"


def test_a_report_is_on_the_disk_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file before it takes its name, and the directory after."""
    synced = []

    def fsync(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append((kind, (tmp_path / "r.json").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_report(tmp_path / "r.json", Report())

    assert synced == [("file", False), ("directory", True)]
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_a_report_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood there stays, and no temporary file is left."""
    (tmp_path / "r.json").write_text("old")

    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FatalError, match=r"r\.json cannot be written: No space left on device"):
        write_report(tmp_path / "r.json", Report())

    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
