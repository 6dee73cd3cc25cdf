"""The connection: one HTTP client, made by langgraph-sdk, whose bodies are read as bytes."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterable, AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from lgx import Context, RetryableError, ThreadError, UsageError, split_object
from lgx_plugins.cloud.address import Address
from lgx_plugins.cloud.answers import (
    Answer,
    TooLargeError,
    check_content,
    excerpt,
    failure,
)
from lgx_plugins.cloud.config import CloudSourceConfig
from lgx_plugins.cloud.keys import Key, choose_key

if TYPE_CHECKING:
    import ssl

    import aiohttp
    import httpx
    from aiohttp.connector import Connection
    from langgraph_sdk.client import LangGraphClient

__all__ = ["Client"]

_CONNECT_SECONDS = 15.0
_SLOWEST = 1024  # bytes a second; slower than this is taken for a connection that hangs
_LARGEST_ERROR = 64 << 10


class Client:
    """Asks one server; says what each failure means, and retries nothing by itself.

    Not open until entered. Redirects are not followed.
    """

    def __init__(self, config: CloudSourceConfig) -> None:
        self._config = config
        self._address: Address | None = None
        self._sdk: LangGraphClient | None = None
        self._transport: httpx.AsyncBaseTransport | None = None
        self._plain_headers: httpx.Headers | None = None
        self._json_headers: httpx.Headers | None = None
        self._extensions: dict[str, Any] = {}
        self._most = config.max_answer << 20
        self.key = Key()

    @property
    def address(self) -> Address:
        if self._address is None:
            self._address = Address(self._config.url)
        return self._address

    @property
    def url(self) -> str:
        return self.address.url

    async def __aenter__(self) -> Client:
        import httpx
        from httpx_aiohttp import AiohttpTransport
        from langgraph_sdk import get_client
        from langgraph_sdk.client import LangGraphClient

        self.key = choose_key(self._config, self.address.parts, os.environ)
        headers = self._headers()
        # The SDK says how its requests authenticate; its own transport is given up unused
        # for one that is several times as fast.
        secret = self.key.secret.reveal() if self.key.secret else None
        if secret and (not secret.isascii() or any(c in secret for c in "\r\n\0")):
            raise UsageError(
                f"the key from {self.key.origin} is malformed; a key is one line of ASCII"
            )
        made = get_client(url=self.url, api_key=secret, headers=headers)
        proxy = self.address.proxy
        transport = AiohttpTransport(
            client=lambda: _session(transport.ssl_context),
            proxy=httpx.Proxy(proxy) if proxy else None,
        )
        timeout = httpx.Timeout(
            self._config.timeout, connect=min(_CONNECT_SECONDS, self._config.timeout), pool=None
        )
        http = httpx.AsyncClient(
            base_url=self.url,
            headers=made.http.client.headers,
            transport=transport,
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
        )
        await made.aclose()
        self._sdk = LangGraphClient(http)
        # Requests go to the client's transport without the client's own layers (redirects,
        # cookies, merging of URLs), which take as long as all the rest of a small request.
        self._transport = transport
        self._plain_headers = http.headers
        self._json_headers = httpx.Headers({**http.headers, "content-type": "application/json"})
        self._extensions = {"timeout": timeout.as_dict()}
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._sdk is not None:
            await self._sdk.aclose()
            self._sdk = self._transport = None

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, value in self._config.headers.items():
            text = value.reveal()
            if name.lower() == "x-api-key":
                raise UsageError(
                    "the header x-api-key is set by the option api-key; give the key there"
                )
            if not (name + text).isascii() or any(c in name + text for c in "\r\n\0"):
                raise UsageError(
                    f"the header {name!r} is malformed; name and value are one line of ASCII"
                )
            headers[name.lower()] = text
        authorization = self.address.authorization()
        if authorization and "authorization" not in headers:
            headers["authorization"] = authorization
        if self._config.auth_scheme:
            headers["x-auth-scheme"] = self._config.auth_scheme
        return headers

    # -- one request ------------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        payload: object = None,
        *,
        opening: bytes,
        what: str,
        most: int | None = None,
        holds: str | None = None,
    ) -> Answer:
        """One request, and its answer as it came, when it is JSON that begins so.

        Args:
            path: below the server's address, quoted, with its query.
            payload: what is sent as JSON; bytes are sent as they are.
            most: bytes that the answer may have, in place of the option's bound.
            holds: a member that the answer, an object, must have.

        Raises:
            RetryableError: it may pass.
            RefusedError: it will not.
            TooLargeError: the answer is larger than `most`.
        """
        import aiohttp
        import httpx

        assert self._transport is not None, "the client is not open"
        headers, content = self._plain_headers, None
        if payload is not None:
            headers = self._json_headers
            content = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        try:
            request = httpx.Request(
                method,
                self.url + path,
                headers=headers,
                content=content,
                extensions=self._extensions,
            )
            response = await self._transport.handle_async_request(request)
            try:
                status, got = response.status_code, _plain(response.headers)
                if 200 <= status < 300:
                    body = await self._read(response, self._most if most is None else most, what)
                else:
                    raise failure(status, got, await _read_some(response), what)
            finally:
                await response.aclose()
        except httpx.DecodingError as error:
            raise RetryableError(f"the answer to the {what} cannot be unpacked: {error}") from None
        except httpx.InvalidURL as error:
            raise ThreadError(f"the {what} has no valid URL: {error}") from None
        except httpx.TimeoutException as error:
            # Both a silent server and, by the transport's own account, a lost connection.
            reason = str(error) or f"silent for {self._config.timeout:g} s"
            raise RetryableError(f"no answer: {reason}", outage=True) from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError, EOFError) as error:
            raise RetryableError(f"no answer: {_reason(error)}", outage=True) from None
        check_content(status, got, body, opening=opening, what=what)
        if holds is not None and holds not in split_object(body):
            # An error that came as a success must not pass for an empty list.
            raise RetryableError(
                f"the server gave, as {what}, an object without {holds!r}: {excerpt(body)}",
                status=status,
            )
        return Answer(body, got.get("date"))

    async def _read(self, response: httpx.Response, most: int, what: str) -> bytes:
        chunks: list[bytes] = []
        size = 0
        started = time.monotonic()
        # What is not compressed is taken from the stream itself, past httpx's layers.
        packed = "content-encoding" in response.headers
        async for chunk in response.aiter_bytes() if packed else _stream(response):
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                raise TooLargeError(
                    f"the {what} is larger than {most} bytes; --source-max-answer sets the bound"
                )
            elapsed = time.monotonic() - started
            if elapsed > self._config.timeout and size < elapsed * _SLOWEST:
                raise RetryableError(
                    f"the {what} drips in at less than {_SLOWEST} bytes a second", outage=True
                )
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    # -- through the engine -----------------------------------------------------------

    async def light(
        self,
        context: Context,
        method: str,
        path: str,
        payload: object = None,
        *,
        opening: bytes,
        what: str,
        attempts: int | None = None,
        holds: str | None = None,
    ) -> Answer:
        """A small answer, retried by the engine; counted, but not under the memory budget."""

        async def call() -> Answer:
            return await self.ask(method, path, payload, opening=opening, what=what, holds=holds)

        answer = await context.request(call, what=what, attempts=attempts)
        context.received(len(answer.body))
        return answer


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """The headers by their names in small letters, the last of each."""
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in headers.raw}


def _stream(response: httpx.Response) -> AsyncIterator[bytes]:
    assert isinstance(response.stream, AsyncIterable)
    return response.stream.__aiter__()


def _reason(error: BaseException) -> str:
    """Why there was no answer; the system's own words, without the layers around them."""
    cause: BaseException | None = error
    while cause is not None:
        told = getattr(cause, "os_error", cause)
        if isinstance(told, OSError) and told.strerror and not told.strerror.startswith("["):
            return told.strerror[:1].lower() + told.strerror[1:]
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split()) or type(error).__name__


async def _read_some(response: httpx.Response) -> bytes:
    """The begin of an error's body."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= _LARGEST_ERROR:
            break
    return body


def _session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    """The session under the transport: as many connections as the engine asks for, none of
    the environment's `.netrc`, no cookies.
    """
    import aiohttp

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
        connector=aiohttp.TCPConnector(limit=0, ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=1 << 18,
        response_class=Response,
    )
