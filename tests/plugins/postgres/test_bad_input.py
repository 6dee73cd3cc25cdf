"""What can be wrong with an address, a server or a right: one clear line each."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import pytest

from lgx import FatalError, LgxError, Secret, UsageError
from lgx.testing import PostgresProcess
from lgx_plugins.postgres.connection import Address, close
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.migrations import prepare
from lgx_plugins.postgres.names import Names

PASSWORD = "s3cr3t-pässwörd"


async def refusal(kind: type[LgxError], dsn: str, names: Names | None = None) -> str:
    """What a run that writes is told; it is the kind itself, and holds no password."""
    with pytest.raises(LgxError) as refused:
        address = Address(Secret(dsn))
        lease = TargetLease(address, names or Names("public", "langgraph_"))
        try:
            await prepare(address, lease._names, lease)
        finally:
            await lease.release()
    assert type(refused.value) is kind
    chain: BaseException | None = refused.value
    while chain is not None:
        assert PASSWORD not in str(chain)
        assert "s3cr3t" not in repr(chain)
        chain = chain.__cause__ or chain.__context__
    return str(refused.value)


@pytest.fixture
def role(own_server: PostgresProcess, own_database: str) -> Iterator[str]:
    """A role that may log in with the password, and owns nothing."""
    name = f"lgx_{secrets.token_hex(4)}"
    own_server.execute(own_server.dsn, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    yield name
    own_server.execute(own_database, f"DROP OWNED BY {name}")
    own_server.execute(own_server.dsn, f"DROP ROLE {name}")


def name_of(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("/")[2]


async def test_a_wrong_password(own_server: PostgresProcess, own_database: str, role: str) -> None:
    """The user is named, the password is not."""
    database = name_of(own_database)
    message = await refusal(UsageError, own_server.tcp_dsn(role, PASSWORD + "x", database))
    assert message == (
        f"database '{database}' on 127.0.0.1:{own_server.port} refused the login: password "
        f'authentication failed for user "{role}"; correct user and password in the dsn, or the '
        "server's pg_hba.conf"
    )


async def test_a_user_that_is_not_there(own_server: PostgresProcess) -> None:
    """On a socket that asks for no password."""
    dsn = own_server.dsn.replace("postgres@", "nobody@")
    assert (await refusal(UsageError, dsn)).endswith(
        'refused the login: role "nobody" does not exist; correct user and password in the dsn, '
        "or the server's pg_hba.conf"
    )


async def test_a_database_that_is_not_there(own_server: PostgresProcess) -> None:
    """lgx creates tables, and no databases."""
    message = await refusal(UsageError, own_server.database_dsn("nowhere"))
    assert message == (
        f"database 'nowhere' on {own_server.directory} cannot be used: database \"nowhere\" does "
        "not exist; create it, or correct the dsn"
    )


async def test_no_server(own_server: PostgresProcess) -> None:
    """Nobody listens on the port, the name is unknown, or the socket is not there."""
    assert await refusal(FatalError, f"postgresql://u:{PASSWORD}@127.0.0.1:1/db") == (
        "database 'db' on 127.0.0.1:1 cannot be reached (connection refused); see that the "
        "server runs and the dsn is right, then run again"
    )
    assert (await refusal(FatalError, f"postgresql://u:{PASSWORD}@no.invalid/db")) in {
        f"database 'db' on no.invalid:5432 cannot be reached ({why}); see that the server runs and "
        "the dsn is right, then run again"
        for why in ("name or service not known", "temporary failure in name resolution")
    }
    assert await refusal(UsageError, f"postgresql://u:{PASSWORD}@/db?host=/no/where") == (
        "database 'db' on /no/where cannot be reached: no such file or directory; correct the "
        "host in the dsn, or start the server"
    )


async def test_a_server_that_is_not_one_of_postgresql() -> None:
    """Something answers, in another language."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    message = await refusal(FatalError, f"postgresql://u@127.0.0.1:{port}/db?sslmode=disable")
    assert message.startswith(f"database 'db' on 127.0.0.1:{port} cannot be used now: ")
    server.close()


async def test_a_schema_that_the_user_may_not_write_to(
    own_server: PostgresProcess, own_database: str, role: str
) -> None:
    """What is to be granted is said, and to whom; nothing is made."""
    dsn = own_server.tcp_dsn(role, PASSWORD, name_of(own_database))
    assert (await refusal(UsageError, dsn)).endswith(
        "cannot be written to: the user may not create tables in schema 'public'; GRANT CREATE "
        f"ON SCHEMA public TO {role}"
    )
    assert (await refusal(UsageError, dsn, Names("fresh", ""))).endswith(
        "cannot be written to: there is no schema 'fresh', and the user may not create it; GRANT "
        f"CREATE ON DATABASE {name_of(own_database)} TO {role}"
    )


async def test_a_user_who_may_use_a_schema_needs_no_right_to_make_one(
    own_server: PostgresProcess, own_database: str, role: str
) -> None:
    """CREATE on the schema is all that a run wants."""
    own_server.execute(own_database, f"CREATE SCHEMA given; GRANT ALL ON SCHEMA given TO {role};")
    address = Address(Secret(own_server.tcp_dsn(role, PASSWORD, name_of(own_database))))
    lease = TargetLease(address, Names("given", "langgraph_"))
    await prepare(address, lease._names, lease)
    await lease.release()


async def test_policies_that_hide_rows_from_the_user(
    own_server: PostgresProcess, own_database: str, role: str
) -> None:
    """Nothing can be copied into such tables; who can is named."""
    address = Address(Secret(own_server.tcp_dsn(role, PASSWORD, name_of(own_database))))
    own_server.execute(own_database, "CREATE TABLE t (x INT)")
    own_server.execute(own_database, f"GRANT ALL ON t TO {role}")
    own_server.execute(own_database, "ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    connection = await address.connect()
    for again, kind in ((False, UsageError), (True, FatalError)):
        with pytest.raises(kind) as refused, explained(address.place, again=again):
            await connection.copy_records_to_table("t", records=[(1,)])
        assert str(refused.value) == (
            f"{address.place} cannot be written to by this user: COPY FROM not supported with "
            "row-level security; name a user whom its policies for rows do not bind: the tables' "
            "owner, or one with BYPASSRLS"
        )
    await close(connection)


async def test_a_database_that_can_only_be_read(
    own_server: PostgresProcess, own_database: str
) -> None:
    """A standby, or one that was set so."""
    name = name_of(own_database)
    own_server.execute(own_server.dsn, f"ALTER DATABASE {name} SET transaction_read_only = on")
    own_server.execute(
        own_server.dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on"
    )
    assert (await refusal(FatalError, own_database)).endswith(
        "can only be read: it is a standby, or set to read-only; name the primary (with several "
        "hosts: target_session_attrs=read-write)"
    )


async def test_a_database_in_another_encoding(own_server: PostgresProcess) -> None:
    """It could not hold every text; this is said before anything is made."""
    own_server.execute(
        own_server.dsn, "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
    )
    try:
        assert (await refusal(UsageError, own_server.database_dsn("latin"))).endswith(
            "holds text as LATIN1, which not every text fits into; create a database with "
            "ENCODING 'UTF8'"
        )
    finally:
        own_server.execute(own_server.dsn, "DROP DATABASE latin WITH (FORCE)")


@pytest.mark.parametrize(
    ("dsn", "why"),
    [
        ("", "is empty; write postgresql://USER@HOST:PORT/DATABASE, with the password after"),
        ("  ", "is empty; write postgresql://USER@HOST:PORT/DATABASE, with the password after"),
        ("threads.db", "is no address of a PostgreSQL database; write postgresql://USER@HOST"),
        ("mysql://u:P@h/d", "is no address of a PostgreSQL database; write postgresql://USER"),
        ("host=h password=P", "is one of KEY=VALUE, and lgx understands addresses alone; write"),
        ("postgresql://u:P/x@h/d", "cannot be understood: in user and password write @ as %40"),
        ("postgresql://u:P#x@h/d", "cannot be understood: in user and password write @ as %40"),
        ("postgresql://u:P?x@h/d", "cannot be understood: a part of it is not what it should be"),
        ("postgresql://u:P@h:x1/d", "cannot be understood: in user and password write @ as %40"),
        ("postgresql://u:P@h:99999999/d", "cannot be understood: a port is larger than 65535"),
        ("postgresql://u:P@[::1/d", "cannot be understood: a part of it is not what it should"),
        ("postgresql://u:P@h/d?x", "cannot be understood: a part of it is not what it should be"),
        ("postgresql://u:P%00@h/d", "cannot be understood: it holds a control character"),
        ("postgresql://u:P@h/d\ne", "cannot be understood: it holds a control character"),
        ("postgresql://u:P@h/d#x", "cannot be understood: write # as %23"),
        ("postgresql://u:P@h/d?sslmode=safe", "cannot be understood: `sslmode` parameter must be"),
        (
            "postgresql://u:P@h/d?connect_timeout=P",
            "cannot be understood: connect_timeout is no number of seconds",
        ),
        ("postgresql://u:P@/d?host=h,i&port=1,2,3", "cannot be understood: could not match 3 port"),
    ],
)
async def test_an_address_that_is_none(dsn: str, why: str) -> None:
    """The message does not repeat it: any part may be the password."""
    message = await refusal(UsageError, dsn.replace("P", PASSWORD, 1 if "P" in dsn else 0))
    assert message.startswith(f"the dsn {why}")


async def test_files_of_certificates_that_are_not_there() -> None:
    """Named before anything is opened."""
    assert await refusal(
        UsageError, f"postgresql://u:{PASSWORD}@h/d?sslmode=verify-full&sslrootcert=/no/ca.pem"
    ) == ("there is no file '/no/ca.pem'; correct sslrootcert in the dsn")


async def test_a_parameter_that_the_server_does_not_know(own_database: str) -> None:
    """Another client's, misspelt, or for another server."""
    assert (await refusal(UsageError, f"{own_database}&schema=mine")).endswith(
        'refused the connection: unrecognized configuration parameter "schema"; take that '
        "parameter out of the dsn"
    )


async def test_more_connections_than_the_server_has(names: Names) -> None:
    """A full house: said at the begin, tried again in the middle."""
    with PostgresProcess(max_connections="6", superuser_reserved_connections="0") as server:
        address = Address(Secret(server.dsn))
        connections = []
        with pytest.raises(FatalError) as refused:
            while True:
                connections += [await address.connect()]
        for connection in connections:
            await close(connection)
    assert str(refused.value).endswith(
        "cannot be used now: sorry, too many clients already; run again later"
    )
