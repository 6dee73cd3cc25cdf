"""One request after another over connections that are sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from lgx import RetryableError
from lgx.testing import Deployment, Quirks, StubServer, make_context
from lgx.testing.stub import Fault
from lgx.testing.stub.http import Connection, Response


@dataclass(frozen=True)
class Recorded(Fault):
    """The right answer, or one of a status; remembers which connections carried an answer."""

    status: int = 200
    used: list[Connection] = field(default_factory=list)

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        self.used.append(connection)
        answer = response if self.status == 200 else Response(b'{"detail":"no"}', self.status)
        connection.send(answer, date)


@dataclass(frozen=True)
class Worn(Fault):
    """The right answer; but a connection that carried an internal error carries nothing more."""

    spoilt: set[Connection] = field(default_factory=set)

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        if connection in self.spoilt:
            connection.reset()
            return
        if response.status >= 500:
            self.spoilt.add(connection)
        connection.send(Response(response.whole(), response.status), date)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_connection_that_brought_an_internal_error_is_closed(
    status: int, make_source: Any
) -> None:
    """Many servers drop it without a word, and the next request would be lost."""
    async with StubServer(Deployment()) as stub, make_source(stub.url) as source:
        fault = Recorded(status)
        stub.fail("*", fault)
        for _ in range(3):
            with pytest.raises(RetryableError):
                await source._client.ask("GET", "/info", opening=b"{", what="info")
        assert len(set(fault.used)) == 3


@pytest.mark.parametrize("fault", [Recorded(), Recorded(404), Recorded(429)])
async def test_other_connections_are_used_again(fault: Recorded, make_source: Any) -> None:
    """Also after a refusal."""
    async with StubServer(Deployment()) as stub, make_source(stub.url) as source:
        stub.fail("*", fault)
        for _ in range(3):
            if fault.status == 200:
                await source._client.ask("GET", "/info", opening=b"{", what="info")
            else:
                with pytest.raises(Exception, match=str(fault.status)):
                    await source._client.ask("GET", "/info", opening=b"{", what="info")
        assert len(set(fault.used)) == 1


async def test_a_poisoned_thread_is_saved_with_two_attempts(read: Any) -> None:
    """Each internal error costs one attempt, and not also the request after it."""
    deployment = Deployment.sample(threads=2, checkpoints=40, size=300)
    (bad, sound) = deployment
    bad.poison(5, 21)
    async with StubServer(deployment, quirks=Quirks(drops_after_500=False)) as stub:
        stub.fail("*", Worn())
        result = await read(stub.url, context=make_context(attempts=2))
    assert result.outcomes == {bad.thread_id: "partial", sound.thread_id: "complete"}
    assert len(result.states(bad.thread_id)) == 38
    assert result.context.progress.retries <= 12
