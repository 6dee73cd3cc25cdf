"""Help: lists options of the chosen plugins, and costs no import of a driver or plugin."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lgx as lgx_package

Lgx = Callable[..., Any]
INSTALLED = Path(__file__).parent.parent / "installed"

HEAVY = (
    "aiohttp",
    "aiosqlite",
    "asyncpg",
    "boto3",
    "botocore",
    "httpx",
    "langgraph_sdk",
    "lgx_plugins",
    "lgx_tiny",
    "lgx_tiny_command",
    "rich",
    "tenacity",
    "zstandard",
)


def imported_by(args: tuple[str, ...], directory: Path) -> str:
    """What a process of its own says of the heavy modules that it has imported at its end."""
    code = (
        "import sys\n"
        "from lgx.cli import main\n"
        f"assert main({args!r}) == 0\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=directory,
        env={"PYTHONPATH": str(INSTALLED / "tiny"), "PATH": ""},
    )
    return done.stderr


def test_the_version_is_the_package_s(lgx: Lgx) -> None:
    assert lgx("--version") == (0, f"lgx {lgx_package.__version__}\n", "")


def test_the_help_lists_all_commands(lgx: Lgx) -> None:
    """Core commands first, then those of plugins with the summaries that their sources give."""
    code, out, err = lgx("--help")

    assert (code, err) == (0, "")
    assert "Commands:\n  run      Moves threads from a source to a sink.\n" in out
    assert "  hello  Greets NAME.\n" in out
    assert "  init   Writes a commented lgx.toml and .env.example into this directory.\n" in out


def test_the_options_of_chosen_plugins_are_listed(lgx: Lgx) -> None:
    """`lgx run --source tiny --help`: a section for it, and where to find the sink's."""
    code, out, err = lgx("run", "--source", "tiny", "--help")

    sections = [line for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    assert (code, err) == (0, "")
    assert sections == [
        "What moves where:",
        "Source tiny:",
        "Which threads:",
        "How:",
        "Output:",
        "Other:",
    ]
    assert (
        "Source tiny:\n"
        "  --source-place TEXT             Where the threads are. [required; such as\n"
        "                                  here]\n"
        "  --source-threads NUMBER         How many there are. [default: 3]\n"
        "  --source-api-key env:NAME or file:PATH\n"
        "                                  The key to them. [or from TINY_API_KEY]\n"
        "  --source-runs / --no-source-runs\n"
        "                                  Their runs as well. [default: no]\n"
    ) in out
    assert out.endswith("Together with --sink NAME, --help lists the options of that plugin.\n")


def test_both_ends_are_listed(lgx: Lgx) -> None:
    """The sink may come from a variable or the file like anything else."""
    out = lgx("run", "--source", "tiny", "--sink=sqlite", "--help").out

    assert "Source tiny:\n" in out
    assert "Sink sqlite:\n  --sink-path PATH" in out
    assert "Together with" not in out


@pytest.mark.parametrize(
    "args", [("--help",), ("--version",), ("plugins",), ("plugins", "--json"), ("run", "--help")]
)
def test_imports_neither_drivers_nor_plugins(args: tuple[str, ...], tmp_path: Path) -> None:
    """Asking what there is must be quick, and run none of what is installed."""
    assert imported_by(args, tmp_path) == "[]\n"


def test_a_run_imports_only_what_it_names(tmp_path: Path) -> None:
    """Other plugins, and the drivers of other plugins, stay untouched."""
    args = ("run", "--source", "tiny", "--source-place", "x", "--sink", "tiny", "--sink-path", "o")

    assert imported_by((*args, "--quiet"), tmp_path) == "['lgx_tiny']\n"


def test_an_example_stands_on_one_line(lgx: Lgx, monkeypatch: pytest.MonkeyPatch) -> None:
    """The column of names gives way to a word that is longer than what it leaves."""
    monkeypatch.setenv("COLUMNS", "80")
    out = lgx("run", "--source", "cloud", "--sink", "postgres", "--help").out
    assert " postgresql://USER:PASSWORD@HOST:PORT/DATABASE;\n" in out
    assert max(map(len, out.splitlines())) <= 80
    assert " [required; such as\n" in out
    assert " https://my-agent-0a1b2c.us.langgraph.app]\n" in out
    assert "\n      pip install 'langgraph-cli[inmem]>=0.4.40,<0.5'\n" in lgx("demo", "--help").out
