"""Errors of Redis as lgx's: one sentence with the server's name and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lgx import FatalError, LgxError, RetryableError, UsageError

__all__ = ["explain", "explained"]

_STANDING = "what was written stands, and the run goes on from there"

_CLUSTER = (
    "is part of a Redis Cluster, which lgx does not read or write; copy its keys to a single server"
)
_LOGIN = "refused the login; correct user and password in the url"

_REFUSED = {
    "unknown command": "does not know a command that lgx needs ({text}); RedisSaver needs Redis 8, "
    "or an earlier one with the modules RedisJSON and RediSearch",
    "NOPERM": "does not let this user do what lgx needs ({text}); grant it by ACL SETUSER, or name "
    "another user",
    "NOAUTH": "wants a password; put user and password into the url",
    "WRONGPASS": _LOGIN,
    "invalid password": _LOGIN,
    "AUTH": _LOGIN,
    "MOVED": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "CLUSTERDOWN": _CLUSTER,
    "DB index is out of range": "has no database of that number; correct the url",
}
_BROKEN = {
    "READONLY": "can only be read: it is a replica; name the primary",
    "OOM": f"has no memory left (its maxmemory); give it more, then run again: {_STANDING}",
    "MISCONF": "refuses to write, since it cannot save to its disk; see to that, then run again: "
    f"{_STANDING}",
    "EXECABORT": "did not accept a transaction: {text}",
}

_PASSING = ("LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "max number of clients")


def explain(error: Exception, place: str) -> LgxError | None:
    """What to raise in place of an error of redis-py's; None where it is a bug.

    What may pass is a `RetryableError`, for `Context.request`.

    Args:
        place: names the server, without secrets.
    """
    import redis

    text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    if isinstance(error, redis.exceptions.BusyLoadingError):
        return RetryableError(f"{place} is still loading its data", throttled=True)
    if isinstance(error, redis.exceptions.AuthenticationError):
        wanted = "required" in text.lower()
        return UsageError(f"{place} {_REFUSED['NOAUTH'] if wanted else _LOGIN}")
    if isinstance(error, redis.exceptions.ResponseError | redis.exceptions.ConnectionError):
        found = _of_server(text, error, place)
        if found is not None:
            return found
    if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return RetryableError(f"the connection to {place} was lost: {text}", outage=True)
    if isinstance(error, redis.exceptions.RedisError):
        return FatalError(f"{place} fails: {text}")
    if isinstance(error, OSError):
        return RetryableError(f"the connection to {place} was lost: {text}", outage=True)
    return None


def _of_server(text: str, error: Exception, place: str) -> LgxError | None:
    import redis

    spoken = text if isinstance(error, redis.exceptions.ResponseError) else ""
    named = {
        redis.exceptions.NoPermissionError: "NOPERM",
        redis.exceptions.ReadOnlyError: "READONLY",
        redis.exceptions.OutOfMemoryError: "OOM",
    }
    for kind, word in named.items():
        if isinstance(error, kind):
            spoken = f"{word} {text}"
    if "CERTIFICATE" in text.upper() or "SSL" in text.upper():
        return UsageError(
            f"{place} cannot be reached securely: {text}; correct ssl_ca_certs in the url, or the "
            "server's certificate"
        )
    if not spoken and "max number of clients" not in text:
        return None
    if any(word in (spoken or text) for word in _PASSING):
        return RetryableError(f"{place} is busy: {text}", throttled=True)
    for word, words in _REFUSED.items():
        if word in spoken:
            return UsageError(f"{place} {words.format(text=text)}")
    for word, words in _BROKEN.items():
        if word in spoken:
            return FatalError(f"{place} {words.format(text=text)}")
    return FatalError(f"{place} fails: {text}")


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turns errors of redis-py in its block into lgx's; see `explain`."""
    try:
        yield
    except LgxError:
        raise
    except Exception as error:
        found = explain(error, place)
        if found is None:
            raise
        raise found from error
