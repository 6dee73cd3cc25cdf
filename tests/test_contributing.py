"""The plugin of CONTRIBUTING.md: installed, tested and used as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from lgx import raw

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
    """A folder with the tutorial's files and, in `site`, the package installed from them."""
    folder = tmp_path_factory.mktemp("plugin")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", "site", "."],
        cwd=folder,
        check=True,
    )
    return folder


def run(folder: Path, command: str) -> str:
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "site"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_tutorial_is_three_files_and_four_commands() -> None:
    """The first command installs from an index; here the package is installed without one."""
    assert set(FILES) == {"pyproject.toml", "lgx_folder.py", "test_lgx_folder.py"}
    assert COMMANDS[0] == "pip install . 'lgx[testing]'"
    assert len(COMMANDS) == 4


def test_the_tutorials_sink_passes_the_kit(plugin: Path) -> None:
    """All of it, and without pytest's plugins that lgx's own tests use."""
    shutil.copy(plugin / "test_lgx_folder.py", plugin / "site")
    printed = run(plugin / "site", f"{COMMANDS[1]} -q -p no:asyncio -p no:cacheprovider")
    assert re.search(r"^\d\d+ passed", printed, re.MULTILINE), printed


def test_the_tutorials_sink_is_found_and_used(plugin: Path) -> None:
    """By its name, with an option made of its config."""
    thread = {
        "thread_id": "../../etc",
        "metadata": {},
        "values": {"n": 1},
        "history": [],
        "created_at": "2026-01-01T00:00:00+00:00",
        "updated_at": "2026-01-01T00:00:00+00:00",
    }
    document = msgspec.json.encode({"threads": [raw(thread)]})
    (plugin / "threads_backup.json").write_bytes(document)
    shown = run(plugin, COMMANDS[2])
    assert "--sink-path <path>" in shown
    run(plugin, COMMANDS[3])
    [file] = (plugin / "threads").glob("*/*.ndjson")
    assert [msgspec.json.decode(line).get("kind") for line in file.read_bytes().splitlines()] == [
        None,
        "thread",
    ]


def test_the_sessions_of_the_table_exist() -> None:
    """And none is left out."""
    named = set(re.findall(r"`nox -s (\w+)", TEXT))
    defined = set(
        re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.M)
    )
    assert named == defined
