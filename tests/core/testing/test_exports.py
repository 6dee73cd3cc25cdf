"""What `lgx.testing` gives, and what it costs to import."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest

import lgx.testing


@pytest.mark.parametrize("name", lgx.testing.__all__)
def test_every_name_that_is_promised_is_there(name: str) -> None:
    assert getattr(lgx.testing, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute"):
        lgx.testing.nothing  # noqa: B018 -- looking is the test


def test_the_stub_needs_neither_pytest_nor_a_driver() -> None:
    """It runs wherever lgx does: the standard library is all that it imports beside lgx."""
    program = (
        "import sys, lgx.testing; before = set(sys.modules); lgx.testing.StubServer;"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}"
        " - sys.stdlib_module_names))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["lgx"]
    program = "import sys, lgx.testing; print('pytest' in sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("kit", ["sinks", "sources"])
def test_the_kits_assertions_show_what_they_compared(kit: str) -> None:
    """pytest rewrites them, as it does those of test files."""
    package = import_module(f"lgx.testing.conformance.{kit}")
    promises = [
        import_module(module.name)
        for module in iter_modules(package.__path__, f"{package.__name__}.")
    ]
    assert promises
    for module in (package, *promises):
        assert type(module.__loader__).__name__ == "AssertionRewritingHook", module.__name__
