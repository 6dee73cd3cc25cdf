"""Every shape that the address of a database has."""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lgx import Secret, Thread, UsageError, raw
from lgx.testing import PostgresProcess, TransactionPooler, same_records
from lgx_plugins.postgres.connection import Address, close, close_pool

PASSWORD = "p@ss/w:o?r#d é%"

Login: TypeAlias = tuple[str, str]
"""A role's name, and a database's."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of whoever runs the tests has a say."""
    for name in list(os.environ):
        if name.startswith("PG") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def login(own_server: PostgresProcess, own_database: str) -> Iterator[Login]:
    """A role that logs in over TCP with the password."""
    role = f"lgx_{secrets.token_hex(4)}"
    own_server.execute(own_server.dsn, f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    yield role, own_database.partition("?")[0].rpartition("/")[2]
    own_server.execute(own_server.dsn, f"DROP ROLE {role}")


async def who(dsn: str) -> tuple[str, str, str]:
    """User, database and application of a connection made so."""
    address = Address(Secret(dsn))
    connection = await address.connect()
    try:
        row = await connection.fetchrow(
            "SELECT current_user::text, current_database()::text, "
            "current_setting('application_name')"
        )
    finally:
        await close(connection)
    return tuple(row)


SHAPES: dict[str, Callable[[str, str, int, Path], str]] = {
    "url": lambda u, d, p, _: f"postgresql://{u}:{quote(PASSWORD, '')}@127.0.0.1:{p}/{d}",
    "short scheme": lambda u, d, p, _: f"postgres://{u}:{quote(PASSWORD, '')}@127.0.0.1:{p}/{d}",
    "driver in the scheme": lambda u, d, p, _: (
        f"postgresql+asyncpg://{u}:{quote(PASSWORD, '')}@127.0.0.1:{p}/{d}"
    ),
    "everything in the query": lambda u, d, p, _: (
        f"postgresql://?host=127.0.0.1&port={p}&user={u}&password={quote(PASSWORD, '')}&dbname={d}"
    ),
    "an @ that is not escaped": lambda u, d, p, _: (
        f"postgresql://{u}:{quote(PASSWORD, '@')}@127.0.0.1:{p}/{d}"
    ),
    "blanks around it": lambda u, d, p, _: (
        f" postgresql://{u}:{quote(PASSWORD, '')}@127.0.0.1:{p}/{d}\n"
    ),
    "a host name": lambda u, d, p, _: f"postgresql://{u}:{quote(PASSWORD, '')}@localhost:{p}/{d}",
    "several hosts": lambda u, d, p, _: (
        f"postgresql://{u}:{quote(PASSWORD, '')}@127.0.0.1:1,127.0.0.1:{p}/{d}"
    ),
    "several hosts, the writable one": lambda u, d, p, _: (
        f"postgresql://{u}:{quote(PASSWORD, '')}@127.0.0.1:1,127.0.0.1:{p}/{d}"
        "?target_session_attrs=read-write"
    ),
    "without encryption": lambda u, d, p, _: (
        f"postgresql://{u}:{quote(PASSWORD, '')}@127.0.0.1:{p}/{d}?sslmode=disable"
    ),
    "encryption where there is some": lambda u, d, p, _: (
        f"postgresql://{u}:{quote(PASSWORD, '')}@127.0.0.1:{p}/{d}?sslmode=prefer"
    ),
    "parameters of libpq": lambda u, d, p, _: (
        f"postgresql://{u}:{quote(PASSWORD, '')}@127.0.0.1:{p}/{d}"
        "?connect_timeout=10&gssencmode=disable&keepalives=1&fallback_application_name=x"
    ),
    "a setting of the server": lambda u, d, p, _: (
        f"postgresql://{u}:{quote(PASSWORD, '')}@127.0.0.1:{p}/{d}?statement_timeout=60000"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_url_of_any_shape(
    own_server: PostgresProcess, login: Login, tmp_path: Path, shape: str
) -> None:
    """What asyncpg takes, and what other tools write."""
    dsn = SHAPES[shape](*login, own_server.port, tmp_path)
    assert await who(dsn) == (*login, "lgx")


async def test_an_application_name_of_ones_own(own_server: PostgresProcess, login: Login) -> None:
    """It is kept."""
    dsn = own_server.tcp_dsn(login[0], quote(PASSWORD, ""), login[1])
    assert await who(f"{dsn}?application_name=nightly") == (*login, "nightly")


async def test_a_socket(own_server: PostgresProcess, own_database: str) -> None:
    """Its directory in the query, or escaped in the place of the host."""
    name = own_database.partition("?")[0].rpartition("/")[2]
    folder = quote(str(own_server.directory), "")
    assert await who(own_database) == ("postgres", name, "lgx")
    assert await who(f"postgresql://postgres@{folder}:{own_server.port}/{name}") == (
        "postgres",
        name,
        "lgx",
    )


async def test_variables_and_password_files(
    own_server: PostgresProcess, login: Login, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the address leaves out comes from where libpq looks for it."""
    role, database = login
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(own_server.port))
    monkeypatch.setenv("PGUSER", role)
    monkeypatch.setenv("PGDATABASE", database)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert await who("postgresql://") == (*login, "lgx")
    place = f"database {database!r} on 127.0.0.1:{own_server.port}"
    assert Address(Secret("postgresql://")).place == place
    monkeypatch.delenv("PGPASSWORD")
    own_server.execute(own_server.dsn, f"ALTER ROLE {role} PASSWORD 'plain'")
    line = f"127.0.0.1:*:{database}:{role}:plain\n"
    for file, dsn in (
        (tmp_path / ".pgpass", "postgresql://"),
        (tmp_path / "given", f"postgresql://?passfile={tmp_path / 'given'}"),
    ):
        with pytest.raises(UsageError, match="refused the login"):
            await who(dsn)
        file.touch(0o600)
        file.write_text(line)
        assert await who(dsn) == (*login, "lgx")
        file.unlink()


async def test_a_service_file(
    own_server: PostgresProcess, login: Login, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service of the name is looked up."""
    role, database = login
    file = tmp_path / "services.conf"
    file.write_text(
        f"[mine]\nhost=127.0.0.1\nport={own_server.port}\nuser={role}\ndbname={database}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert await who("postgresql://?service=mine") == (*login, "lgx")
    place = f"database {database!r} on 127.0.0.1:{own_server.port}"
    assert Address(Secret("postgresql://?service=mine")).place == place
    monkeypatch.setenv("PGSERVICE", "mine")
    assert await who("postgresql://") == (*login, "lgx")
    assert await who(f"postgresql:///{database}?service=mine") == (*login, "lgx")
    with pytest.raises(UsageError, match=r"there is no service 'other' in '.*services\.conf'; add"):
        Address(Secret("postgresql://?service=other"))


@pytest.mark.parametrize("password", ["100%topsecret", "%(user)s", "a=b # c", "[x]:\\;@/?#"])
async def test_passwords_of_files_are_taken_for_what_they_are(
    own_server: PostgresProcess,
    login: Login,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    password: str,
) -> None:
    """Nothing in them is put in place of something else; a colon may be escaped."""
    role, database = login
    own_server.execute(own_server.dsn, f"ALTER ROLE {role} PASSWORD '{password}'")
    file = tmp_path / "services.conf"
    file.write_text(
        f"# all\n[other]\npassword=x\n\n[mine]\nhost=127.0.0.1\nport={own_server.port}\n"
        f"user={role}\ndbname={database}\npassword={password}\n[last]\nhost=x\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert await who("postgresql://?service=mine") == (*login, "lgx")
    passes = tmp_path / ".pgpass"
    passes.touch(0o600)
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    passes.write_text(f"# x\n*:1:*:*:no\n127.0.0.1:*:*:{role}:{escaped}\n*:*:*:*:no\n")
    assert await who(f"postgresql://{role}@127.0.0.1:{own_server.port}/{database}") == (
        *login,
        "lgx",
    )


async def test_a_service_that_is_none_is_told_without_its_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Any word of such a file may be the password."""
    file = tmp_path / "services.conf"
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    file.write_bytes(b"[mine]\nhost=h\npassword topsecret\n")
    with pytest.raises(UsageError) as refused:
        Address(Secret("postgresql://?service=mine"))
    assert str(refused.value) == (
        f"line 3 of the service file {str(file)!r} is no KEY=VALUE; correct it"
    )
    file.write_bytes(b"[mine]\npassword=topsecret\xff\n")
    with pytest.raises(UsageError) as refused:
        Address(Secret("postgresql://?service=mine"))
    assert "topsecret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A directory with a certificate of `localhost`, by itself, and one of a stranger."""
    for name in ("own", "stranger"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (tmp_path / f"{name}.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
    return tmp_path


def offer(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    return context


@pytest.mark.parametrize(
    ("mode", "root", "host", "why"),
    [
        ("require", None, "localhost", None),
        ("verify-ca", "own.pem", "127.0.0.1", None),
        ("verify-full", "own.pem", "localhost", None),
        ("verify-full", "own.pem", "127.0.0.1", "IP address mismatch"),
        ("verify-ca", "stranger.pem", "localhost", "certificate verify failed"),
        ("verify-full", None, "localhost", "root certificate file"),
    ],
)
async def test_encryption(
    own_database: str, certificates: Path, mode: str, root: str | None, host: str, why: str | None
) -> None:
    """Asked for, checked, or both; what fails is said."""
    async with TransactionPooler(own_database, tls=offer(certificates)) as pooler:
        dsn = f"{pooler.dsn}?sslmode={mode}".replace("localhost", host)
        if root:
            dsn += f"&sslrootcert={certificates / root}"
        if why is None:
            connection = await Address(Secret(dsn)).connect()
            assert await connection.fetchval("SELECT 1") == 1
            await close(connection)
            return
        with pytest.raises(UsageError) as refused:
            await Address(Secret(dsn)).connect()
    assert why.lower() in str(refused.value).lower()


async def test_encryption_that_the_server_does_not_offer(own_server: PostgresProcess) -> None:
    """Nothing is sent in the clear that was to be encrypted."""
    dsn = own_server.tcp_dsn("postgres", "x", "postgres")
    with pytest.raises(UsageError) as refused:
        await Address(Secret(f"{dsn}?sslmode=require")).connect()
    assert str(refused.value).endswith(
        "does not offer the encryption that the dsn's sslmode asks for; correct one of them"
    )


async def test_text_is_utf_8_whatever_the_address_asks_for(
    own_database: str, open_target: Callable[[str], Any]
) -> None:
    """The server would take what is copied for another encoding, and keep it garbled."""
    target = open_target(f"{own_database}&client_encoding=latin1")
    thread = Thread(thread_id="é", values=raw({"ü": "ß"}))
    await target.write([thread])
    for dsn in (target.dsn, own_database):
        found = await open_target(dsn).read()
        assert same_records(found["é"], [thread]) == []


async def test_a_connection_over_tcp_notices_that_the_other_machine_is_gone(
    own_server: PostgresProcess, login: Login
) -> None:
    """One that waits for an answer is asked after within a minute; a socket needs no such care."""
    address = Address(Secret(own_server.tcp_dsn(login[0], quote(PASSWORD, ""), login[1])))
    alone = await address.connect()
    pool = await address.open_pool(1)
    async with pool.acquire() as pooled:
        for connection in (alone, pooled):
            made = connection._transport.get_extra_info("socket")
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            if hasattr(socket, "TCP_KEEPIDLE"):
                assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
                assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
                assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
    await close_pool(pool)
    await close(alone)


@pytest.mark.parametrize("name", ["channel_binding", "gssencmode"])
async def test_a_safeguard_that_cannot_be_kept_is_told(
    own_database: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The driver has no such thing: who asks for it hears so; who only prefers it need not."""
    await who(f"{own_database}&{name}=prefer")
    assert caplog.messages == []
    await who(f"{own_database}&{name}=require")
    assert "".join(caplog.messages) == (
        f"{name}=require is not supported and ignored; to be sure of the server use "
        "sslmode=verify-full"
    )


async def test_a_pool_leaves_sessions_as_they_are(own_server: PostgresProcess) -> None:
    """Nothing is said to the server when a connection is given back, but that an open
    transaction ends."""
    address = Address(Secret(own_server.dsn))
    pool = await address.open_pool(1)
    async with pool.acquire() as connection:
        await connection.execute("SET work_mem = '1MB'")
        await connection.execute("BEGIN")
        await connection.execute("CREATE TABLE lgx_left_open (x INT)")
    async with pool.acquire() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SHOW work_mem") == "1MB"
        assert await connection.fetchval("SELECT to_regclass('lgx_left_open')") is None
    await close_pool(pool)


async def test_closing_what_the_server_has_ended_does_not_fail(own_database: str) -> None:
    """Whoever closes has no use for the reason."""
    address = Address(Secret(own_database))
    one, two = await address.connect(), await address.connect()
    pool = await address.open_pool(1)
    held = await pool.acquire()
    await two.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await close(one)
    await pool.release(held)
    await close_pool(pool)
    await close(two)
    await close(two)


RUN = [sys.executable, "-m", "lgx"]


def test_the_variable_of_the_older_tool_is_the_default_of_the_sink_alone(
    own_server: PostgresProcess, own_database: str, tmp_path: Path
) -> None:
    """Nothing is read from the place that is meant for writing."""
    environ = {**os.environ, "DATABASE_URL": own_database, "COLUMNS": "1000"}
    sink = subprocess.run(
        [*RUN, "doctor", "--sink", "postgres"], env=environ, capture_output=True, text=True
    )
    assert (sink.returncode, "no tables of lgx" in sink.stdout + sink.stderr) == (0, True)
    source = subprocess.run(
        [*RUN, "doctor", "--source", "postgres"], env=environ, capture_output=True, text=True
    )
    assert source.returncode == 2
    assert "--source postgres needs --source-dsn (or the variable LGX_SOURCE_DSN)" in source.stderr


def test_no_output_shows_the_password(
    own_server: PostgresProcess, login: Login, tmp_path: Path
) -> None:
    """Of a run that is refused, of doctor, of a wrong address; from a file, a variable, or the
    command itself, which draws a warning."""
    role, database = login
    good = own_server.tcp_dsn(role, quote(PASSWORD, ""), database)
    wrong = good.replace("%20", "%21")
    torn = f"postgresql://{role}:{PASSWORD}@127.0.0.1/{database}"
    for dsn in (good, wrong, torn):
        file = tmp_path / "dsn"
        file.write_text(dsn)
        file.chmod(0o600)
        for given, environ in (
            (["--sink-dsn", f"file:{file}"], {}),
            (["--sink-dsn", "env:MINE"], {"MINE": dsn}),
            ([], {"LGX_SINK_DSN": dsn}),
            (["--sink-dsn", dsn], {}),
        ):
            done = subprocess.run(
                [*RUN, "doctor", "--sink", "postgres", *given],
                env={**os.environ, **environ},
                capture_output=True,
                text=True,
            )
            assert done.returncode in (1, 2), done.stderr
            output = done.stdout + done.stderr
            assert "Traceback" not in output
            assert PASSWORD not in output
            assert quote(PASSWORD, "") not in output
            assert "p@ss" not in output
            assert "p%40ss" not in output
