"""Targets that answer otherwise than the one that the tests have."""

from __future__ import annotations

import json

from lgx.testing import FaultProxy
from lgx.testing.stub import Fault, Status
from lgx.testing.stub.http import Connection, Response

from .fill import Filled
from .moving import labels, move
from .requests import Server


class AsBefore(Fault):
    """A thread as it was before the steps that came with the request, as servers answer that
    keep their threads in PostgreSQL."""

    async def send(self, connection: Connection, response: Response, date: str) -> None:
        thread = json.loads(response.whole())
        if response.status == 200:
            made = dict.fromkeys(("updated_at", "state_updated_at"), thread["created_at"])
            thread |= {**made, "status": "idle", "values": None, "interrupts": {}}
        content = json.dumps(thread).encode()
        connection.send(Response(content, response.status), date)


async def test_the_answer_to_steps_may_be_the_thread_before_them(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """Nothing is told of it that is not so, and a newer copy takes the older's place."""
    some = {name: source.threads[name] for name in ("relay-one", "loop-turns")}
    proxy.fail("POST /threads", AsBefore(), passed=True, times=None)
    report = await move(source.url, proxy.url, some.values())
    assert (report.exit_code, report.threads.written) == (0, 2)
    assert [loss.what for loss in report.losses if loss.what.startswith("status")] == []
    async with Server(target) as server:
        for thread_id, label in (await labels(target)).items():
            older = {"metadata": {"lgx": {**label, "version": "older"}}}
            await server.patch(f"/threads/{thread_id}", older)
    again = await move(source.url, proxy.url, some.values())
    assert (again.exit_code, again.threads.written) == (0, 2), again.failures


async def test_a_server_need_not_know_all_fields_of_a_thread(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """Older ones refuse a question that names one which they do not have."""
    thread_id = source.threads["relay-one"]
    proxy.fail(lambda request: b"state_updated_at" in request.body, Status(422), times=None)
    report = await move(source.url, proxy.url, [thread_id])
    assert (report.exit_code, report.threads.written) == (0, 1), report.failures
    again = await move(source.url, proxy.url, [thread_id], full=True)
    assert (again.exit_code, again.threads.written) == (0, 1), again.failures
