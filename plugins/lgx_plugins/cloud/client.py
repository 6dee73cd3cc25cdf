"""The connection: one HTTP client, made by langgraph-sdk, whose bodies are read as bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from lgx import Context, RetryableError, ThreadError, UsageError, split_object
from lgx_plugins.cloud.address import Address
from lgx_plugins.cloud.answers import (
    Answer,
    TooLargeError,
    UnknownFateError,
    check_content,
    excerpt,
    failure,
)
from lgx_plugins.cloud.config import CloudConfig
from lgx_plugins.cloud.keys import Key, choose_key
from lgx_plugins.cloud.session import open_session

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["Client"]

_SLOWEST = 1024  # bytes a second; slower than this is taken for a connection that hangs
_LARGEST_ERROR = 64 << 10
_AT_ONCE = 256 << 10
_JSON = {"content-type": "application/json"}


class Client:
    """Asks one server; says what each failure means, and retries nothing by itself.

    Not open until entered. Redirects are not followed.
    """

    def __init__(self, config: CloudConfig) -> None:
        self.config = config
        self._address: Address | None = None
        self._session: ClientSession | None = None
        self._most = config.max_answer << 20
        self.key = Key()

    @property
    def address(self) -> Address:
        if self._address is None:
            self._address = Address(self.config.url, role=self.config.role)
        return self._address

    @property
    def url(self) -> str:
        return self.address.url

    async def __aenter__(self) -> Client:
        from langgraph_sdk import get_client

        self.key = choose_key(self.config, self.address.parts, os.environ)
        headers = self._headers()
        secret = self.key.secret.reveal() if self.key.secret else None
        if secret and (not secret.isascii() or any(c in secret for c in "\r\n\0")):
            raise UsageError(
                f"the key from {self.key.origin} is malformed; a key is one line of ASCII"
            )
        # The SDK says how its requests authenticate; the connections under its client are
        # given up unused for those that read bodies several times as fast.
        async with get_client(url=self.url, api_key=secret, headers=headers) as made:
            authenticated = dict(made.http.client.headers)
        self._session = open_session(
            authenticated, proxy=self.address.proxy, timeout=self.config.timeout
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, value in self.config.headers.items():
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
        if self.config.auth_scheme:
            headers["x-auth-scheme"] = self.config.auth_scheme
        return headers

    # -- one request ------------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        payload: object = None,
        *,
        opening: bytes | None,
        what: str,
        most: int | None = None,
        holds: str | None = None,
    ) -> Answer:
        """One request, and its answer as it came, when it is JSON that begins so.

        `opening` is None where the answer says nothing but that it was done.

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
        from aiohttp import ClientError, ClientPayloadError
        from yarl import URL

        assert self._session is not None, "the client is not open"
        headers: dict[str, str] | None = None
        content: bytes | BytesIO | None = None
        if payload is not None:
            headers = _JSON
            content = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
            if len(content) > _AT_ONCE:
                content = BytesIO(content)  # sent in pieces, so that others run in between
        try:
            url = URL(self.url + path, encoded=True)
        except ValueError as error:
            raise ThreadError(f"the {what} has no valid URL: {error}") from None
        try:
            async with self._session.request(
                method,
                url,
                data=content,
                headers=headers,
                allow_redirects=False,
            ) as response:
                status, got = response.status, response.headers
                if not 200 <= status < 300:
                    raise failure(status, got, await _read_some(response), what)
                body = await self._read(response, self._most if most is None else most, what)
        except TimeoutError as error:
            reason = _reason(error) if str(error) else f"silent for {self.config.timeout:g} s"
            raise RetryableError(f"no answer: {reason}", outage=True) from None
        except ClientPayloadError as error:
            raise RetryableError(
                f"the answer to the {what} cannot be read: {_reason(error)}", outage=True
            ) from None
        except (ClientError, OSError, EOFError) as error:
            raise RetryableError(f"no answer: {_reason(error)}", outage=True) from None
        if opening is not None:
            check_content(status, got, body, opening=opening, what=what)
        if holds is not None and holds not in split_object(body):
            # An error that came as a success must not pass for an empty list.
            raise RetryableError(
                f"the server gave, as {what}, an object without {holds!r}: {excerpt(body)}",
                status=status,
            )
        return Answer(body, got.get("date"))

    async def _read(self, response: ClientResponse, most: int, what: str) -> bytes:
        chunks: list[bytes] = []
        size = 0
        started = time.monotonic()
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                raise TooLargeError(
                    f"the {what} is larger than {most} bytes; "
                    f"--{self.config.role}-max-answer sets the bound"
                )
            elapsed = time.monotonic() - started
            if elapsed > self.config.timeout and size < elapsed * _SLOWEST:
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
        opening: bytes | None,
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

    async def send(
        self,
        context: Context,
        method: str,
        path: str,
        payload: object,
        *,
        opening: bytes | None,
        what: str,
        first: Callable[[], Awaitable[None]] | None = None,
    ) -> Answer:
        """A change that must not be made twice: sent again only where the server said that it
        did not take it up, because it is asked too much.

        Args:
            first: is to succeed before each time that it is sent.

        Raises:
            UnknownFateError: it may have been made, or not.
            RefusedError: it was not.
        """

        async def call() -> Answer:
            if first is not None:
                await first()
            try:
                return await self.ask(method, path, payload, opening=opening, what=what)
            except RetryableError as error:
                if error.throttled:
                    raise
                raise UnknownFateError(f"{what}: {error}", status=error.status) from error

        answer = await context.request(call, what=what)
        context.received(len(answer.body))
        return answer


def _reason(error: BaseException) -> str:
    """Why there was no answer; the system's own words, without the layers around them."""
    cause: BaseException | None = error
    while cause is not None:
        told = getattr(cause, "os_error", cause)
        if isinstance(told, OSError) and told.strerror and not told.strerror.startswith("["):
            return told.strerror[:1].lower() + told.strerror[1:]
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split()) or type(error).__name__


async def _read_some(response: ClientResponse) -> bytes:
    """The begin of an error's body."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= _LARGEST_ERROR:
            break
    return body
