"""Runs `lgx` in this process, where what it prints and returns can be compared."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lgx.cli import main

INSTALLED = Path(__file__).parent.parent / "installed"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Lgx = Callable[..., Outcome]


@pytest.fixture
def lgx(
    install: Callable[..., list[Path]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Lgx]:
    """`lgx(*args)` with the tiny plugin installed, in an empty directory and environment."""
    install("tiny")
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("LGX_", "LANG", "TINY_")):
            monkeypatch.delenv(name)
    # monkeypatch puts back what a .env file adds as well.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    hooks = sys.excepthook, threading.excepthook
    handlers = list(logging.getLogger().handlers)

    def call(*args: str) -> Outcome:
        capsys.readouterr()
        code = main(args)
        return Outcome(code, *map(_prompt, capsys.readouterr()))

    yield call
    sys.excepthook, threading.excepthook = hooks
    logging.getLogger().handlers[:] = handlers


def _prompt(printed: str) -> str:
    """What it prints where the machine has nothing else to do: it took no time."""
    return re.sub(r"\(in \d\.\d s\)", "(in 0.0 s)", printed)


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `lgx` in a process of its own, with cases of `installed/` on the path."""

    def popen(*args: str, cases: tuple[str, ...] = ("tiny",)) -> subprocess.Popen[str]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("LGX_")}
        environ["PYTHONPATH"] = os.pathsep.join(str(INSTALLED / case) for case in cases)
        return subprocess.Popen(
            [sys.executable, "-m", "lgx", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environ,
        )

    return popen
