"""A key goes to the server that it is meant for, and nowhere else."""

from __future__ import annotations

import traceback
from typing import Any
from urllib.parse import urlsplit

import pytest

from lgx import FatalError, Query, Secret, UsageError
from lgx.testing import Deployment, Quirks, StubServer, make_context
from lgx.testing.stub import Status
from lgx_plugins.cloud.address import Address
from lgx_plugins.cloud.config import CloudSourceConfig
from lgx_plugins.cloud.keys import choose_key, is_loopback

HOSTED = "https://my-agent-0a1b.us.langgraph.app"
OWN = "https://agents.example.org"
SHARED = {"LANGSMITH_API_KEY": "shared-smith", "LANGGRAPH_API_KEY": "shared-graph"}


def chosen(url: str, environ: dict[str, str], **options: object) -> tuple[str | None, str | None]:
    config = CloudSourceConfig(url=url, **options)  # type: ignore[arg-type]
    key = choose_key(config, urlsplit(url), environ)
    return (key.secret.reveal() if key.secret else None), key.withheld


def test_the_option_goes_before_every_variable() -> None:
    environ = SHARED | {"LANGSMITH_SOURCE_API_KEY": "named"}
    assert chosen(OWN, environ, api_key=Secret("option")) == ("option", None)


def test_the_sources_own_variable_goes_before_the_shared_ones() -> None:
    environ = SHARED | {"LANGSMITH_SOURCE_API_KEY": "named"}
    assert chosen(OWN, environ) == ("named", None)
    assert chosen(HOSTED, environ) == ("named", None)


@pytest.mark.parametrize(
    "url",
    [
        HOSTED,
        "https://api.smith.langchain.com",
        "https://langchain.com",
        "http://localhost:2024",
        "http://127.0.0.1:2024",
        "http://[::1]:2024",
    ],
)
def test_shared_keys_go_to_langchains_domains_and_this_machine(url: str) -> None:
    assert chosen(url, SHARED) == ("shared-smith", None)
    assert chosen(url, {"LANGGRAPH_API_KEY": ' "quoted" '}) == ("quoted", None)


@pytest.mark.parametrize(
    "url",
    [
        OWN,
        "https://langgraph.app.evil.example",
        "https://evil-langgraph.app",
        "https://notlangchain.com",
        "https://localhost.example",
        "https://127.0.0.1.example",
        "https://10.0.0.1",
    ],
)
def test_shared_keys_are_withheld_from_every_other_host(url: str) -> None:
    assert chosen(url, SHARED) == (None, "LANGSMITH_API_KEY")


def test_a_key_does_not_travel_unencrypted() -> None:
    """Over plain HTTP to another machine only where that was asked for."""
    with pytest.raises(UsageError, match="unencrypted"):
        chosen("http://agents.example.org", {}, api_key=Secret("k"))
    assert chosen("http://agents.example.org", {}) == (None, None)
    key = chosen("http://agents.example.org", {}, api_key=Secret("k"), insecure_key=True)
    assert key == ("k", None)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("example.org", False),
        (None, False),
    ],
)
def test_loopback_is_this_machine(host: str | None, loopback: bool) -> None:
    assert is_loopback(host) is loopback


async def test_the_key_and_headers_reach_the_server(make_source: Any) -> None:
    """x-api-key, custom headers, and the scheme for deployments with custom authentication."""
    seen: list[dict[str, str]] = []
    async with StubServer(Deployment(), quirks=Quirks(api_key="good")) as stub:
        stub.on_request = lambda request: seen.append(dict(request.headers))
        options = {"headers": {"X-Team": Secret("blue")}, "auth_scheme": "langsmith"}
        async with make_source(stub.url, api_key="good", **options) as source:
            assert [ref async for ref in source.list(Query(), make_context())] == []
    assert seen[0]["x-api-key"] == "good"
    assert seen[0]["x-team"] == "blue"
    assert seen[0]["x-auth-scheme"] == "langsmith"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_told_with_the_remedy(status: int, make_source: Any) -> None:
    """Which key was sent, and what to do; never the key itself."""
    async with StubServer(Deployment(), quirks=Quirks(api_key="x", auth_status=status)) as stub:
        for key, remedy in [("wrong-key", "the key from"), (None, "no key was sent")]:
            async with make_source(stub.url, api_key=key) as source:
                with pytest.raises(FatalError, match=remedy) as caught:
                    await source.versions(make_context())
                assert "wrong-key" not in str(caught.value)
                with pytest.raises(FatalError, match=remedy):
                    _ = [ref async for ref in source.list(Query(), make_context())]


@pytest.mark.parametrize("value", ["sécret", "secret\r\nX-Evil: 1", "secret\0"])
@pytest.mark.parametrize("name", ["x-team", "api-key"])
async def test_a_malformed_secret_is_a_usage_error_that_does_not_show_it(
    name: str, value: str, make_source: Any
) -> None:
    """Whether it is a header's or the key."""
    options: dict[str, Any] = {"headers": {name: Secret(value)}}
    if name == "api-key":
        options = {"api_key": value}
    source = make_source("http://127.0.0.1:1", **options)
    with pytest.raises(UsageError, match=f"{name} is malformed|{name}' is malformed") as caught:
        await source.__aenter__()
    assert "cret" not in str(caught.value)


async def test_no_secret_shows_in_what_a_source_says(make_source: Any) -> None:
    """Key, headers and the URL's password: not in errors, identity, facts or the config."""
    secrets = ["canary-key", "canary-header", "canary-password"]
    async with StubServer(Deployment()) as stub:
        url = stub.url.replace("http://", f"http://user:{secrets[2]}@")
        headers = {"x-team": Secret(secrets[1])}
        async with make_source(url, api_key=secrets[0], headers=headers) as source:
            said = [await source.identity(), repr(await source.probe(make_context()))]
            said.append(repr(source.config.headers) + repr(source.config.api_key))
            stub.fail("*", Status(403))
            with pytest.raises(FatalError) as caught:
                await source.versions(make_context())
            said.append("".join(traceback.format_exception(caught.value)))
    assert not any(secret in text for secret in secrets for text in said)


async def test_an_api_key_given_as_a_header_is_refused(make_source: Any) -> None:
    source = make_source("http://127.0.0.1:1", headers={"X-Api-Key": Secret("k")})
    with pytest.raises(UsageError, match="api-key"):
        await source.__aenter__()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Host.Example/", "https://host.example"),
        ("https://host.example:443/base/?x=1#y", "https://host.example/base"),
        ("http://host.example:80", "http://host.example"),
        ("http://user:secret@host.example:8123/a/", "http://host.example:8123/a"),
        (" http://[::1]:2024 ", "http://[::1]:2024"),
    ],
)
def test_an_address_is_normalised_and_holds_no_secret(text: str, url: str) -> None:
    assert Address(text).url == url


@pytest.mark.parametrize("text", ["", "host", "host:2024", "ftp://host", "http://", "http://h:x"])
def test_what_is_no_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="url"):
        _ = Address(text).url


def test_user_and_password_of_a_url_become_a_header() -> None:
    assert Address("http://u:p%40@h").authorization() == "Basic dTpwQA=="
    assert Address("http://h").authorization() is None


async def test_the_environments_proxy_is_used(
    make_source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that only a proxy can reach is asked through it, unless NO_PROXY names it."""
    paths: list[str] = []
    async with StubServer(Deployment()) as proxy:
        proxy.on_request = lambda request: paths.append(request.path)
        monkeypatch.setenv("http_proxy", proxy.url)
        async with make_source("http://lgx.invalid") as source:
            with pytest.raises(FatalError):
                await source.versions(make_context(attempts=1))
        assert len(paths) == 1
        monkeypatch.setenv("no_proxy", "lgx.invalid")
        async with make_source("http://lgx.invalid") as source:
            with pytest.raises(FatalError, match="no answer"):
                await source.versions(make_context(attempts=1))
        assert len(paths) == 1


def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going past it in silence could send a key the wrong way."""
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(UsageError, match="socks5"):
        Address("https://host.example")
