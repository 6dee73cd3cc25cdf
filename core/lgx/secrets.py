"""Secrets: a value that does not print itself, and the ways to name one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lgx.errors import UsageError
from lgx.hints import unreadable

__all__ = ["Secret", "is_place", "redact", "redact_url", "resolve_reference"]

_MASK = "***"


class Secret:
    """A string that shows as `***` wherever it is printed; `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({_MASK!r})"

    def __str__(self) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))


def resolve_reference(text: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The secret that `env:NAME`, `file:PATH` or `keyring:SERVICE/NAME` names.

    None where the text is no reference but the value itself.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "env" and rest:
        value = (os.environ if environ is None else environ).get(rest)
        if value is None:
            raise UsageError(f"environment variable {rest} is not set; set it, or name another")
        return value
    if scheme == "file" and rest:
        return _read_secret_file(Path(rest).expanduser())
    if scheme == "keyring" and "/" in rest:
        return _read_keyring(*rest.split("/", 1))
    return None


def _read_secret_file(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(f"secret file {path} can be read by others; run: chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"secret file {path} {unreadable(error)}") from error


def _read_keyring(service: str, name: str) -> str:
    try:
        import keyring
    except ImportError:
        raise UsageError(
            "the keyring: form needs the keyring package; run: pip install keyring"
        ) from None
    value = keyring.get_password(service, name)
    if value is None:
        raise UsageError(f"the keyring has no entry {name!r} of service {service!r}")
    return str(value)


# Up to the last @ before white space or a quote, since passwords are often not escaped; but
# not where what follows the colon is a port.
_URL_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://[^\s/:@?#]*):(?!\d*(?:[/?#\s\"'<>,]|$))[^\s\"'<>]*@", re.IGNORECASE
)
_QUERY_PASSWORD = re.compile(
    r"([?&;][\w.-]*(?:password|passwd|pwd|secret|token|signature|key)=)[^&\s\"'<>]+", re.IGNORECASE
)


_PLACE = re.compile(r"[a-z][a-z0-9+.-]*://([\w.-]+|\[[0-9a-f:.]+\])(:\d+)?(/\d*)?", re.IGNORECASE)


def is_place(text: str) -> bool:
    """Whether an address tells nothing but where a server is: no user, path or query."""
    return _PLACE.fullmatch(text) is not None


def redact_url(text: str) -> str:
    """The text with passwords in URLs (user part and query) replaced by `***`."""
    return _QUERY_PASSWORD.sub(rf"\1{_MASK}", _URL_PASSWORD.sub(rf"\1:{_MASK}@", text))


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given secrets and without passwords in URLs.

    A secret shorter than four characters is left alone: replacing it would
    mangle unrelated text without hiding anything that could be guessed.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, _MASK)
    return redact_url(text)
