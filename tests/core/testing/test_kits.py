"""The kits bite: every wrong source and sink is found, by the tests that are there to find it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest

WRONG = tuple(Path(__file__).with_name(name) for name in ("wrong_sinks.py", "wrong_sources.py"))


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# By class: the file that it stands in, and the tests that are to find its fault.
CASES: dict[str, tuple[Path, tuple[str, ...]]] = {
    name: (path, tuple(dict.fromkeys(case.fails)))
    for path in WRONG
    for name, case in vars(_load(path)).items()
    if name.startswith("Test")
}


def _failed(directory: Path, nodes: Iterable[str]) -> dict[str, set[str]]:
    """Runs tests of the wrong endpoints and returns those that failed, by class."""
    report = directory / "report.xml"
    config = directory / "pytest.ini"
    config.write_text("[pytest]\npython_files = wrong_*.py\n")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "--no-header"]
    command += ["-c", str(config), "--rootdir", str(directory), "--import-mode=importlib"]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", *nodes]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    failed: dict[str, set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        name = case.get("classname", "").rpartition(".")[2]
        failed.setdefault(name, set())
        assert case.find("error") is None, f"{name}::{case.get('name')} did not run"
        if case.find("failure") is not None:
            failed[name].add(case.get("name", ""))
    return failed


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The failures among the tests that the cases name."""
    nodes = [f"{path}::{case}::{t}" for case, (path, tests) in CASES.items() for t in tests]
    return _failed(tmp_path_factory.mktemp("named"), nodes)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The failures among all tests of all cases."""
    return _failed(tmp_path_factory.mktemp("every"), map(str, WRONG))


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_endpoint_is_found(case: str, named: dict[str, set[str]]) -> None:
    """Each test that is to find the fault fails, with one of its parameters at least."""
    found = named[case] | {test.partition("[")[0] for test in named[case]}
    assert set(CASES[case][1]) - found == set()


@pytest.mark.nightly
@pytest.mark.parametrize("case", CASES)
def test_no_other_test_finds_it(case: str, every: dict[str, set[str]]) -> None:
    """The others pass: what fails says what is wrong."""
    wanted = set(CASES[case][1])
    assert {
        test for test in every[case] if test not in wanted and test.partition("[")[0] not in wanted
    } == set()
