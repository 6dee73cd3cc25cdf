"""Two real servers side by side: a filled source that tests leave as it is, and a target."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lgx.testing import FaultProxy
from lgx_plugins.demo.server import RealServer

from .cleaning import clear
from .fill import Filled, fill

APP = Path(__file__).with_name("app")

LACKING = ("gone",)
"""Graphs of the source that the target has not."""


def _side(directory: Path, side: str, lacking: tuple[str, ...]) -> Path:
    """The app of one side: its graphs and its environment."""
    app = directory / side
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    path = app / "langgraph.json"
    config = json.loads(path.read_text())
    for graph in lacking:
        del config["graphs"][graph]
    executions = directory / f"{side}.executions"
    executions.touch()
    config["env"] = {"LGX_TEST_SIDE": side, "LGX_TEST_EXECUTIONS": str(executions)}
    path.write_text(json.dumps(config))
    return app


@pytest.fixture(scope="session")
def servers_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the apps of both servers are, and where they write down what they execute."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def source(start_server: Callable[[Path], RealServer], servers_home: Path) -> Filled:
    """The server that threads are taken from, filled once; tests leave it as it is."""
    server = start_server(_side(servers_home, "source", ()))
    return asyncio.run(fill(server.url))


@pytest.fixture(scope="session")
def target_server(start_server: Callable[[Path], RealServer], servers_home: Path) -> RealServer:
    """The server that threads are brought to, as the tests before left it."""
    return start_server(_side(servers_home, "target", LACKING))


@pytest.fixture
def target(target_server: RealServer) -> str:
    """The URL of the target, which is empty, however the tests before left it."""
    asyncio.run(clear(target_server.url))
    return target_server.url


@pytest.fixture
async def proxy(target: str) -> AsyncIterator[FaultProxy]:
    """Between lgx and the target, which it passes all requests to until it is told otherwise."""
    async with FaultProxy(target) as proxy:
        yield proxy


@pytest.fixture
def executed(target_server: RealServer, servers_home: Path) -> Callable[[], list[str]]:
    """Tells which nodes the target has executed since the test began, in order."""
    path = servers_home / "target.executions"
    before = len(path.read_text())
    return lambda: path.read_text()[before:].split()
