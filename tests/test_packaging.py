"""What is built: one distribution, two import packages, everything they need inside."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist, built by the backend that pip would call."""
    folder = tmp_path_factory.mktemp("dist")
    program = (
        "import hatchling.build as b, sys; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def held(built: Path) -> set[str]:
    """The files in the wheel."""
    [path] = built.glob("*.whl")
    return files_of(path)


def test_the_wheel_holds_two_packages_and_nothing_else(held: set[str]) -> None:
    """No `core`, no `plugins`, no `tests` in anybody's site-packages."""
    version = importlib.metadata.version("lgx")
    assert {name.split("/")[0] for name in held} == {
        "lgx",
        "lgx_plugins",
        f"lgx-{version}.dist-info",
    }


def test_the_wheel_holds_every_file_of_the_packages(held: set[str]) -> None:
    """Package data too: type markers, the demo's graph, templates."""
    expected = {
        path.relative_to(ROOT / folder).as_posix()
        for folder, package in (("core", "lgx"), ("plugins", "lgx_plugins"))
        for path in (ROOT / folder / package).rglob("*")
        if path.is_file() and not {"__pycache__", ".langgraph_api"} & set(path.parts)
    }
    assert {name for name in held if not name.split("/")[0].endswith(".dist-info")} == expected
    assert {"lgx/py.typed", "lgx_plugins/py.typed", "lgx_plugins/demo/app/langgraph.json"} <= held


def test_the_sdist_builds_the_same_wheel(built: Path, held: set[str], tmp_path: Path) -> None:
    """Whoever builds from the sdist gets what we ship."""
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    program = "import hatchling.build as b, sys; b.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=source, check=True, capture_output=True
    )
    shutil.rmtree(source)
    [again] = tmp_path.glob("*.whl")
    assert files_of(again) == held


@pytest.mark.parametrize("group", ["lgx", "lgx.commands", "console_scripts"])
def test_every_entry_point_can_be_imported(group: str) -> None:
    """What the metadata promises is there."""
    points = [
        p for p in importlib.metadata.entry_points(group=group) if p.dist and p.dist.name == "lgx"
    ]
    assert points
    for point in points:
        assert point.load() is not None


def test_the_metadata_is_complete() -> None:
    """Licence, readme and the oldest Python stand where an index looks for them."""
    metadata = importlib.metadata.metadata("lgx")
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    extras = {"crypto", "demo", "keyring", "redis", "testing"}
    assert set(metadata.get_all("Provides-Extra") or ()) == extras
