"""HTTP/1.1 as far as a test server needs it, with full control of what goes over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

__all__ = ["Connection", "Request", "Response", "problem"]

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Request:
    """One request. `endpoint` is filled in by the router: `history`, `search`, …

    `target` is path and query as they came, `path` and `query` are decoded.
    """

    __slots__ = ("body", "endpoint", "headers", "method", "path", "query", "target")

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        path, _, query = target.partition("?")
        self.method = method
        self.target = target
        self.path = unquote(path) if "%" in path else path
        self.query = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        self.headers = headers
        self.body = body
        self.endpoint = ""

    def json(self) -> Any:
        """The body's value; an empty body is an empty object."""
        return json.loads(self.body) if self.body else {}


class Response:
    """An answer: its body is bytes, or pieces of a known total size that are made while sending."""

    __slots__ = ("body", "content_type", "drop", "headers", "pieces", "size", "status")

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        pieces: Iterable[bytes | memoryview] | None = None,
        size: int | None = None,
        drop: bool = False,
    ) -> None:
        """`drop`: the connection is closed after the answer without having said so."""
        self.body = body
        self.status = status
        self.headers = headers
        self.content_type = content_type
        self.pieces = pieces
        self.size = len(body) if size is None else size
        self.drop = drop

    def whole(self) -> bytes:
        """The body in one piece."""
        return self.body if self.pieces is None else b"".join(self.pieces)

    def head(self, date: str, *, size: int | None = None, chunked: bool = False) -> bytes:
        """Status line and headers; `size` in place of the true Content-Length, -1 for none."""
        lines = [
            f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unknown')}",
            f"date: {date}",
            "server: lgx-stub",
        ]
        if chunked:
            lines.append("transfer-encoding: chunked")
        elif self.status != 204 and size != -1:
            lines.append(f"content-length: {self.size if size is None else size}")
        if self.status != 204 and self.content_type:
            lines.append(f"content-type: {self.content_type}")
        if self.headers:
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def problem(status: int, detail: str) -> Response:
    """An error as the server words it: `{"detail": …}`."""
    return Response(
        json.dumps({"detail": detail}, ensure_ascii=False, separators=(",", ":")).encode(), status
    )


Handler = Callable[[Request, "Connection"], Awaitable[None] | None]


class Connection(asyncio.Protocol):
    """One client connection; requests are answered one after the other, in order.

    A handler writes its answer with `send` at once, or returns an awaitable that does so
    later; the next request is looked at when it is done.
    """

    def __init__(self, answer: Handler, open_connections: set[Connection]) -> None:
        self._answer = answer
        self._open = open_connections
        self._buffer = b""
        self._late: list[bytes] = []
        self._missing = 0
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.closed = asyncio.Event()

    # -- asyncio's side ----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        self.closed.set()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._missing > len(data):  # a large body is put together once, when it is there
            self._late.append(data)
            self._missing -= len(data)
            return
        self._buffer = b"".join((self._buffer, *self._late, data)) if self._buffer else data
        self._late.clear()
        self._missing = 0
        if self._task is None:
            self._advance()

    # -- requests ----------------------------------------------------------------

    def _advance(self) -> None:
        while self._buffer and not self.closed.is_set():
            request = self._parse()
            if request is None:
                return
            later = self._answer(request, self)
            if later is not None:
                self._task = asyncio.ensure_future(self._finish(later))
                return

    async def _finish(self, later: Awaitable[None]) -> None:
        try:
            await later
        finally:
            self._task = None
        self._advance()

    def _parse(self) -> Request | None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        lines = buffer[:end].decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if "transfer-encoding" in headers:
            self.send(problem(501, "the stub reads no chunked requests"), formatdate(usegmt=True))
            self.close()
            return None
        stop = end + 4 + int(headers.get("content-length", 0))
        if len(buffer) < stop:
            self._missing = stop - len(buffer)
            return None
        self._buffer = buffer[stop:]
        return Request(method, target, headers, buffer[end + 4 : stop])

    # -- the wire, for handlers and faults -----------------------------------------

    def send(self, response: Response, date: str) -> None:
        """Sends a whole answer that lies in memory."""
        assert response.pieces is None
        head = response.head(date)
        if response.size < 1 << 20:
            self.write(head + response.body)
        else:
            self.write(head)
            self.write(response.body)
        if response.drop:
            self.close()

    async def stream(self, response: Response, date: str) -> None:
        """Sends an answer in pieces, as fast as the client reads."""
        self.write(response.head(date))
        for piece in response.pieces if response.pieces is not None else (response.body,):
            self.write(piece)
            if not self._writable.is_set():
                await self._writable.wait()
            if self.closed.is_set():
                return

    @property
    def buffered(self) -> int:
        """Bytes that were written and that the client has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def write(self, data: bytes | memoryview) -> None:
        """Puts bytes on the wire, whatever they are."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Ends the connection after what was written: the client sees its end (FIN)."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Breaks the connection at once: the client sees `connection reset by peer` (RST)."""
        if self._transport is None:
            return
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # it may be gone already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def end(self) -> None:
        """Breaks the connection and waits until nothing of it is left."""
        task = self._task
        self.reset()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.closed.wait()
