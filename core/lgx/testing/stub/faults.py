"""Faults on demand: what may stand in place of an answer, or happen to it on its way.

A fault is given the connection and the answer that would have been sent, and does with
them what it is named after.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from fnmatch import fnmatchcase

from lgx.testing.stub.http import Connection, Request, Response

__all__ = [
    "Answer",
    "BadGzip",
    "CutBody",
    "CutChunked",
    "CutGzip",
    "CutHead",
    "CutUndelimited",
    "Delay",
    "Drip",
    "Fault",
    "Hang",
    "Prefix",
    "Reset",
    "Rule",
    "Status",
    "fault_catalogue",
]


class Fault(ABC):
    """Takes the place of one answer."""

    @abstractmethod
    async def send(self, connection: Connection, response: Response, date: str) -> None:
        """Sends, breaks or withholds the answer; returns when the next request may come."""


@dataclass(frozen=True)
class Status(Fault):
    """An error status. `retry_after` seconds are announced as a number, or as an HTTP date."""

    status: int
    retry_after: float | None = None
    as_date: bool = False
    body: bytes = b'{"detail":"fault on demand"}'
    content_type: str = "application/json"

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        headers = {}
        if self.retry_after is not None:
            headers["retry-after"] = (
                formatdate(time.time() + self.retry_after, usegmt=True)
                if self.as_date
                else f"{self.retry_after:g}"
            )
        answer = Response(self.body, self.status, headers=headers, content_type=self.content_type)
        connection.send(answer, date)


@dataclass(frozen=True)
class Answer(Fault):
    """Another answer in place of the right one: HTML, `null`, nothing at all, a redirect."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    location: str | None = None

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        headers = {"location": self.location} if self.location else None
        answer = Response(self.body, self.status, headers=headers, content_type=self.content_type)
        connection.send(answer, date)


@dataclass(frozen=True)
class Prefix(Fault):
    """The right answer with bytes before it, such as a byte order mark."""

    prefix: bytes = b"\xef\xbb\xbf"

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        connection.send(Response(self.prefix + response.whole(), response.status), date)


@dataclass(frozen=True)
class Reset(Fault):
    """RST before the first byte, or after a share of the answer."""

    after: float = 0.0

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        if self.after:
            body = response.whole()
            connection.write(response.head(date) + body[: int(len(body) * self.after)])
            await asyncio.sleep(0.01)  # lets the kernel pass on what was written
        connection.reset()


@dataclass(frozen=True)
class CutHead(Fault):
    """The connection ends in the middle of the headers."""

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        head = response.head(date)
        connection.write(head[: len(head) // 2])
        connection.close()


@dataclass(frozen=True)
class Hang(Fault):
    """No answer, until the client gives up."""

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        await connection.closed.wait()


@dataclass(frozen=True)
class Delay(Fault):
    """The right answer, later."""

    seconds: float

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        await asyncio.sleep(self.seconds)
        await connection.stream(response, date)


@dataclass(frozen=True)
class Drip(Fault):
    """The right answer, a few bytes at a time; with `limit`, never more than so many bytes."""

    bytes_each: int = 1
    seconds: float = 1.0
    limit: int | None = None

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        connection.write(response.head(date))
        body = response.whole()
        for start in range(0, len(body), self.bytes_each):
            if connection.closed.is_set():
                return
            if self.limit is not None and start >= self.limit:
                await connection.closed.wait()
                return
            connection.write(body[start : start + self.bytes_each])
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class CutBody(Fault):
    """The Content-Length is right, the body ends before it."""

    share: float = 0.5

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        body = response.whole()
        connection.write(response.head(date, size=max(len(body), 1)))
        connection.write(body[: int(len(body) * self.share)])
        connection.close()


@dataclass(frozen=True)
class CutChunked(Fault):
    """A chunked body whose last chunk never comes."""

    share: float = 0.5

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        body = response.whole()
        part = body[: max(1, int(len(body) * self.share))]
        connection.write(response.head(date, chunked=True))
        connection.write(b"%x\r\n%b\r\n" % (len(part), part))
        connection.close()


@dataclass(frozen=True)
class CutUndelimited(Fault):
    """A body without a length that is cut: only the JSON shows that something is missing."""

    share: float = 0.5

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        body = response.whole()
        connection.write(response.head(date, size=-1))
        connection.write(body[: int(len(body) * self.share)])
        connection.close()


@dataclass(frozen=True)
class CutGzip(Fault):
    """A compressed body that ends in the middle, with a Content-Length that agrees."""

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        packed = gzip.compress(response.whole())
        headers = {"content-encoding": "gzip"}
        connection.send(Response(packed[: len(packed) // 2], headers=headers), date)


@dataclass(frozen=True)
class BadGzip(Fault):
    """A compressed body whose checksum is wrong."""

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        packed = bytearray(gzip.compress(response.whole()))
        packed[-8] ^= 1
        headers = {"content-encoding": "gzip"}
        connection.send(Response(bytes(packed), headers=headers), date)


def fault_catalogue() -> dict[str, Fault]:
    """Every kind of fault by a name, for tests that want them all; those that last are short."""
    page = b"<!doctype html><html><body>Sign in</body></html>"
    return {
        "429": Status(429),
        "429-retry-after": Status(429, retry_after=0),
        "429-retry-after-date": Status(429, retry_after=0, as_date=True),
        "408": Status(408),
        "425": Status(425),
        "500": Status(500, body=b"Internal Server Error", content_type="text/plain; charset=utf-8"),
        "502": Status(502, body=page, content_type="text/html"),
        "503": Status(503),
        "503-retry-after": Status(503, retry_after=0),
        "504": Status(504, body=page, content_type="text/html"),
        "reset": Reset(),
        "reset-in-body": Reset(after=0.5),
        "cut-head": CutHead(),
        "hang": Hang(),
        "drip": Drip(limit=3),
        "cut-body": CutBody(),
        "cut-chunked": CutChunked(),
        "cut-undelimited": CutUndelimited(),
        "cut-gzip": CutGzip(),
        "bad-gzip": BadGzip(),
        "empty-200": Answer(),
        "204": Answer(status=204),
        "302-login": Answer(page, 302, "text/html", location="https://login.invalid/"),
        "html-200": Answer(page, content_type="text/html"),
        "null": Answer(b"null"),
        "object": Answer(b"{}"),
        "detail-200": Answer(b'{"detail":"something went wrong"}'),
        "nan": Answer(b"[NaN]"),
        "bom": Prefix(),
    }


Match = str | Callable[[Request], bool]


@dataclass
class Rule:
    """When a fault strikes.

    `match` is an endpoint (`history`), a pattern of method and path
    (`POST /threads/*/history`, `*` for everything), or a function of the request.
    """

    match: Match
    fault: Fault
    times: int | None = None
    probability: float = 1.0
    skip: int = 0
    seed: int = 0
    hits: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def strikes(self, request: Request) -> bool:
        """Whether this request is hit; counts."""
        if self.times is not None and self.hits >= self.times:
            return False
        if not self._matches(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.probability < 1.0 and self._random.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def _matches(self, request: Request) -> bool:
        if callable(self.match):
            return self.match(request)
        return self.match == request.endpoint or fnmatchcase(
            f"{request.method} {request.path}", self.match
        )
