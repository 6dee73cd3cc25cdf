"""Where a database is, and connections to it that work behind a pooler too."""

from __future__ import annotations

import getpass
import logging
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from lgx import Secret, UsageError
from lgx_plugins.postgres.client_files import password_of, service_of
from lgx_plugins.postgres.failures import explained, of_connection

if TYPE_CHECKING:
    from asyncpg import Connection, Pool

__all__ = ["OWN_PATH", "Address", "close", "close_pool", "transaction"]

_log = logging.getLogger(__name__)

OWN_PATH = "SET LOCAL search_path = pg_catalog, pg_temp"
"""SQL that begins every transaction: whoever may make functions in another schema must not put
one in place of the server's, to be run with our rights. lgx names the schema of all else."""

_CONNECT_SECONDS = 20.0
_CLOSE_SECONDS = 5.0

_FORM = (
    "postgresql://USER@HOST:PORT/DATABASE, with the password after USER and a colon, or in "
    "PGPASSWORD"
)
_KEYWORD = re.compile(r"\w+\s*=")

_HOST = re.compile(r"(\[[0-9a-zA-Z:.%]+\]|[^\[\]:@]*)(:\d*)?")

# Where the server's machine dies, nobody tells us: our system asks after half a minute of
# silence, and gives up within another, rather than let a run wait for ever.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}

# Parameters of other clients, which asyncpg would pass on to the server, and it would refuse;
# and the encoding, which is always UTF-8: another one would garble what is copied.
_FOREIGN = (
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "connection_limit",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "pgbouncer",
    "pool_timeout",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
)

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


class Address:
    """Where a database is, as a URL says it; the password shows nowhere.

    Anything that asyncpg takes: hosts, several of them, sockets, SSL modes, service and
    password files, the variables PGHOST and so on for what is left out.
    """

    def __init__(self, dsn: Secret) -> None:
        """
        Raises:
            UsageError: it is no address of a database; the message does not repeat it.
        """
        parts, query = _parse(dsn.reveal().strip())
        query = _with_service(parts, query)
        given = dict(query)
        self._files = {name: given[name] for name in _FILES if name in given}
        for name in ("channel_binding", "gssencmode"):
            if given.get(name) == "require":
                _log.warning(
                    "%s=require is not supported and ignored; to be sure of the server use "
                    "sslmode=verify-full",
                    name,
                )
        self._timeout = _seconds(given.get("connect_timeout"))
        self._settings = {} if "application_name" in given else {"application_name": "lgx"}
        self.host, self.port, self.database, user = _shown(parts, given)
        kept = [(name, value) for name, value in query if name not in _FOREIGN]
        if not (":" in parts.netloc.rpartition("@")[0] or "password" in given):
            kept += _found_password(given, self.host, self.port, self.database, user)
        self._dsn = Secret(urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote))))
        self.place = f"database {self.database!r} on {_with_port(self.host, self.port)}"
        """Names it in messages."""

    def __repr__(self) -> str:
        return f"Address({self.place})"

    async def connect(self, *, again: bool = False) -> Connection:
        """A connection of its own; whoever asks closes it with `close`.

        Args:
            again: as of `explained`.

        Raises:
            LgxError: it cannot be made.
        """
        import asyncpg

        with explained(self.place, again=again):
            connection = await self._made(asyncpg.connect(self._dsn.reveal(), **self._options()))
            await _keep_alive(connection)
            return connection

    async def open_pool(self, size: int) -> Pool:
        """A pool that connects when it is first used; closed with `close_pool`.

        Nothing is said to the server when a connection is given back, for behind a pooler it
        may be another one by then: leave nothing in a session.
        """
        import asyncpg

        return await self._made(
            asyncpg.create_pool(
                self._dsn.reveal(),
                min_size=0,
                max_size=size,
                init=_keep_alive,
                reset=_leave,
                **self._options(),
            )
        )

    def _options(self) -> dict[str, Any]:
        for name, path in self._files.items():
            if not Path(path).is_file():
                raise UsageError(f"there is no file {path!r}; correct {name} in the dsn")
        return {
            "timeout": self._timeout,
            "statement_cache_size": 0,
            "server_settings": self._settings,
        }

    async def _made(self, work: Any) -> Any:
        import asyncpg

        try:
            return await work
        except asyncpg.ClientConfigurationError as error:
            raise _unusable(str(error).splitlines()[0]) from None
        except ssl.SSLError:  # one of which is a ValueError too
            raise
        except ValueError:  # it quotes parts of the text
            raise _unusable("a part of it is not what it should be") from None


@asynccontextmanager
async def transaction(
    connection: Connection, *, readonly: bool = False, one_moment: bool = False
) -> AsyncIterator[None]:
    """All or nothing, under `OWN_PATH`.

    Args:
        one_moment: all its statements see what the first one does.
    """
    isolation = "repeatable_read" if one_moment else None
    async with connection.transaction(readonly=readonly, isolation=isolation):
        await connection.execute(OWN_PATH)
        yield


async def _leave(connection: Connection) -> None:
    """What is done when a connection is given back."""


async def _keep_alive(connection: Connection) -> None:
    """What is done when a connection was made; the driver leaves it to the system's defaults."""
    made = connection._transport.get_extra_info("socket")  # noqa: SLF001 -- no other way to it
    if made is None or made.family not in (socket.AF_INET, socket.AF_INET6):
        return
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has them
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def close(connection: Connection) -> None:
    """Closes a connection, whatever its state, and never fails or waits for long."""

    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except of_connection():
        connection.terminate()


async def close_pool(pool: Pool) -> None:
    """Closes a pool that nobody uses any more; never fails or waits for long."""
    import asyncio

    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await pool.close()
    except of_connection():
        pool.terminate()


def _parse(text: str) -> tuple[SplitResult, list[tuple[str, str]]]:
    scheme, mark, rest = text.partition("://")
    if not text:
        raise UsageError(f"the dsn is empty; write {_FORM}")
    if _KEYWORD.match(text):
        raise UsageError(
            f"the dsn is one of KEY=VALUE, and lgx understands addresses alone; write {_FORM}"
        )
    if not mark or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise UsageError(f"the dsn is no address of a PostgreSQL database; write {_FORM}")
    if "\0" in unquote(text) or any(ord(c) < 32 for c in text):
        raise _unusable("it holds a control character")
    try:
        parts = urlsplit(f"postgresql://{rest}")  # without a driver's name, postgresql+asyncpg
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _unusable("a part of it is not what it should be") from None
    user, at, hosts = parts.netloc.rpartition("@")
    misplaced = "@" in parts.path or "@" in parts.fragment or ("@" in parts.query and not at)
    if misplaced or not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        raise _unusable(
            "in user and password write @ as %40, / as %2F, : as %3A, ? as %3F and # as %23"
        )
    if any(int(port) > 65535 for port in re.findall(r":(\d+)(?:,|$)", hosts)):
        raise _unusable("a port is larger than 65535")
    if parts.fragment:
        raise _unusable("write # as %23")
    return parts._replace(netloc=user.replace("@", "%40") + at + hosts), query


def _unusable(why: str) -> UsageError:
    return UsageError(f"the dsn cannot be understood: {why}")


def _seconds(text: str | None) -> float:
    """As libpq: whole seconds, and 0 or less is no limit; lgx has one of its own then."""
    if text is None:
        return _CONNECT_SECONDS
    try:
        return float(int(text)) if int(text) > 0 else _CONNECT_SECONDS
    except ValueError:
        raise _unusable("connect_timeout is no number of seconds") from None


def _with_service(parts: SplitResult, query: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters, and those of the service for what is left out."""
    given = dict(query)
    login, _, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    said = {*given}
    said.update(("user",) * bool(user), ("password",) * bool(colon))
    said.update(("host", "hostaddr", "port") if host else ())
    if parts.path[1:] or said & {"dbname", "database"}:
        said.update(("dbname", "database"))
    found = [item for item in service_of(given).items() if item[0] not in said]
    return [item for item in query if item[0] not in ("service", "servicefile")] + found


def _found_password(
    given: dict[str, str], host: str, port: str, database: str, user: str
) -> list[tuple[str, str]]:
    """What a file of passwords holds, where nothing else says it."""
    if os.environ.get("PGPASSWORD") is not None:
        return []
    pairs = [one.rpartition(":") for one in host.split(",")] if "," in host else [(host, "", port)]
    hosts = [name or last for name, _, last in pairs]
    ports = [last if name else port for name, _, last in pairs]
    if host.startswith("/"):
        hosts.append("localhost")  # as such files call a socket
    found = password_of(given.get("passfile"), hosts, ports, database, user)
    return [] if found is None else [("password", found)]


def _shown(parts: SplitResult, query: dict[str, str]) -> tuple[str, str, str, str]:
    """Host, port, database and user as they will be."""
    user, _, netloc = parts.netloc.rpartition("@")
    host = unquote(netloc) or query.get("host") or os.environ.get("PGHOST") or "localhost"
    port = query.get("port") or os.environ.get("PGPORT") or "5432"
    if not host.startswith("/") and "," not in host and (found := _HOST.fullmatch(host)):
        host, port = found[1], (found[2] or "")[1:] or port
    name = unquote(user.partition(":")[0]) or query.get("user") or os.environ.get("PGUSER")
    name = name or _account()
    database = (
        unquote(parts.path[1:])
        or query.get("dbname")
        or query.get("database")
        or os.environ.get("PGDATABASE")
        or name
    )
    return host, port, database, name


def _account() -> str:
    """Who runs this: the user, where nobody says another one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a machine may have no name for the number
        return ""


def _with_port(host: str, port: str) -> str:
    return host if "," in host or host.startswith("/") else f"{host}:{port}"
