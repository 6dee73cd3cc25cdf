"""Which key is sent to which host.

`LANGSMITH_API_KEY` and `LANGGRAPH_API_KEY` are set on many machines for tracing. They are
not meant for one server, so a server that merely has a URL does not get them: only
LangChain's own domains and this machine do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult

from msgspec import Struct

from lgx import Secret, UsageError
from lgx_plugins.cloud.config import CloudConfig

__all__ = ["Key", "choose_key", "is_loopback"]

_SHARED_NAMES = ("LANGSMITH_API_KEY", "LANGGRAPH_API_KEY")
_OWN_DOMAINS = ("langchain.com", "langgraph.app")


class Key(Struct, frozen=True, kw_only=True):
    """What was chosen.

    Attributes:
        secret: to be sent as x-api-key; None: no key is sent.
        origin: where it came from, for messages.
        withheld: a variable that holds a key which this host is not trusted with.
    """

    secret: Secret | None = None
    origin: str = ""
    withheld: str | None = None


def choose_key(config: CloudConfig, url: SplitResult, environ: Mapping[str, str]) -> Key:
    """The key for this server.

    Raises:
        UsageError: a key would go over plain HTTP to another machine.
    """
    key = _find(config, url, environ)
    exposed = url.scheme == "http" and not is_loopback(url.hostname)
    if key.secret is not None and exposed and not config.insecure_key:
        raise UsageError(
            f"the key from {key.origin} would travel unencrypted to {url.hostname}; use "
            f"https://, or pass --{config.role}-insecure-key if the network in between is trusted"
        )
    return key


def _find(config: CloudConfig, url: SplitResult, environ: Mapping[str, str]) -> Key:
    if config.api_key is not None:
        # The option may be set to nothing, to send no key at all.
        text = _clean(config.api_key.reveal())
        return Key(secret=Secret(text) if text else None, origin=f"--{config.role}-api-key")
    own = _clean(environ.get(config.key_variable, ""))
    if own:
        return Key(secret=Secret(own), origin=config.key_variable)
    for name in _SHARED_NAMES:
        text = _clean(environ.get(name, ""))
        if not text:
            continue
        if _is_langchains(url.hostname) or is_loopback(url.hostname):
            return Key(secret=Secret(text), origin=name)
        return Key(withheld=name)
    return Key()


def _clean(text: str) -> str:
    """Without the spaces and quotes that .env files leave around a value."""
    return text.strip().strip("\"'").strip()


def _is_langchains(host: str | None) -> bool:
    return host is not None and any(
        host == domain or host.endswith("." + domain) for domain in _OWN_DOMAINS
    )


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
