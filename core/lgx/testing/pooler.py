"""A pooler such as PgBouncer in transaction mode, for tests of what works behind one.

async with TransactionPooler(server.new_database()) as pooler:
    ...  # talk to pooler.dsn
    assert pooler.leaks == []
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import struct
from collections import deque
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["TransactionPooler"]

_PROTOCOL = 196608
_CANCEL = 80877102
_TLS = 80877103
_GSS = 80877104

_STARTUP = frozenset(
    {
        "user",
        "database",
        "application_name",
        "client_encoding",
        "datestyle",
        "timezone",
        "standard_conforming_strings",
    }
)

# What a client may leave behind in a session and another would find there.
_LEFT = b"""SELECT 'statement ' || name FROM pg_prepared_statements
UNION ALL SELECT 'advisory lock' FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'listens to ' || c FROM pg_listening_channels() AS c
UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE name <> ''
UNION ALL SELECT 'temporary table ' || relname FROM pg_class
    WHERE relpersistence = 't' AND relkind = 'r' AND relnamespace = pg_my_temp_schema()
UNION ALL SELECT 'setting ' || name FROM pg_settings
    WHERE source = 'session' AND setting IS DISTINCT FROM reset_val"""


class _Server:
    """A connection to the server behind."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = b""
        self.cancel = b""

    async def message(self) -> tuple[bytes, bytes]:
        head = await self.reader.readexactly(5)
        body = await self.reader.readexactly(int.from_bytes(head[1:], "big") - 4)
        return head[:1], body


class TransactionPooler:
    """Lends a server connection to a client for one transaction, and then takes another one.

    Stricter than PgBouncer: where there is a choice, a client never gets the connection again
    that it had last; and what it left in a session is found, in `leaks`. Startup parameters
    that PgBouncer does not know are refused as it does. The server behind must let the user
    of the DSN in without a password.
    """

    def __init__(self, dsn: str, *, size: int = 8, tls: ssl.SSLContext | None = None) -> None:
        """
        Args:
            size: the most server connections.
            tls: offered to clients, where given.
        """
        self.leaks: list[str] = []
        """What clients left behind, in words."""
        self.transactions = 0
        """How many times a server connection was given back."""
        self._parts = urlsplit(dsn)
        self._tls = tls
        self._size = size
        self._places = asyncio.Semaphore(size)
        self._idle: deque[_Server] = deque()
        self._servers: set[_Server] = set()
        self._lent: dict[bytes, _Server] = {}
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._greeting = b""
        self._cut: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def dsn(self) -> str:
        """Of the database through the pooler."""
        user = self._parts.username or "postgres"
        return f"postgresql://{user}@localhost:{self.port}{self._parts.path}"

    async def __aenter__(self) -> Self:
        first = await self._connect()
        self._greeting = first.greeting
        self._idle.append(first)
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for server in list(self._servers):
            await self._drop(server)

    def cut(self) -> None:
        """Cuts all clients off; those amid a transaction stay in it, as far as the server
        knows: so it is when a network fails. New ones are served as before."""
        self._cut |= self._clients
        for client in self._clients:
            client.transport.abort()

    # -- clients -----------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._clients.add(writer)
        try:
            if await self._greet(reader, writer):
                await self._serve(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        while True:
            size, code = struct.unpack("!ii", await reader.readexactly(8))
            body = await reader.readexactly(size - 8)
            if code == _TLS and self._tls is not None:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self._tls)
            elif code in (_TLS, _GSS):
                writer.write(b"N")
            elif code == _CANCEL:
                await self._cancel(body)
                return False
            else:
                break
        words = body[:-2].split(b"\0")
        unknown = {word.decode() for word in words[::2]} - _STARTUP
        if unknown:
            text = f"SFATAL\0C08P01\0Munsupported startup parameter: {min(unknown)}\0\0".encode()
            writer.write(_message(b"E", text))
            await writer.drain()
            return False
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = secrets.token_bytes(8)
        writer.write(self._greeting + _message(b"K", key) + _message(b"Z", b"I"))
        server: _Server | None = None
        last: _Server | None = None
        answers: asyncio.Task[None] | None = None
        pending = [0]
        try:
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
                if head[:1] == b"X":
                    return
                if answers is not None and answers.done():
                    answers.result()
                    last, server, answers = server, None, None
                if server is None:
                    server = await self._take(last)
                    self._lent[key] = server
                    answers = asyncio.create_task(self._answer(server, writer, pending))
                    self._tasks.add(answers)
                    answers.add_done_callback(self._tasks.discard)
                if head[:1] in (b"Q", b"S", b"F"):
                    pending[0] += 1
                server.writer.write(head + body)
                await server.writer.drain()
        finally:
            self._lent.pop(key, None)
            amid = answers is not None and not answers.done()
            if amid and answers is not None and server is not None and writer not in self._cut:
                answers.cancel()
                await asyncio.wait([answers])
                await self._drop(server)

    async def _answer(
        self, server: _Server, writer: asyncio.StreamWriter, pending: list[int]
    ) -> None:
        """Passes answers on until the transaction has ended."""
        try:
            while True:
                kind, body = await server.message()
                if kind == b"Z":
                    pending[0] -= 1
                done = kind == b"Z" and body == b"I" and not pending[0]
                if done:  # before the client can hear of it, and ask for more
                    await self._give_back(server)
                if not writer.transport.is_closing():
                    writer.write(_message(kind, body))
                    with contextlib.suppress(OSError):
                        await writer.drain()
                if done:
                    return
        except (OSError, EOFError):
            await self._drop(server)
            writer.transport.abort()

    # -- servers -----------------------------------------------------------------------

    async def _take(self, last: _Server | None) -> _Server:
        await self._places.acquire()
        try:
            for server in self._idle:
                if server is not last:
                    self._idle.remove(server)
                    return server
            if last in self._idle and len(self._servers) >= self._size:
                assert last is not None
                self._idle.remove(last)
                return last
            return await self._connect()
        except BaseException:
            self._places.release()
            raise

    async def _give_back(self, server: _Server) -> None:
        server.writer.write(_message(b"Q", _LEFT + b"\0"))
        while True:
            kind, body = await server.message()
            if kind == b"D":
                self.leaks.append(body[6:].decode())
            if kind == b"Z":
                break
        self.transactions += 1
        self._idle.append(server)
        self._places.release()

    async def _drop(self, server: _Server) -> None:
        if server not in self._servers:
            return
        self._servers.discard(server)
        if server in self._idle:
            self._idle.remove(server)
        else:
            self._places.release()
        server.writer.transport.abort()
        with contextlib.suppress(OSError):
            await server.writer.wait_closed()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        query = parse_qs(self._parts.query)
        host = query.get("host", [self._parts.hostname or ""])[0]
        port = int(query.get("port", [str(self._parts.port or 5432)])[0])
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _connect(self) -> _Server:
        server = _Server(*await self._open())
        self._servers.add(server)
        user = unquote(self._parts.username or "postgres")
        words = (
            "user",
            user,
            "database",
            unquote(self._parts.path[1:]),
            "client_encoding",
            "utf-8",
        )
        body = b"".join(word.encode() + b"\0" for word in words) + b"\0"
        server.writer.write(struct.pack("!ii", len(body) + 8, _PROTOCOL) + body)
        while True:
            kind, body = await server.message()
            if kind == b"E" or (kind == b"R" and body[:4] != b"\0\0\0\0"):
                raise RuntimeError("the pooler needs a server that asks for no password")
            if kind == b"K":
                server.cancel = body
            elif kind == b"Z":
                return server
            else:
                server.greeting += _message(kind, body)

    async def _cancel(self, key: bytes) -> None:
        server = self._lent.get(key)
        if server is None:
            return
        reader, writer = await self._open()
        writer.write(struct.pack("!ii", len(server.cancel) + 8, _CANCEL) + server.cancel)
        await writer.drain()
        await reader.read()
        writer.close()
        await writer.wait_closed()


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
