"""Where a server is, as a URL says it; the password shows nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from lgx import Secret, UsageError

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["Address"]

_SECONDS = 30.0
_DIGITS = 10
_OURS = ("decode_responses", "encoding", "encoding_errors", "protocol", "retry")
"""Parameters that a url may have for other programs, and that lgx sets itself."""

_FORM = "write it as redis://USER:PASSWORD@HOST:PORT/DATABASE"


class Address:
    """
    Attributes:
        place: the server and its database, without secrets.
        database: its number.
    """

    def __init__(self, url: Secret) -> None:
        """
        Raises:
            UsageError: it is no URL of a Redis server, or of one that lgx does not speak to.
        """
        self._url = url.reveal().strip()
        try:
            parts = urlsplit(self._url)
            port = parts.port or 6379
        except ValueError:
            raise UsageError(f"the url is none of a Redis server; {_FORM}") from None
        if "sentinel" in parts.scheme:
            raise UsageError(
                "the url is of a Redis Sentinel, which lgx does not ask; name the primary itself: "
                "redis-cli -p 26379 SENTINEL GET-MASTER-ADDR-BY-NAME shows it"
            )
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise UsageError(f"the url is none of a Redis server; {_FORM}")
        path = "" if parts.scheme == "unix" else parts.path.strip("/")
        number = parse_qs(parts.query).get("db", [path or "0"])[0]  # which counts for redis-py
        if not (number.isascii() and number.isdigit() and len(number) < _DIGITS):
            # It may be part of a password that has a slash: it is not shown.
            raise UsageError(f"the url's last part is no number of a database in Redis; {_FORM}")
        self.database = int(number)
        asked = [one for one in parse_qsl(parts.query) if one[0] not in _OURS]
        self._url = self._url.partition("?")[0] + (f"?{urlencode(asked)}" if asked else "")
        if parts.scheme == "unix":
            self.place = f"unix://{parts.path}?db={int(number)}"
        else:
            host = parts.hostname or "localhost"
            shown = f"[{host}]" if ":" in host else host
            self.place = f"{parts.scheme}://{shown}:{port}/{int(number)}"

    def identity(self, prefix: str) -> str:
        """Names the store of that prefix as a source of threads."""
        if prefix == "checkpoint":
            return self.place
        joint = "&" if "?" in self.place else "?"
        return f"{self.place}{joint}checkpoint_prefix={quote(prefix, safe='')}"

    def is_place_of(self, identity: str) -> bool:
        """Whether a source of that identity is in the same database, under whatever prefix."""
        return identity == self.place or identity.startswith(
            (f"{self.place}?checkpoint_prefix=", f"{self.place}&checkpoint_prefix=")
        )

    def client(self) -> Redis:
        """A client that connects when it is first asked, and tries nothing again by itself.

        Raises:
            UsageError: redis-py is not installed, or does not take a parameter of the url.
        """
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise UsageError(
                "redis-saver needs the package redis; run: pip install redis"
            ) from None
        options: dict[str, Any] = {
            "decode_responses": False,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": _SECONDS,
            "socket_connect_timeout": 10.0,
            "socket_keepalive": True,
            "client_name": "lgx",
        }
        if self._url.startswith("unix"):
            del options["socket_keepalive"]
        try:
            client = Redis.from_url(self._url, **options)
            pool: Any = client.connection_pool
            pool.make_connection()  # which looks at the parameters
            return client
        except (ValueError, TypeError) as error:
            raise UsageError(f"the url of {self.place} cannot be used: {error}") from None
