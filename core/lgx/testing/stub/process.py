"""A stub server in a process of its own, for benchmarks and for tests that kill things."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from types import TracebackType
from typing import Any, cast

__all__ = ["StubProcess"]


class StubProcess:
    """Serves `Deployment.sample(**sample)` until the block ends or this process does.

    with StubProcess(threads=1000, checkpoints=80, size=2840, delay=0.05) as stub:
        ...  # talk to stub.url
        assert stub.counts()["requests"]["history"] == 1000
    """

    def __init__(self, *, delay: float = 0.0, cache_bytes: int = 256 << 20, **sample: Any) -> None:
        self.url = ""
        self._settings = {"delay": delay, "cache_bytes": cache_bytes, "sample": sample}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> StubProcess:
        command = [sys.executable, "-m", "lgx.testing.stub", json.dumps(self._settings)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.__exit__(None, None, None)
            raise RuntimeError("the stub server did not start; its own message is above")
        self.url = line.decode().strip()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()

    def counts(self) -> dict[str, Any]:
        """`requests` by endpoint, `largest_body`, `most_in_flight`."""
        return self._control("counts")

    def reset(self) -> dict[str, Any]:
        """Sets the counts to nothing and returns what they were."""
        return self._control("reset")

    def fail(self, match: str, fault: str, **when: Any) -> None:
        """As `StubServer.fail`, with the fault's name in `fault_catalogue()`."""
        self._control("fail", match=match, fault=fault, **when)

    def heal(self) -> None:
        self._control("heal")

    def set_delay(self, seconds: float) -> None:
        self._control("set", delay=seconds)

    def _control(self, action: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/-/{action}", json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            return cast("dict[str, Any]", json.load(response))
