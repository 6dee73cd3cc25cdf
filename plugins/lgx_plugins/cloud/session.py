"""The connections to one server: a pool of aiohttp's, with the headers that the SDK would send.

The SDK's client takes any transport of httpx, but a request through httpx's layers costs four
times as much as one given to aiohttp itself, and an export is made of requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from aiohttp.connector import Connection

__all__ = ["open_session"]

_CONNECT_SECONDS = 15.0
_BUFFER = 1 << 18

# aiohttp says itself what it can unpack, and where it sends to.
_OWN = frozenset({"accept-encoding", "connection", "host", "content-length"})


def open_session(headers: Mapping[str, str], *, proxy: str | None, timeout: float) -> ClientSession:
    """As many connections as the engine asks for; none of the environment's `.netrc`, no
    cookies, no redirects.

    Args:
        timeout: seconds of silence after which a request is given up.
    """
    import aiohttp
    import httpx
    from yarl import URL

    class Response(aiohttp.ClientResponse):
        """Leaves no connection behind that brought an internal error.

        Servers drop it without having said so, and what is sent in between is lost.
        """

        async def start(self, connection: Connection) -> Response:
            protocol = connection.protocol
            await super().start(connection)
            if self.status >= 500 and protocol is not None:
                if self.connection is None:  # all has come already, and it was given back
                    protocol.close()
                else:
                    protocol.force_close()
            return self

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=httpx.create_ssl_context()),
        headers={name: value for name, value in headers.items() if name.lower() not in _OWN},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=min(_CONNECT_SECONDS, timeout), sock_read=timeout
        ),
        proxy=URL(proxy) if proxy else None,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_BUFFER,
        response_class=Response,
    )
