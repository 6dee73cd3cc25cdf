"""The stub server: a deployment behind HTTP, with faults on demand and a count of everything."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any

from lgx.testing.stub.api import Api
from lgx.testing.stub.chains import dump
from lgx.testing.stub.deployment import Deployment
from lgx.testing.stub.faults import Fault, Match, Rule, fault_catalogue
from lgx.testing.stub.http import Connection, Request, Response
from lgx.testing.stub.quirks import Quirks

__all__ = ["StubServer"]

Hook = Callable[[Request], Awaitable[Response | None] | Response | None]


class StubServer:
    """A LangGraph server for tests, in this process.

        async with StubServer(Deployment.sample(threads=3)) as stub:
            stub.fail("history", Status(429), times=2)
            ...  # talk to stub.url
        assert stub.requests["history"] == 5

    Attributes:
        deployment: its data, which may be changed at any time.
        requests: answered so far, by endpoint: info, ok, search, count, thread, history,
            state, storage, runs, assistants, assistant_versions, crons, namespaces,
            store_items, delete, update, unknown. Faults count, too.
        on_request: called with each request before it is answered, for changes in between;
            what it returns, if anything, is the answer.
        delay: seconds from each request to its answer.
        largest_body: size of the largest answer made.
        most_in_flight: how many requests were being answered at once, at most.
    """

    def __init__(
        self,
        deployment: Deployment | None = None,
        *,
        quirks: Quirks | None = None,
        delay: float = 0.0,
        cache_bytes: int = 64 << 20,
    ) -> None:
        """`cache_bytes`: encoded answers that are kept; 0 makes each anew."""
        self.deployment = Deployment() if deployment is None else deployment
        self.quirks = quirks or Quirks()
        self.requests: Counter[str] = Counter()
        self.on_request: Hook | None = None
        self.delay = delay
        self.largest_body = 0
        self.most_in_flight = 0
        self.url = ""
        self._api = Api(self.deployment, self.quirks, cache_bytes)
        self._rules: list[Rule] = []
        self._in_flight = 0
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._date = (self.deployment.clock.now - timedelta(days=1), "")

    async def __aenter__(self) -> StubServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listens on loopback, on any free port by default."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._answer, self._connections), "127.0.0.1", port, backlog=1024
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stops listening and breaks all connections, as a server that dies."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            await connection.end()
        await self._server.wait_closed()
        self._server = None

    # -- faults ------------------------------------------------------------------------

    def fail(
        self,
        match: Match,
        fault: Fault | str,
        *,
        times: int | None = None,
        probability: float = 1.0,
        skip: int = 0,
        seed: int = 0,
    ) -> Rule:
        """Lets requests fail from now on; of several rules the first that strikes counts.

        Args:
            match: an endpoint (`history`), a pattern (`POST /threads/*/history`, `*`), or a
                function of the request.
            fault: a fault, or its name in `fault_catalogue()`.
            times: how often, None for always.
            probability: for each request that matches, drawn from `seed`.
            skip: so many matching requests are spared first.

        Returns:
            The rule; its `hits` counts how often it struck.
        """
        if isinstance(fault, str):
            fault = fault_catalogue()[fault]
        rule = Rule(match, fault, times, probability, skip, seed)
        self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """Forgets all faults."""
        self._rules.clear()

    # -- answering ---------------------------------------------------------------------

    def _answer(self, request: Request, connection: Connection) -> Awaitable[None] | None:
        if request.path.startswith("/-/"):
            connection.send(self._control(request), self._http_date())
            return None
        make = self._api.route(request)
        self.requests[request.endpoint] += 1
        fault = next((rule.fault for rule in self._rules if rule.strikes(request)), None)
        if fault is not None or self.delay or self.on_request is not None:
            return self._slowly(request, connection, make, fault)
        response = make()
        self.largest_body = max(self.largest_body, response.size)
        if response.pieces is not None:
            return connection.stream(response, self._http_date())
        connection.send(response, self._http_date())
        return None

    async def _slowly(
        self,
        request: Request,
        connection: Connection,
        make: Callable[[], Response],
        fault: Fault | None,
    ) -> None:
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            loop = asyncio.get_running_loop()
            due = loop.time() + self.delay
            # Made before the wait, unless something is to happen in it: making takes time, too.
            response = make() if self.on_request is None else None
            if self.delay:
                await asyncio.sleep(due - loop.time())
            if self.on_request is not None:
                said = self.on_request(request)
                response = await said if inspect.isawaitable(said) else said
            response = response or make()
            self.largest_body = max(self.largest_body, response.size)
            if fault is not None:
                await fault.send(connection, response, self._http_date())
            elif response.pieces is not None:
                await connection.stream(response, self._http_date())
            else:
                connection.send(response, self._http_date())
        finally:
            self._in_flight -= 1

    def _http_date(self) -> str:
        now = self.deployment.clock.now
        if self._date[0] != now:
            self._date = (now, format_datetime(now, usegmt=True))
        return self._date[1]

    def _control(self, request: Request) -> Response:
        """What `StubProcess` asks from another process."""
        body: dict[str, Any] = request.json()
        if request.path == "/-/fail":
            self.fail(**body)
        elif request.path == "/-/heal":
            self.heal()
        elif request.path == "/-/set":
            self.delay = body["delay"]
        counts = {
            "requests": dict(self.requests),
            "largest_body": self.largest_body,
            "most_in_flight": self.most_in_flight,
        }
        if request.path == "/-/reset":
            self.requests.clear()
            self.largest_body = self.most_in_flight = 0
        return Response(dump(counts))
