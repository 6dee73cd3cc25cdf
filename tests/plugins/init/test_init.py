"""`lgx init`: files that explain every option, and work as they are."""

from __future__ import annotations

import re
import shlex
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from lgx import Registry, describe
from lgx.config import convert

PROGRAM = f"{shlex.quote(sys.executable)} -m lgx"
Lgx = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lgx(tmp_path: Path) -> Lgx:
    def call(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lgx", *args],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )

    return call


def test_writes_two_files_for_their_owner_alone(lgx: Lgx, tmp_path: Path) -> None:
    """lgx.toml and .env.example, mode 0600, and what to do next."""
    done = lgx("init", "--source", "sqlite", "--sink", "sqlite")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "wrote lgx.toml and .env.example\n"
        f"next: fill in lgx.toml, then: {PROGRAM} doctor nightly && {PROGRAM} run nightly\n"
    )
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == [".env.example", "lgx.toml"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_explains_every_option(lgx: Lgx, tmp_path: Path) -> None:
    """Required options stand there with an example; all others as comments; both are TOML."""
    lgx("init", "--source", "sqlite", "--sink", "sqlite", "--name", "my backup")
    text = (tmp_path / "lgx.toml").read_text()
    active = tomllib.loads(text)["pipelines"]["my backup"]
    everything = tomllib.loads(re.sub(r"(?m)^# ([a-z-]+ = )", r"\1", text))
    named = everything["pipelines"]["my backup"]

    assert active == {
        "source": "sqlite",
        "sink": "sqlite",
        "source-path": "threads.db",
        "sink-path": "threads.db",
    }
    registry = Registry()
    for role, cls in (("source", registry.source("sqlite")), ("sink", registry.sink("sqlite"))):
        for info in describe(cls.config_type):
            assert f"{role}-{info.flag}" in named
    assert {"thread-id", "since", "memory", "on-violation", "extras", "env-file"} <= set(named)
    assert not {"source-help", "config", "retry", "json"} & set(named)


def test_every_example_is_a_value_that_the_option_takes(lgx: Lgx, tmp_path: Path) -> None:
    """Uncommented as they are, the lines convert: nobody starts from a wrong example."""
    lgx("init")
    text = re.sub(r"(?m)^# ([a-z-]+ = )", r"\1", (tmp_path / "lgx.toml").read_text())
    table = tomllib.loads(text)["pipelines"]["nightly"]
    environ = {"LANGSMITH_SOURCE_API_KEY": "k", "SOURCE_TOKEN": "t"}

    registry = Registry()
    for role, cls in (("source", registry.source("cloud")), ("sink", registry.sink("sqlite"))):
        options = {
            key.removeprefix(f"{role}-"): value
            for key, value in table.items()
            if key.startswith(f"{role}-")
        }
        assert convert(cls.config_type, options, where=role, environ=environ)


@pytest.mark.parametrize(
    ("source", "sink"), [("cloud", "sqlite"), ("postgres", "archive"), ("s3", "postgres")]
)
def test_comments_fit_a_terminal(lgx: Lgx, tmp_path: Path, source: str, sink: str) -> None:
    """80 columns; a command in them stands on one line."""
    lgx("init", "--source", source, "--sink", sink)
    for name in ("lgx.toml", ".env.example"):
        lines = (tmp_path / name).read_text().splitlines()
        assert [line for line in lines if len(line) > 80] == []
    command = f"#   lgx run --source {source} --sink {sink} --help"
    assert command in (tmp_path / "lgx.toml").read_text().splitlines()


def test_names_the_variables_of_secrets(lgx: Lgx, tmp_path: Path) -> None:
    """.env.example lists where each secret is read from, without a value."""
    lgx("init")
    text = (tmp_path / ".env.example").read_text()

    assert "\nLANGSMITH_SOURCE_API_KEY=\n" in text


def test_replaces_nothing_unless_told_to(lgx: Lgx, tmp_path: Path) -> None:
    """A file that stands there stays; with --force it is replaced."""
    (tmp_path / "lgx.toml").write_text("mine")

    done = lgx("init", "--source", "sqlite")
    assert (done.returncode, done.stderr) == (
        2,
        "lgx: error: lgx.toml exists already; replace with --force\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["lgx.toml"]
    assert (tmp_path / "lgx.toml").read_text() == "mine"

    assert lgx("init", "--source", "sqlite", "--force").returncode == 0
    assert "[pipelines.nightly]" in (tmp_path / "lgx.toml").read_text()


def test_the_pipeline_runs(lgx: Lgx, tmp_path: Path) -> None:
    """What was written is a pipeline that `lgx run` and `lgx doctor` understand."""
    lgx("init", "--source", "sqlite", "--sink", "sqlite")

    done = lgx("run", "nightly")

    # There is no database to read yet, which is the source's to say, not the file's.
    assert "threads.db" in done.stderr
    assert "lgx.toml" not in done.stderr


def test_a_name_with_a_blank_can_be_pasted(lgx: Lgx, tmp_path: Path) -> None:
    """In what is printed and in the file's comments; what cannot be typed is refused."""
    done = lgx("init", "--source", "sqlite", "--sink", "sqlite", "--name", "a b")
    assert done.stderr.splitlines()[1] == (
        f"next: fill in lgx.toml, then: {PROGRAM} doctor 'a b' && {PROGRAM} run 'a b'"
    )
    assert "lgx run 'a b' --dry-run\n" in (tmp_path / "lgx.toml").read_text()
    assert lgx("init", "--force", "--name", "a\nb").stderr == (
        "lgx: error: --name 'a\\nb' cannot be typed as an argument; choose plain text\n"
    )
