"""A proxy in front of an S3 server that answers as servers do on bad days."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

__all__ = ["FAULTS", "Fault", "Request", "S3Proxy"]

Fault = Literal["busy", "unavailable", "reset", "cut", "corrupt", "unanswered", "answer", "call"]

FAULTS: tuple[Fault, ...] = (
    *("busy", "unavailable", "reset", "cut", "corrupt", "unanswered", "answer", "call"),
)
"""busy: 503 SlowDown, and the request is not made; unavailable: 503 without a word; reset: the
connection ends; cut: the answer's body ends early; corrupt: one bit of the request's body is
another; unanswered: the request is made, and its answer lost; answer: what the rule says; call:
the rule's function is called, then the request is made."""

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


@dataclass(frozen=True)
class Request:
    """What a rule is asked about, and the log keeps."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    size: int

    @property
    def name(self) -> str:
        """What was done: `GET manifest.json`, `PUT …?partNumber`, `GET ?list-type`."""
        last = self.path.rpartition("/")[2]
        word = next((q.partition("=")[0] for q in self.query.split("&") if _tells(q)), "")
        return f"{self.method} {last}" + (f"?{word}" if word else "")


def _tells(parameter: str) -> bool:
    return parameter.partition("=")[0] in ("list-type", "uploads", "uploadId", "partNumber")


@dataclass
class _Rule:
    match: Callable[[Request], bool]
    fault: Fault
    times: int
    after: int
    status: int
    code: str
    call: Callable[[Request], None] | None
    seen: int = 0
    done: int = field(default=0)

    def wants(self, request: Request) -> bool:
        if self.done >= self.times or not self.match(request):
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.done += 1
        return True


class S3Proxy:
    """Passes requests on to `upstream`, but for those that a rule is for.

    with S3Proxy(server.endpoint_url) as proxy:
        proxy.fail("busy", lambda request: request.method == "PUT", times=3)
        ...  # use proxy.endpoint_url
        assert [request.name for request in proxy.log] == [...]

    Attributes:
        dropped: names of headers, in small letters, that no request keeps: `if-match`.
        log: all requests, in the order of coming.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self.dropped: set[str] = set()
        self.log: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fail(
        self,
        fault: Fault,
        match: Callable[[Request], bool] | None = None,
        *,
        times: int = 1,
        after: int = 0,
        status: int = 500,
        code: str = "InternalError",
        call: Callable[[Request], None] | None = None,
    ) -> None:
        """The next requests that match (all, if it is None) meet this fault.

        Args:
            times: so many of them, after the first `after`.
            status: of the fault `answer`, as is `code`, S3's word for it.
            call: of the fault `call`, in the thread that serves the request.
        """
        rule = _Rule(match or (lambda _: True), fault, times, after, status, code, call)
        with self._lock:
            self._rules.append(rule)

    def heal(self) -> None:
        """Forgets all rules and requests."""
        with self._lock:
            self._rules.clear()
            self.log.clear()

    def rule_for(self, request: Request) -> _Rule | None:
        with self._lock:
            self.log.append(request)
            return next((rule for rule in self._rules if rule.wants(request)), None)

    def connect(self) -> http.client.HTTPConnection:
        assert self._upstream.hostname is not None
        return http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=60)


class _Server(ThreadingHTTPServer):
    proxy: S3Proxy
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        """The proxy has a log of its own."""

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, query, dict(self.headers.items()), size)
        rule = self.server.proxy.rule_for(request)
        fault = rule.fault if rule else None
        if rule is not None and rule.call is not None:
            rule.call(request)
        if fault == "busy":
            self._refuse(503, "SlowDown")
        elif fault == "unavailable":
            self._answer(503, [], b"")
        elif fault == "answer":
            assert rule is not None
            self._refuse(rule.status, rule.code)
        elif fault == "reset":
            self._reset()
        else:
            if fault == "corrupt" and body:
                body = body[:-1] + bytes([body[-1] ^ 1])
            self._pass_on(body, fault)

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        with contextlib.closing(self.server.proxy.connect()) as connection:
            left_out = _HOP | self.server.proxy.dropped
            headers = {k: v for k, v in self.headers.items() if k.lower() not in left_out}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP]
            length = answer.getheader("Content-Length") or str(len(data))
        if fault == "unanswered":
            self._reset()
        elif fault == "cut":
            self._answer(answer.status, kept, data[: len(data) // 2], length=str(len(data)))
            self._reset()
        else:
            self._answer(answer.status, kept, data, length=length)

    def _refuse(self, status: int, code: str) -> None:
        text = (
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told by the proxy</Message>"
        )
        body = f"{text}</Error>".encode() if self.command != "HEAD" else b""
        self._answer(status, [("Content-Type", "application/xml")], body)

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)  # the system then answers with RST in place of FIN
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 -- http.server's names
