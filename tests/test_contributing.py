"""The plugin of CONTRIBUTING.md: installed, tested and used as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = {
    match[1]: match[0]
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    if language in ("toml", "python") and (match := re.match(r"# ([\w.]+)\n.*", text, re.DOTALL))
}
COMMANDS = [
    line
    for text in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    for line in text.splitlines()
]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's folder beside a clone, after its first command, in an environment of its own.

    That environment sees the packages that these tests run with, so nothing is downloaded;
    lgx and the plugin are built and installed from their folders.
    """
    home = tmp_path_factory.mktemp("home")
    clone, folder = home / "lgx", home / "lgx-folder"
    clone.mkdir()
    for name in ("core", "plugins"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    [site] = (folder / ".venv" / "lib").glob("python*/site-packages")
    (site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = folder / ".venv" / "bin" / "pip"
    pip.write_text('#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n')
    pip.chmod(0o755)
    offline = "--no-index --no-build-isolation --quiet --disable-pip-version-check"
    run(folder, COMMANDS[0].replace("pip install", f"pip install {offline}"))
    return folder


def run(folder: Path, command: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f". .venv/bin/activate && {command}"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_tutorial_is_three_files_and_five_commands() -> None:
    """What is called lgx on PyPI is another project's: nothing is installed by that name."""
    assert set(FILES) == {"pyproject.toml", "lgx_folder.py", "test_lgx_folder.py"}
    assert COMMANDS[0] == "pip install '../lgx[testing]' ."
    assert len(COMMANDS) == 5


def test_the_tutorials_sink_passes_the_kit(plugin: Path) -> None:
    """All of it, and without pytest's plugins that lgx's own tests use."""
    printed = run(plugin, f"python -m {COMMANDS[1]} -q -p no:asyncio -p no:cacheprovider")
    assert re.search(r"^\d\d+ passed", printed, re.MULTILINE), printed


def test_the_tutorials_sink_is_found_and_used(plugin: Path) -> None:
    """By its name, with an option made of its config."""
    shown = run(plugin, COMMANDS[2])
    assert "--sink-path <path>" in shown
    run(plugin, COMMANDS[3])
    run(plugin, COMMANDS[4])
    [file] = (plugin / "threads").glob("*/*.ndjson")
    assert [msgspec.json.decode(line).get("kind") for line in file.read_bytes().splitlines()] == [
        None,
        "thread",
    ]


def test_lgx_comes_from_the_clone(plugin: Path) -> None:
    """Of both, the tutorial's package too, without looking at an index."""
    show = "from importlib.metadata import distribution as d; print(d('lgx').locate_file(''))"
    assert str(plugin / ".venv") in run(plugin, f'python -c "{show}"')
    needed = "from importlib.metadata import requires; print(requires('lgx-folder'))"
    assert run(plugin, f'python -c "{needed}"') == (
        f"['lgx @ {(plugin.parent / 'lgx').resolve().as_uri()}']\n"
    )


def test_the_sessions_of_the_table_exist() -> None:
    """And none is left out."""
    named = set(re.findall(r"`nox -s (\w+)", TEXT))
    defined = set(
        re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.M)
    )
    assert named == defined
