"""Plugins that look installed: folders of `installed/`, each with a module and a dist-info."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

INSTALLED = Path(__file__).parent / "installed"

Install = Callable[..., list[Path]]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts cases of `installed/` on the path, as if pip had, and gives their folders."""
    before = set(sys.modules)

    def put(*cases: str) -> list[Path]:
        folders = [INSTALLED / case for case in cases]
        for folder in folders:
            monkeypatch.syspath_prepend(str(folder))
        return folders

    yield put
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", "") and str(INSTALLED) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]
