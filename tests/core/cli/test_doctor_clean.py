"""`lgx doctor --clean`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Lgx = Callable[..., Any]


def test_clean_needs_a_sink(lgx: Lgx) -> None:
    """A source has no leftovers of lgx's; nothing is begun."""
    code, _, err = lgx("doctor", "--source", "tiny", "--source-place", "here", "--clean")
    assert (code, err) == (
        2,
        "lgx: error: --clean removes what is left over in a sink; name it with --sink NAME\n",
    )


def test_clean_tells_what_it_removed(lgx: Lgx, tmp_path: Path) -> None:
    """Of the sink, before what the probe finds."""
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / f".manifest.json.{'0' * 16}.tmp").write_bytes(b"half")
    arguments = ("doctor", "--sink", "archive", "--sink-path", str(archive))
    said = lgx(*arguments, "--clean")
    assert said.out == (
        "sink archive  ok\n"
        "         removed  .manifest.json.0000000000000000.tmp\n"
        "         archive  will be created\n"
    )
    assert list(archive.iterdir()) == []


def test_clean_that_removes_nothing_says_no_more(lgx: Lgx, tmp_path: Path) -> None:
    """Whether anything is left over is the sink's to say, in what its probe finds."""
    arguments = ("doctor", "--sink", "archive", "--sink-path", str(tmp_path / "archive"))
    assert lgx(*arguments, "--clean").out == (
        "sink archive  ok\n         removed  nothing\n         archive  will be created\n"
    )
