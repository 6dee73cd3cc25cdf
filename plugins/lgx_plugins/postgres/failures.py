"""PostgreSQL's errors as lgx's: one sentence with the database's name and what to do."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from lgx import FatalError, IntegrityError, LgxError, RetryableError, ThreadError, UsageError

__all__ = ["explain", "explained", "of_connection"]

_PASSING = ("08", "40", "57", "53200", "53300", "53400", "55P03", "25P03", "25P04")
"""What may pass: connections, deadlocks, an administrator at work, a full house."""

_THROTTLED = ("53200", "53300", "53400", "55P03")

_OF_DATA = ("22", "54")
"""Values that no cell holds."""

_NO_UTF8 = "22021"
"""Only of what is read: what lgx writes is UTF-8."""

_OF_RULES = ("23", "P0", "38", "39", "2F")
"""What constraints and functions that others made for the tables do not let in; or a row that
another program wrote at the same moment, which the next try finds."""

_OF_FUNCTIONS = ("0A", "21", "22", "24", "2B", "34", "42", "54")
"""What a function of others may fail with, where lgx itself does not."""

_TOO_MUCH = "invalid memory alloc request size"
"""What the server says, untranslated, of JSON whose parts are too many for a gigabyte: 34 million
numbers are enough."""

_STANDING = "what was committed stands, and the run goes on from there"

_REFUSED = {
    "28": "refused the login: {text}; correct user and password in the dsn, or the server's "
    "pg_hba.conf",
    "3D": "cannot be used: {text}; create it, or correct the dsn",
    "3F": "cannot be used: {text}; create the schema, or correct the option schema",
    "42501": "refuses: {text}; grant it (GRANT ... TO the user of the dsn), or name another user",
    "25006": "can only be read: it is a standby, or set to read-only; name the primary "
    "(with several hosts: target_session_attrs=read-write)",
    "08P01": "refused the connection: {text}; correct the dsn",
    "0A": "cannot do what lgx needs: {text}; remove what depends on its tables, run again, and "
    "make it anew",
    "2B": "cannot do what lgx needs: {text}; remove what depends on its tables, run again, and "
    "make it anew",
    "42P07": "cannot hold lgx's tables: {text}; choose another table-prefix or schema",
    "42710": "cannot hold lgx's tables: {text}; choose another table-prefix or schema",
    "42704": "refused the connection: {text}; take that parameter out of the dsn",
}

_BROKEN = {
    "53100": f"has no space left; free some on its disk, then run again: {_STANDING}",
    "53": f"is out of resources: {{text}}; see to that, then run again: {_STANDING}",
    "42P01": "lacks a table that lgx needs: {text}; it was removed while in use",
    "42703": "lacks a column that lgx needs: {text}; look at its tables",
    "58": "fails by itself: {text}; look at the server's log",
}


def explain(error: Exception, place: str, *, again: bool) -> LgxError | None:
    """What to raise in place of an error of asyncpg's or of the system's; None where it is a
    bug, and to be seen as it is.

    Args:
        place: names the database, without secrets.
        again: inside `Context.request`, which tries again what may pass; else it is fatal.
    """
    import asyncpg

    if isinstance(error, asyncpg.PostgresError):
        inside = "PL/" in (error.context or "") or "SQL function" in (error.context or "")
        state = error.sqlstate or "XX000"
        return _of_server(state, _text(error), place, again=again, inside=inside)
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return UsageError(
            f"{place} has no server such as target_session_attrs asks for; correct the dsn"
        )
    if isinstance(error, asyncpg.InterfaceError):
        if "closed" in str(error) or "released" in str(error):
            return _lost(place, again=again)
        return None
    if isinstance(error, asyncpg.InternalClientError):
        # The server's farewell came while nothing was asked of it.
        return _lost(place, again=again)
    if isinstance(error, ssl.SSLError) and not again:
        return UsageError(
            f"{place} cannot be reached securely: {_tls(error)}; correct "
            "sslmode or sslrootcert in the dsn, or the server"
        )
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        return UsageError(
            f"{place} does not offer the encryption that the dsn's sslmode asks for; "
            "correct one of them"
        )
    if isinstance(error, OSError | EOFError):
        if isinstance(error, FileNotFoundError | PermissionError) and not again:
            return UsageError(
                f"{place} cannot be reached: {(error.strerror or 'no such file').lower()}; "
                "correct the host in the dsn, or start the server"
            )
        errno = getattr(error, "errno", None)
        why = os.strerror(errno) if isinstance(errno, int) and errno > 0 else None
        if isinstance(error, socket.gaierror):
            why = error.strerror
        return _lost(place, again=again, why=why)
    return None


def of_connection() -> tuple[type[Exception], ...]:
    """What the end of a connection may raise, for those who end one."""
    import asyncpg

    return (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@contextmanager
def explained(place: str, *, again: bool = False) -> Iterator[None]:
    """Turns errors of asyncpg and of the connection in its block into lgx's; see `explain`."""
    try:
        yield
    except LgxError:
        raise
    except Exception as error:
        found = explain(error, place, again=again)
        if found is None:
            raise
        raise found from error


def _of_server(state: str, text: str, place: str, *, again: bool, inside: bool) -> LgxError | None:
    """`inside`: a function of somebody's was being run."""
    if state == "0A000" and "row-level security" in text:
        return (FatalError if again else UsageError)(
            f"{place} cannot be written to by this user: {text}; name a user whom its "
            "policies for rows do not bind: the tables' owner, or one with BYPASSRLS"
        )
    in_function = inside and state.startswith(_OF_FUNCTIONS)
    if state.startswith(_OF_RULES) or in_function:
        what = f"what others added to lgx's tables refuses it ({text}); correct that, or write "
        what += "under another --sink-table-prefix"
        if in_function:
            what += "; functions are called with search_path = pg_catalog: they must name schemas"
        return ThreadError(what) if again else FatalError(f"{place} cannot be used: {what}")
    if not again and (why := _match(_REFUSED, state)):
        return UsageError(f"{place} {why.format(text=text)}")
    if state.startswith(_PASSING):
        if not again:
            return FatalError(f"{place} cannot be used now: {text}; run again later")
        return RetryableError(
            f"{place}: {text}", throttled=state.startswith(_THROTTLED), outage=state[:2] == "08"
        )
    if why := _match(_REFUSED, state) or _match(_BROKEN, state):
        return FatalError(f"{place} {why.format(text=text)}")
    if state == _NO_UTF8:
        return ThreadError(
            "a text in it is not UTF-8, as a database without an encoding (SQL_ASCII) may hold: "
            f"{text}; correct it there"
        )
    if state.startswith(_OF_DATA) or (state == "XX000" and text.startswith(_TOO_MUCH)):
        what = "a value"
        if text.startswith("index row"):
            what = "an id, or another text that is indexed, of that length"
        return ThreadError(
            f"PostgreSQL cannot hold {what} ({text}); an archive or an ndjson file can"
        )
    if state in ("XX001", "XX002"):
        return IntegrityError(f"{place} is damaged: {text}; restore it from a backup")
    if state.startswith(("42", "26", "34")):
        return None  # wrong SQL, or a statement that is not there, is ours
    return FatalError(f"{place} cannot be used: {text}")


def _match(table: dict[str, str], state: str) -> str | None:
    return table.get(state) or table.get(state[:2])


def _text(error: Exception) -> str:
    """The first line of the server's message, without its details: those hold data."""
    lines = str(getattr(error, "message", None) or error).splitlines()
    text = lines[0].strip().rstrip(".") if lines else type(error).__name__
    if (getattr(error, "sqlstate", None) or "")[:2] in ("0A", "2B") and (
        detail := getattr(error, "detail", None)
    ):
        text += f" ({detail.splitlines()[0].rstrip('.')})"  # it names views and keys, no data
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _lost(place: str, *, again: bool, why: str | None = None) -> LgxError:
    text = f" ({why.lower()})" if why else ""
    if again:
        return RetryableError(f"the connection to {place} was lost{text}", outage=True)
    return FatalError(
        f"{place} cannot be reached{text}; see that the server runs and the dsn is right, "
        "then run again"
    )


def _tls(error: ssl.SSLError) -> str:
    reason = (error.reason or "the handshake failed").lower().replace("_", " ")
    detail = getattr(error, "verify_message", None)
    return f"{reason} ({detail})" if detail else reason
