"""What belongs to the deployment comes whole: store, assistants with versions, crons."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import Assistant, Cron, Query, Record, RetryableError, StoreItem, ThreadError
from lgx.testing import Deployment, StubServer, make_context
from lgx.testing.stub import Answer, Request, Response, dump


async def extras(source: Any, kind: str, context: Any = None) -> list[Record]:
    return [r async for r in source.extras(kind, Query(), context or make_context())]


async def test_store_items_of_all_namespaces_come_once(make_source: Any) -> None:
    """Also of those below others, over many pages; and reading extends no item's life."""
    deployment = Deployment.sample(threads=1)
    for number in range(230):
        deployment.add_item(("users", f"u{number % 7}"), f"k{number}", {"n": number})
    deployment.add_item(("users",), "own", {"n": -1})
    deployment.add_item(("config",), "ключ", {"text": "Zoë"})
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        items = await extras(source, "store_item")
    keys = [(item.namespace, item.key) for item in items if isinstance(item, StoreItem)]
    assert len(keys) == len(set(keys)) == 232
    assert set(keys) == set(deployment.items)
    assert not any(item.refreshed for item in deployment.items.values())


async def test_items_that_are_added_and_removed_meanwhile_hide_no_other(make_source: Any) -> None:
    """Pages overlap, and go back where rows in front of them went away."""
    deployment = Deployment.sample(threads=1)
    for number in range(400):
        deployment.add_item(("a",), f"k{number}", number)
    lasting = {key for key in deployment.items if int(key[1][1:]) % 2}
    doomed = [key for key in deployment.items if key not in lasting]

    def change(request: Request) -> None:
        if request.endpoint == "store_items":
            for key in [doomed.pop() for _ in range(min(40, len(doomed)))]:
                del deployment.items[key]
            deployment.add_item(("a",), f"new{len(doomed)}", 0)

    async with StubServer(deployment) as stub:
        stub.on_request = change
        async with make_source(stub.url) as source:
            items = await extras(source, "store_item")
    keys = [(item.namespace, item.key) for item in items if isinstance(item, StoreItem)]
    assert len(keys) == len(set(keys))
    assert lasting <= set(keys)


async def test_assistants_come_in_all_versions_the_one_in_force_last(make_source: Any) -> None:
    deployment = Deployment.sample(threads=1)
    helper = deployment.add_assistant("agent", name="helper", config={"a": 1})
    for number in range(3):
        deployment.add_assistant_version(helper, config={"a": number + 2})
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        found = [a for a in await extras(source, "assistant") if isinstance(a, Assistant)]
    assert [(a.version, a.latest) for a in found if a.assistant_id == helper] == [
        (1, False),
        (2, False),
        (3, False),
        (4, True),
    ]
    assert {a.assistant_id for a in found} == set(deployment.assistants)


async def test_each_version_of_an_assistant_has_its_own_time_of_creation(make_source: Any) -> None:
    """Also the one in force, of which the server's search tells when the assistant was made."""
    deployment = Deployment()
    helper = deployment.add_assistant("agent", name="helper")
    for _ in range(2):
        deployment.add_assistant_version(helper)
    versions = deployment.assistants[helper]

    def search(request: Request) -> Response | None:
        if request.endpoint != "assistants":
            return None
        return Response(dump([{**versions[1], "created_at": versions[0]["created_at"]}]))

    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        stub.on_request = search
        found = [a for a in await extras(source, "assistant") if isinstance(a, Assistant)]
    assert [(a.version, a.latest) for a in found] == [(1, False), (3, False), (2, True)]
    for assistant in found:
        own = versions[assistant.version - 1]
        assert isinstance(assistant.extra, dict)
        assert bytes(assistant.extra["created_at"]) == dump(own["created_at"])
    assert isinstance(found[-1].extra, dict)
    assert bytes(found[-1].extra["updated_at"]) == dump(versions[1]["updated_at"])


async def test_an_assistant_that_is_deleted_meanwhile_hides_no_other(make_source: Any) -> None:
    """Its versions are refused, which does not mean that the server has no assistants."""
    deployment = Deployment()
    for number in range(3):
        deployment.add_assistant("agent", name=f"a{number}")
    ids = set(deployment.assistants)

    def delete(request: Request) -> None:
        if request.endpoint == "assistant_versions" and len(deployment.assistants) == len(ids):
            del deployment.assistants[request.path.split("/")[2]]

    context = make_context()
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        stub.on_request = delete
        found = await extras(source, "assistant", context)
    assert {a.assistant_id for a in found if isinstance(a, Assistant)} == ids
    (note,) = context.notes.values()
    assert "deleted meanwhile" in note.message


@pytest.mark.parametrize("kind", ["cron", "store_item"])
async def test_what_is_refused_in_the_middle_is_a_failure(kind: str, make_source: Any) -> None:
    """Not something that the server does not have."""
    deployment = Deployment()
    for number in range(250):
        deployment.add_cron()
        deployment.add_item(("a",), f"k{number}", number)
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        stub.fail("*", Answer(b'{"detail":"Not Found"}', 404)).skip = 1
        with pytest.raises(ThreadError, match="404"):
            await extras(source, kind)


@pytest.mark.parametrize("endpoint", ["namespaces", "store_items"])
@pytest.mark.parametrize("body", [b"{}", b'{"detail":"store is warming up"}'])
async def test_an_error_that_comes_as_a_success_is_no_empty_store(
    make_source: Any, endpoint: str, body: bytes
) -> None:
    """Once, it is asked again; for ever, it is a failure: what a target holds must not go."""
    deployment = Deployment.sample(threads=1)
    deployment.add_item(("a",), "k", 1)
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        stub.fail(endpoint, Answer(body), times=1)
        assert len(await extras(source, "store_item")) == 1
        stub.fail(endpoint, Answer(body))
        with pytest.raises(RetryableError, match="an object without"):
            await extras(source, "store_item")


async def test_crons_come_with_their_payload(make_source: Any) -> None:
    deployment = Deployment.sample(threads=1)
    made = [deployment.add_cron(payload={"input": {"n": number}}) for number in range(3)]
    async with StubServer(deployment) as stub, make_source(stub.url) as source:
        found = [cron for cron in await extras(source, "cron") if isinstance(cron, Cron)]
    assert sorted(cron.cron_id for cron in found) == sorted(cron["cron_id"] for cron in made)
    assert all(isinstance(cron.extra, dict) and "payload" in cron.extra for cron in found)


@pytest.mark.parametrize("kind", ["assistant", "cron", "store_item"])
async def test_what_a_server_does_not_have_is_noted(kind: str, make_source: Any) -> None:
    """Nothing comes, and the report says why."""
    async with StubServer(Deployment()) as stub:
        stub.fail("*", Answer(b'{"detail":"Not Found"}', 404))
        context = make_context()
        async with make_source(stub.url) as source:
            assert await extras(source, kind, context) == []
    (note,) = context.notes.values()
    assert kind.replace("_", " ") in note.message
