"""A real LangGraph server on a free loopback port, for the demo and for tests."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType

from lgx import FatalError, UsageError

__all__ = ["RealServer"]

# The name of lgx itself is another project's on PyPI, so its extra is not what one installs.
_REQUIREMENT = "langgraph-cli[inmem]>=0.4.40,<0.5"

# Settings of the user's other servers must not reach this one, nor their keys: it would send
# traces of what it runs to LangSmith.
_FOREIGN = ("LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_", "LANGSERVE_", "OTEL_", "LSD_")
_OWN = {
    "LANGSMITH_TRACING": "false",
    "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    "LANGGRAPH_NO_VERSION_CHECK": "1",
    "LOG_COLOR": "false",
    "PYTHONUNBUFFERED": "1",
}


class RealServer:
    """`langgraph dev` with one app, offline; a context manager around its whole life.

    The app's directory (a `langgraph.json` and what it names) is copied into a temporary
    one, which is removed at the end. The server has ended, with every process that
    it started, when the block is left, and also when this process is killed.

        with RealServer(Path("app")) as server:
            httpx.get(f"{server.url}/info")

    Attributes:
        url: where it listens, inside the block.
        log_path: everything that it printed, inside the block.
    """

    def __init__(self, app: Path, *, jobs: int = 10, patience: float = 60.0) -> None:
        """`jobs` runs are executed at once; `patience` is how many seconds a start may take."""
        self.url = ""
        self.log_path = Path()
        self._app = app
        self._jobs = jobs
        self._patience = patience
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RealServer:
        """Starts the server and waits until it answers.

        Raises:
            UsageError: its packages are not installed.
            FatalError: it ended, or did not answer in time; the message ends with its log.
        """
        self.require_packages()
        # Resolved, because the directory is another name of itself on some systems.
        self._home = tempfile.TemporaryDirectory(prefix="lgx-server-", ignore_cleanup_errors=True)
        try:
            home = Path(self._home.name).resolve()
            self.log_path = home / "server.log"
            self._start(home)
            self._await_answer()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def require_packages() -> None:
        """Looks for what the server consists of; starting it does so, too.

        Raises:
            UsageError: something is not installed.
        """
        for package in ("langgraph", "langgraph_cli", "langgraph_api", "langgraph_runtime_inmem"):
            if importlib.util.find_spec(package) is None:
                raise UsageError(
                    f"a local server needs {package}, which is not installed; "
                    f"run: pip install {shlex.quote(_REQUIREMENT)}"
                )

    @property
    def pid(self) -> int | None:
        """Of the server's process, which leads its process group; None while it does not run."""
        return None if self._process is None else self._process.pid

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the server printed."""
        if not self.log_path.is_file():
            return ""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait(self) -> None:
        """Returns when the server has ended, which it does only where something goes wrong."""
        if self._process is not None:
            self._process.wait()

    def close(self) -> None:
        """Ends the server and removes its directory; does nothing the second time."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its data is in memory: nothing to save
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        home, self._home = self._home, None
        if home is not None:
            home.cleanup()

    def _start(self, home: Path) -> None:
        app = home / "app"
        shutil.copytree(self._app, app, ignore=shutil.ignore_patterns("__pycache__"))
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours alone
                [sys.executable, "-m", "lgx_plugins.demo.child", str(port), str(self._jobs)],
                cwd=app,
                env=environment | _OWN,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _await_answer(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + self._patience
        while not _answers(self.url):
            try:
                code = self._process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                problem = f"did not answer within {self._patience:g} seconds"
            else:
                problem = f"ended with code {code} before it answered"
            raise FatalError(f"the server {problem}; its log ends with:\n{self.log_tail()}")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    # Not through a proxy of the environment: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/ok", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
