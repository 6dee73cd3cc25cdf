"""A history that the server refuses to give whole is never taken for a whole one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lgx.testing import Deployment, Quirks, StubServer, StubThread
from lgx.testing.stub import Request, Response

Hook = Callable[[Request], Response | None]
CHILD = "child:11111111-1111-4111-8111-111111111111"


def made(deployment: Deployment, *, namespace: str = "") -> StubThread:
    """A thread of 31 checkpoints in one namespace."""
    thread = deployment.add_thread()
    if namespace:
        task = {"id": "1", "checkpoint": {"checkpoint_ns": namespace}}
        thread.add_checkpoint({"n": 0}, tasks=[task])
    for number in range(31):
        thread.add_checkpoint({"n": number}, namespace=namespace)
    return thread


def refuse_page(number: int, status: int, namespace: str = "") -> Hook:
    """Refuses a namespace's history from one of its pages on; the first is 1."""
    asked = 0

    def hook(request: Request) -> Response | None:
        nonlocal asked
        if request.endpoint != "history":
            return None
        place = (request.json().get("checkpoint") or {}).get("checkpoint_ns", "")
        if place != namespace:
            return None
        asked += 1
        detail = json.dumps({"detail": "no more of it"}).encode()
        return Response(detail, status) if asked >= number else None

    return hook


@pytest.mark.parametrize("status", [400, 404, 409, 422])
@pytest.mark.parametrize("namespace", ["", CHILD])
@pytest.mark.parametrize(("storage", "missing"), [(True, 11), (False, 1)])
async def test_a_refusal_between_the_pages_is_a_loss(
    status: int, namespace: str, storage: bool, missing: int, read: Any
) -> None:
    """With the server's words; what had come stays, and is compared with what is stored."""
    deployment = Deployment()
    thread = made(deployment, namespace=namespace)
    async with StubServer(deployment, quirks=Quirks(storage=storage)) as stub:
        stub.on_request = refuse_page(3, status, namespace)
        result = await read(stub.url, page_size=10)
    assert result.outcomes == {thread.thread_id: "partial"}
    came = [place for place in result.states(thread.thread_id) if place[0] == namespace]
    assert len(came) == 20
    assert sum(loss.checkpoints for loss in result.losses) == missing
    assert [loss.what for loss in result.losses if "no more of it" in loss.why] == [
        f"the rest of namespace {namespace!r}"
    ]


async def test_a_refusal_behind_a_checkpoint_without_parent_is_a_loss(read: Any) -> None:
    """No open end tells that more was to come: only the refusal does."""
    deployment = Deployment()
    thread = made(deployment)
    for checkpoint in thread.chains[""].given:
        checkpoint.parent_id = None
    async with StubServer(deployment, quirks=Quirks(storage=False)) as stub:
        stub.on_request = refuse_page(3, 404)
        result = await read(stub.url, page_size=10)
    assert result.outcomes == {thread.thread_id: "partial"}
    assert [loss.what for loss in result.losses] == ["the rest of namespace ''"]


async def test_namespaces_are_read_also_where_the_root_is_refused_in_the_middle(read: Any) -> None:
    """Those that the pages before it named."""
    deployment = Deployment()
    thread = made(deployment)
    task = {"id": "1", "checkpoint": {"checkpoint_ns": CHILD}}
    thread.add_checkpoint({"n": 31}, tasks=[task])
    thread.add_checkpoint({"in": "child"}, namespace=CHILD)
    async with StubServer(deployment) as stub:
        stub.on_request = refuse_page(3, 404)
        result = await read(stub.url, page_size=10)
    came = result.states(thread.thread_id)
    assert [place[0] for place in came] == [""] * 20 + [CHILD]
    assert sum(loss.checkpoints for loss in result.losses) == 12


async def test_a_refused_namespace_of_which_all_has_come_is_no_loss(read: Any) -> None:
    """The storage count decides: a form of the name that the server refuses may be empty."""
    deployment = Deployment()
    thread = made(deployment, namespace=CHILD)
    async with StubServer(deployment) as stub:
        stub.on_request = refuse_page(1, 404, "child")
        result = await read(stub.url)
    assert result.outcomes == {thread.thread_id: "complete"}
    assert not result.losses


@pytest.mark.parametrize("storage", [True, False])
async def test_a_broken_history_that_cannot_be_asked_for_by_step_is_a_loss(
    storage: bool, read: Any
) -> None:
    """The first page fails, and the filter that would save the others is refused."""

    def hook(request: Request) -> Response | None:
        if request.endpoint == "history" and "metadata" in request.json():
            return Response(b'{"detail":"no such filter"}', 422)
        return None

    deployment = Deployment()
    thread = made(deployment)
    thread.update(values=None)
    thread.poison(29)
    async with StubServer(deployment, quirks=Quirks(storage=storage)) as stub:
        stub.on_request = hook
        result = await read(stub.url)
    assert result.outcomes == {thread.thread_id: "partial"}
    assert any("no such filter" in loss.why for loss in result.losses)
    assert sum(loss.checkpoints for loss in result.losses) == (31 if storage else 0)
