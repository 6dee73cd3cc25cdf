"""The server's address: checked, normalised, and free of secrets where it is shown."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from lgx import ThreadError, UsageError

__all__ = ["Address", "path_of"]

_PORTS = {"http": 80, "https": 443}


class Address:
    """Where the server is.

    Attributes:
        parts: the URL as it was given.
        url: scheme, host, port and path prefix, without credentials, query and final slash.
        proxy: the proxy that the environment names for this host, None for none.
    """

    def __init__(
        self, text: str, environ: Mapping[str, str] = os.environ, *, role: str = "source"
    ) -> None:
        """Raises:
        UsageError: the text is not the URL of an HTTP server.
        """
        try:
            self.parts: SplitResult = urlsplit(text.strip())
            port = self.parts.port
        except ValueError as error:
            raise UsageError(f"the {role}'s url is not a URL: {error}") from None
        host = self.parts.hostname
        if self.parts.scheme not in _PORTS or not host:
            raise UsageError(
                f"the {role}'s url {_shown(self.parts)!r} is not the URL of a server; "
                "write it as https://host or http://localhost:2024"
            )
        place = f"[{host}]" if ":" in host else host
        if port is not None and port != _PORTS[self.parts.scheme]:
            place += f":{port}"
        self.url = f"{self.parts.scheme}://{place}{self.parts.path.rstrip('/')}"
        self.proxy = _proxy(self.parts.scheme, host, environ)

    def authorization(self) -> str | None:
        """The header that user and password of the URL stand for."""
        if self.parts.username is None:
            return None
        pair = f"{unquote(self.parts.username)}:{unquote(self.parts.password or '')}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.hostname or ''}" if parts.scheme else parts.path


def _proxy(scheme: str, host: str, environ: Mapping[str, str]) -> str | None:
    """The environment's proxy; httpx looks for one only when it has a transport of its own."""
    if environ is not os.environ:
        return None
    proxies = getproxies_environment()
    if proxy_bypass(host):
        return None
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = "http://" + proxy
    if urlsplit(proxy).scheme not in _PORTS:
        raise UsageError(
            f"the environment names a {urlsplit(proxy).scheme} proxy for {host}, and only "
            "http proxies are supported; unset it, or add the host to NO_PROXY"
        )
    return proxy


def path_of(thread_id: str, rest: str = "") -> str:
    """The path of a thread, or of what belongs to it.

    Raises:
        ThreadError: the id would lead to another path, however it is quoted.
    """
    if thread_id in ("", ".", ".."):
        raise ThreadError(f"the thread id {thread_id!r} cannot be part of a URL")
    return f"/threads/{quote(thread_id, safe='')}{rest}"
