"""Before anything is written: the target answers, takes the key, and what is wrong is said."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import lgx
from lgx import Secret
from lgx.testing import Deployment, StubServer, make_context
from lgx.testing.stub import Quirks, Request
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.sink import CloudSink

NAMES = (
    *("LANGSMITH_TARGET_API_KEY", "LANGSMITH_SOURCE_API_KEY"),
    *("LANGSMITH_API_KEY", "LANGGRAPH_API_KEY"),
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys of whoever runs the tests."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def source() -> AsyncIterator[StubServer]:
    async with StubServer(Deployment.sample(threads=2, checkpoints=2, size=300)) as server:
        yield server


@pytest.fixture
async def target() -> AsyncIterator[StubServer]:
    """A server that wants the key `right`, and whose threads nobody has written."""
    async with StubServer(Deployment(), quirks=Quirks(api_key="right")) as server:
        yield server


async def move(source: StubServer, url: str, **options: object) -> lgx.Report:
    return await lgx.run_async(
        lgx.use("cloud", url=source.url), lgx.use("cloud", url=url, **options)
    )


async def test_without_a_key_the_option_is_named(source: StubServer, target: StubServer) -> None:
    with pytest.raises(lgx.FatalError) as caught:
        await move(source, target.url)
    assert "set LANGSMITH_TARGET_API_KEY, or pass --sink-api-key env:NAME" in str(caught.value)


async def test_a_wrong_key_is_named_by_its_origin_and_never_shown(
    source: StubServer, target: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGSMITH_TARGET_API_KEY", "wrong-secret-key")
    with pytest.raises(lgx.FatalError) as caught:
        await move(source, target.url)
    assert "the key from LANGSMITH_TARGET_API_KEY is not valid" in str(caught.value)
    assert "--sink-headers" in str(caught.value)
    assert "wrong-secret-key" not in str(caught.value)


async def test_the_key_of_the_source_never_goes_to_the_target(
    source: StubServer, target: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor that of the target to the source, whatever is in the environment."""
    monkeypatch.setenv("LANGSMITH_SOURCE_API_KEY", "of-the-source")
    monkeypatch.setenv("LANGSMITH_TARGET_API_KEY", "right")
    sent: dict[str, set[str | None]] = {"source": set(), "target": set()}

    def note(side: str, request: Request) -> None:
        sent[side].add(request.headers.get("x-api-key"))

    source.on_request = lambda request: note("source", request)
    target.on_request = lambda request: note("target", request)
    await lgx.run_async(
        lgx.use("cloud", url=source.url), lgx.use("cloud", url=target.url), dry_run=True
    )
    assert sent == {"source": {"of-the-source"}, "target": {"right"}}


async def test_nothing_is_written_where_no_server_is(source: StubServer) -> None:
    """A wrong address ends the run before a thread is read."""
    asked: list[str] = []
    source.on_request = lambda request: asked.append(request.path)
    with pytest.raises(lgx.FatalError, match=r"see that http://127\.0\.0\.1:9 is right"):
        await move(source, "http://127.0.0.1:9")
    assert not any(path.endswith("/history") for path in asked)


async def test_doctor_looks_at_a_target(target: StubServer) -> None:
    """Address, key, version and the graphs that it runs."""
    context = make_context()
    async with CloudSink(CloudSinkConfig(url=target.url, api_key=Secret("right"))) as sink:
        found = await sink.probe(context)
    facts = {fact.name: fact for fact in found.facts}
    assert facts["address"].value == target.url
    assert facts["key"].value == "from --sink-api-key"
    assert facts["version"].level == "ok"
    assert facts["graphs"].level == "ok"
