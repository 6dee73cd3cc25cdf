"""Whether two sides are one place, so that comparing them would prove nothing."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lgx.config import OptionInfo, describe
from lgx.contracts import SourceBase
from lgx.errors import LgxError, UsageError
from lgx.secrets import Secret

__all__ = ["refuse_one_place"]

_PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432}


async def refuse_one_place(source: SourceBase[Any], sink: SourceBase[Any]) -> None:
    """Asks both for their identities, where their options do not tell them apart already.

    An identity alone does not say it: a file keeps that of the place it was written from, and a
    copy of a database that of the database. Options that are not required say how a place is
    read; what they choose of it, such as one origin among several, is part of its identity.

    Args:
        source: not open yet; left closed.
        sink: likewise; a source as well, which reads what a sink wrote.

    Raises:
        UsageError: they are one place.
    """
    if type(source) is not type(sink):
        return
    required = [info for info in describe(type(source.config)) if info.required]
    if not required or not all(_alike(_given(source, i), _given(sink, i)) for i in required):
        return
    try:
        ours, theirs = await _identity(source), await _identity(sink)
    except LgxError:
        return  # whoever reads them says so, and of which
    if _plain(ours) == _plain(theirs) and all(
        _same(_given(source, info), _given(sink, info), ours) for info in required
    ):
        raise UsageError(
            f"source and sink are both {_named(source, required[0], ours)}, which says nothing "
            f"of a copy; name another place with --sink-{required[0].flag}"
        )


def _given(endpoint: SourceBase[Any], info: OptionInfo) -> object:
    value = getattr(endpoint.config, info.name)
    return value.reveal() if isinstance(value, Secret) else value


def _named(source: SourceBase[Any], info: OptionInfo, identity: str) -> str:
    value = getattr(source.config, info.name)
    return str(value) if isinstance(value, Path) else identity


async def _identity(endpoint: SourceBase[Any]) -> str:
    async with endpoint:
        return await endpoint.identity()


def _alike(one: object, other: object) -> bool:
    """Whether two values may name one place: the same, or URLs of one sort."""
    if isinstance(one, str) and isinstance(other, str):
        first, second = _scheme(one), _scheme(other)
        return one == other or (bool(first) and first == second)
    return _equal(one, other)


def _same(one: object, other: object, identity: str) -> bool:
    """Whether two values that may name one place do, of places that have this identity."""
    if isinstance(one, str) and isinstance(other, str):
        # Where the identity is such a URL itself, it is the one way to spell it.
        return _plain(one) == _plain(other) or _scheme(one) == _scheme(identity) != ""
    return _equal(one, other)


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Path) and isinstance(other, Path):
        return str(one) != "-" and one.resolve() == other.resolve()
    return one is other or (isinstance(one, int | float) and one == other)


def _scheme(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    return scheme.strip().lower() if separator else ""


def _plain(text: str) -> str:
    """A URL as another would be spelt that names the same: without user and final slash, and
    with one name for this machine. Any other text stays as it is."""
    scheme = _scheme(text)
    if not scheme:
        return text
    try:
        parts: SplitResult = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return text
    host = parts.hostname or ""
    if _is_loopback(host):
        host = "localhost"
    place = host if port in (None, _PORTS.get(scheme)) else f"{host}:{port}"
    return parts._replace(scheme=scheme, netloc=place, path=parts.path.rstrip("/")).geturl()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
