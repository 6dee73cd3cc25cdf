"""What is said of databases in files of the user's: services, and passwords.

The driver reads them too, otherwise than PostgreSQL's own programs do: a `%` in a password, or
an escaped colon, is not itself to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lgx import UsageError

__all__ = ["password_of", "service_of"]

_OTHERS = 0o077
_FIELD = re.compile(r"(?<!\\)((?:\\\\)*):")
_ESCAPED = re.compile(r"\\(.)")


def service_of(given: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the service that an address or PGSERVICE names; none where none is.

    Args:
        given: the parameters of the address.

    Raises:
        UsageError: it cannot be found, or not be read; the message quotes no value.
    """
    name = given.get("service") or os.environ.get("PGSERVICE")
    if not name:
        return {}
    own = given.get("servicefile") or os.environ.get("PGSERVICEFILE")
    paths = [Path(own) if own else Path("~/.pg_service.conf").expanduser()]
    if (directory := os.environ.get("PGSYSCONFDIR")) is not None:
        paths.append(Path(directory, "pg_service.conf"))
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeError):
            raise UsageError(
                f"the service file {str(path)!r} cannot be read as text; correct it, or its rights"
            ) from None
        if (found := _section(lines, name, path)) is not None:
            return found
    raise UsageError(
        f"there is no service {name!r} in {' or '.join(repr(str(path)) for path in paths)}; "
        "add it there, or correct the dsn, PGSERVICE or PGSERVICEFILE"
    )


def _section(lines: Sequence[str], name: str, path: Path) -> dict[str, str] | None:
    found: dict[str, str] | None = None
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if found is not None:
                break
            if line == f"[{name}]":
                found = {}
        elif found is not None:
            key, equals, value = line.partition("=")
            if not equals:
                raise UsageError(
                    f"line {number} of the service file {str(path)!r} is no KEY=VALUE; correct it"
                )
            found.setdefault(key.strip(), value.strip())
    return found


def password_of(
    path: str | None, hosts: Sequence[str], ports: Sequence[str], database: str, user: str
) -> str | None:
    """The password that a file of passwords has for one of these; None where it has none, or
    others than the user may read it.

    Args:
        path: None for that of PGPASSFILE, or ~/.pgpass.
    """
    path = path or os.environ.get("PGPASSFILE")
    file = Path(path) if path else Path("~/.pgpass").expanduser()
    try:
        if not file.is_file() or (os.name != "nt" and file.stat().st_mode & _OTHERS):
            return None
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return None
    for line in lines:
        if line.startswith("#"):
            continue
        fields = [_ESCAPED.sub(r"\1", field) for field in _split(line)]
        if len(fields) == 5 and all(
            field == "*" or field in wanted
            for field, wanted in zip(fields, (hosts, ports, (database,), (user,)), strict=False)
        ):
            return fields[4]
    return None


def _split(line: str) -> list[str]:
    """At the first four colons that nothing escapes."""
    fields: list[str] = []
    start = 0
    for colon in _FIELD.finditer(line):
        if len(fields) == 4:
            break
        fields.append(line[start : colon.end() - 1])
        start = colon.end()
    return [*fields, line[start:]]
