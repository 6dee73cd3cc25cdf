"""A real LangGraph server, filled once, and what plain requests say that it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lgx_plugins.demo.server import RealServer

from .fill import Filled, fill
from .truth import Truth, ask_everything

APP = Path(__file__).with_name("app")
_SERVERS = pytest.StashKey[list[RealServer]]()


@contextmanager
def _running(config: pytest.Config, app: Path) -> Iterator[RealServer]:
    with RealServer(app) as server:
        running = config.stash.setdefault(_SERVERS, [])
        running.append(server)
        yield server
        running.remove(server)


@pytest.fixture(scope="session")
def app() -> Path:
    """The directory of the graphs that the servers run."""
    return APP


@pytest.fixture(scope="session")
def start_server(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], RealServer]]:
    """Starts a server with an app of the caller's, which runs until the session ends."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_running(request.config, app))


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """One server for the whole session: only `filled_server` changes it."""
    with _running(request.config, APP) as server:
        yield server


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """An empty server for one test, which may change it."""
    with _running(request.config, APP) as server:
        yield server


@pytest.fixture(scope="session")
def filled_server(server: RealServer) -> Filled:
    """The session's server, filled; tests leave it as it is."""
    return asyncio.run(fill(server.url))


@pytest.fixture(scope="session")
def truth(filled_server: Filled) -> Truth:
    """What the filled server holds."""
    return asyncio.run(ask_everything(filled_server.url, filled_server.threads.values()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the end of the servers' logs beside a failure."""
    report = yield
    if report.failed:
        for server in item.config.stash.get(_SERVERS, []):
            report.sections.append((f"log of the server {server.url}", server.log_tail()))
    return report
