"""Two stores on real servers, one of which may hold the whole zoo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from . import servers
from .servers import Dump, Server, Store


@pytest.fixture(scope="session")
def _first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from servers.processes(tmp_path_factory.mktemp("r1"))


@pytest.fixture(scope="session")
def _second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from servers.processes(tmp_path_factory.mktemp("r2"))


@pytest.fixture
def store(_first: Server) -> Store:
    """An empty one."""
    _first.client.flushall()
    return Store(_first)


@pytest.fixture
def other(_second: Server) -> Store:
    """Another empty one."""
    _second.client.flushall()
    return Store(_second)


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with options of their own."""
    started: list[Server] = []

    def start(*options: str, modules: bool = True) -> Server:
        started.append(Server(tmp_path / f"server{len(started)}", *options, modules=modules))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def _zoo_dump(_first: Server, zoo: ModuleType) -> Dump:
    _first.client.flushall()
    store = Store(_first)
    with store.saver() as saver:
        zoo.run(saver)
    return store.dump()


@pytest.fixture
def filled(_zoo_dump: Dump, store: Store) -> Store:
    """A store with the whole zoo as RedisSaver wrote it."""
    store.load(_zoo_dump)
    return store


@pytest.fixture(scope="session")
def helpers() -> ModuleType:
    """What servers.py has."""
    return servers


@pytest.fixture
def sorted_held(zoo: Any) -> Callable[[Any], Any]:
    """What another saver holds, its pending writes in the order of tasks."""

    def held(saver: Any) -> Any:
        return {place: servers.sorted_writes(one) for place, one in zoo.held(saver).items()}

    return held
