"""A proxy between a client and a real server, which does to answers what bad networks do.

    async with FaultProxy(server.url) as proxy:
        rule = proxy.fail("POST /threads", Reset(), passed=True, skip=2)
        ...  # talk to proxy.url
        assert rule.hits == 1
        assert [passage.name for passage in proxy.log] == ["POST /threads", ...]

Its faults are those of the stub server, in `lgx.testing.stub`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lgx.testing.stub.faults import Answer, Fault, Hang, Match, Reset, Rule, Status
from lgx.testing.stub.http import Connection, Request, Response

if TYPE_CHECKING:
    import httpx

__all__ = ["CONFLICT", "CREATED_WITH_PROBLEM", "FaultProxy", "Passage", "ProxyRule"]

CREATED_WITH_PROBLEM = Answer(
    b'{"detail":"Thread was created, but there were problems updating the state: on demand"}', 201
)
"""What a LangGraph server says, as if all were well, of a thread whose supersteps failed."""

CONFLICT = Answer(b'{"detail":"Thread already exists"}', 409)
"""What it says of a thread that is there already."""

_HOP = frozenset(
    {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "date", "server"}
)


@dataclass
class ProxyRule(Rule):
    """When a fault strikes; `hits` counts how often it did.

    Attributes:
        passed: whether the server gets the request all the same, and has answered it before
            the fault strikes.
        struck: set when it strikes for the first time, at the latest moment before the client
            may notice: the place to kill a client that is to know nothing.
    """

    passed: bool = False
    struck: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Passage:
    """One request that came.

    Attributes:
        status: what the server answered; None if it was not asked, or did not answer.
        fault: what struck, if anything.
    """

    request: Request
    status: int | None = None
    fault: Fault | None = None

    @property
    def name(self) -> str:
        """Method and path."""
        return f"{self.request.method} {self.request.path}"


class FaultProxy:
    """Passes every request on to `upstream`, but for those that a rule is for.

    Requests and answers are held in memory whole; requests have a Content-Length. What
    was passed on is done by the server, also when the client has gone. A server that cannot
    be reached looks to the client as one that breaks the connection.

    Attributes:
        url: where it listens, inside the block.
        log: all requests so far, in the order of coming.
        on_request: called with each request before anything is done with it; what it does in
            the meantime, on the server for example, has happened when the server is asked.
    """

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.log: list[Passage] = []
        self.on_request: Callable[[Request], Awaitable[None] | None] | None = None
        self._upstream = upstream.rstrip("/")
        self._rules: list[ProxyRule] = []
        self._connections: set[Connection] = set()
        self._asked: set[asyncio.Task[Response]] = set()
        self._client: httpx.AsyncClient | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        import httpx

        # Connections are not kept: a real server that answered 500 may break them.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            limits=limits, timeout=None, trust_env=False, verify=self._upstream.startswith("https")
        )
        self._client.headers.clear()  # the client's are passed on, and no others
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._answer, self._connections), "127.0.0.1", 0, backlog=1024
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._client is not None
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            await connection.end()
        await self._server.wait_closed()
        await self.settled()
        await self._client.aclose()

    async def settled(self) -> None:
        """Returns when the server has answered all that was passed on to it."""
        while self._asked:
            await asyncio.wait(self._asked)

    def fail(
        self,
        match: Match,
        fault: Fault,
        *,
        passed: bool = False,
        times: int | None = 1,
        skip: int = 0,
    ) -> ProxyRule:
        """Lets requests fail from now on; of several rules the first that strikes counts.

        Args:
            match: a pattern of method and path (`POST /threads`, `* /threads/*/history`), or
                a function of the request.
            fault: `Status(500)`, `Reset()`, `Hang()`, `CutBody()`, `CONFLICT`, …
            passed: whether the server gets the request all the same, and does what it says.
            times: how often, None for always.
            skip: so many matching requests are spared first.

        Raises:
            ValueError: the fault is made of the server's answer, and the server is not asked.
        """
        alone = isinstance(fault, Answer | Hang | Status) or fault == Reset()
        if not passed and not alone:
            raise ValueError(f"{fault} needs the server's answer; add passed=True")
        rule = ProxyRule(match, fault, times, skip=skip, passed=passed)
        self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """Forgets all rules and all that is in the log."""
        self._rules.clear()
        self.log.clear()

    def _answer(self, request: Request, connection: Connection) -> Awaitable[None]:
        # Counted here rather than later: the order of coming decides which request is struck.
        rule = next((rule for rule in self._rules if rule.strikes(request)), None)
        passage = Passage(request, fault=None if rule is None else rule.fault)
        self.log.append(passage)
        return self._pass(passage, rule, connection)

    async def _pass(self, passage: Passage, rule: ProxyRule | None, connection: Connection) -> None:
        import httpx

        if self.on_request is not None:
            said = self.on_request(passage.request)
            if inspect.isawaitable(said):
                await said
        response = Response()
        if rule is None or rule.passed:
            asked = asyncio.ensure_future(self._ask(passage))
            self._asked.add(asked)
            asked.add_done_callback(self._forget)
            try:
                response = await asyncio.shield(asked)
            except httpx.TransportError:
                connection.reset()
                return
        if rule is None:
            connection.send(response, formatdate(usegmt=True))
            return
        rule.struck.set()
        await rule.fault.send(connection, response, formatdate(usegmt=True))

    def _forget(self, asked: asyncio.Task[Response]) -> None:
        self._asked.discard(asked)
        if not asked.cancelled():
            asked.exception()  # retrieved, also when the client that wanted it has gone

    async def _ask(self, passage: Passage) -> Response:
        assert self._client is not None
        request = passage.request
        headers = [
            (k.encode("latin-1"), v.encode("latin-1"))
            for k, v in request.headers.items()
            if k not in _HOP
        ]
        url = self._upstream + request.target
        async with self._client.stream(
            request.method, url, headers=headers, content=request.body
        ) as answer:
            # As it came: what is compressed stays so.
            body = b"".join([part async for part in answer.aiter_raw()])
        passage.status = answer.status_code
        kept = {k: v for k, v in answer.headers.items() if k not in _HOP}
        content_type = kept.pop("content-type", "")
        return Response(body, answer.status_code, headers=kept, content_type=content_type)
