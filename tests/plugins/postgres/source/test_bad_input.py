"""What can be wrong with a database that is to be read: one clear line each."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import FatalError, LgxError, Query, Secret, Thread, UsageError, raw, run_async, use
from lgx.testing import PostgresProcess, make_context
from lgx_plugins.postgres import PostgresSource
from lgx_plugins.postgres.config import PostgresSourceConfig


async def _refusal(shop: Any, **options: Any) -> str:
    with pytest.raises(UsageError) as refused:
        await shop.refs(**options)
    assert type(refused.value) is UsageError
    return str(refused.value)


async def test_a_database_without_threads_is_not_read_as_empty(shop: Any) -> None:
    """The wrong database, schema or prefix."""
    shop.query("CREATE TABLE mine (x int)")
    for schema in ("public", "none"):
        assert await _refusal(shop, schema=schema) == (
            f"{shop.place} has no table 'langgraph_threads' of threads in schema {schema!r}; "
            "choose another --source-dsn, --source-schema or --source-table-prefix"
        )
    shop.query("CREATE TABLE langgraph_threads (id int)")
    assert "has no table 'langgraph_threads' of threads" in await _refusal(shop)


async def test_a_newer_schema_is_not_guessed_at(shop: Any) -> None:
    """A later lgx may have given columns another meaning."""
    await shop.write(shop.thread("a"))
    shop.query("INSERT INTO langgraph_migrations VALUES (99)")
    message = await _refusal(shop)
    assert "have schema version 99, and this lgx knows versions up to" in message
    assert message.endswith("install a newer lgx")


async def test_no_such_database(own_server: PostgresProcess) -> None:
    """Nor is one created."""
    source = PostgresSource(PostgresSourceConfig(dsn=Secret(own_server.database_dsn("none"))))
    with pytest.raises(UsageError, match=r'cannot be used: database "none" does not exist; create'):
        await source.versions(make_context())


_SELECT = "; GRANT SELECT ON ALL TABLES IN SCHEMA kept TO reader_"


@pytest.mark.parametrize(
    ("grants", "why"),
    [
        ((), "use the schema 'kept'; GRANT USAGE ON SCHEMA kept TO reader_0"),
        (("USAGE ON SCHEMA kept",), "read the table 'langgraph_assistants'" + _SELECT + "1"),
        (
            ("USAGE ON SCHEMA kept", "SELECT ON kept.langgraph_assistants"),
            "read the table 'langgraph_checkpoints'" + _SELECT + "2",
        ),
    ],
)
async def test_a_user_who_may_not_read(
    own_server: PostgresProcess, own_database: str, shop: Any, grants: tuple[str, ...], why: str
) -> None:
    """What is to be granted, and to whom."""
    shop.server, shop.dsn = own_server, own_database
    await shop.write(shop.thread("a"), schema="kept")
    role = f"reader_{len(grants)}"
    name = own_database.split("?")[0].rsplit("/", 1)[1]
    shop.query(f"CREATE ROLE {role} LOGIN PASSWORD 'canary'")
    for grant in grants:
        shop.query(f"GRANT {grant} TO {role}")
    shop.dsn = own_server.tcp_dsn(role, "canary", name)
    message = await _refusal(shop, schema="kept")
    shop.dsn = own_database
    shop.query(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert message.endswith(f" cannot be read: the user may not {why}")
    assert "canary" not in message


async def test_a_user_who_may_read_needs_no_other_right(
    own_server: PostgresProcess, own_database: str, shop: Any
) -> None:
    """One of a read-only role; nothing is written, created or locked against writers."""
    shop.server, shop.dsn = own_server, own_database
    await shop.write(shop.thread("a"), schema="kept")
    name = own_database.split("?")[0].rsplit("/", 1)[1]
    shop.query(
        "CREATE ROLE looker LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA kept TO looker; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA kept TO looker; "
        "ALTER ROLE looker SET default_transaction_read_only = on"
    )
    shop.dsn = own_server.tcp_dsn("looker", "x", name)
    assert list(await shop.records(schema="kept")) == ["a"]
    async with shop.source(schema="kept") as source:
        facts = (await source.probe(shop.context)).facts
    assert [fact for fact in facts if fact.level != "ok"] == []
    shop.dsn = own_database
    shop.query("DROP OWNED BY looker; DROP ROLE looker")


@pytest.mark.parametrize("through", ["table", "view"])
async def test_rows_that_a_policy_hides_are_not_left_out_silently(
    own_server: PostgresProcess, own_database: str, shop: Any, through: str
) -> None:
    """A user who sees some of the threads would copy those, and take it for all."""
    shop.server, shop.dsn = own_server, own_database
    await shop.write(shop.thread("a"), shop.thread("b"))
    name = own_database.split("?")[0].rsplit("/", 1)[1]
    shop.query(
        "ALTER TABLE langgraph_threads ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY half ON langgraph_threads USING (thread_id = 'a');"
        "CREATE ROLE half LOGIN PASSWORD 'x';"
        "CREATE VIEW my_threads WITH (security_invoker) AS SELECT * FROM langgraph_threads;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO half"
    )
    shop.dsn = own_server.tcp_dsn("half", "x", name)
    message = await _refusal(shop, table_prefix="langgraph_" if through == "table" else "my_")
    if through == "table":
        assert message == (
            f"{shop.place} may hide rows of 'langgraph_threads' from this user, by policies for "
            "rows; name a user whom they do not bind (the table's owner, or one with BYPASSRLS), "
            "or read a view that holds what you want"
        )
    else:
        assert "query would be affected by row-level security policy" in message
        assert message.endswith("or name another user")
    shop.dsn = own_database
    shop.query("DROP OWNED BY half CASCADE; DROP ROLE half")
    assert list(await shop.records()) == ["a", "b"]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
async def test_text_in_another_encoding(
    own_server: PostgresProcess, shop: Any, encoding: str
) -> None:
    """The server turns what is text into UTF-8; what is none fails its thread, no other."""
    own_server.execute(
        own_server.dsn,
        f"CREATE DATABASE enc TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'",
    )
    shop.server, shop.dsn = own_server, own_server.database_dsn("enc")
    try:
        shop.query("CREATE TABLE langgraph_threads (thread_id TEXT, status TEXT)")
        shop.query("INSERT INTO langgraph_threads VALUES ('a', 'é'), ('b', 'idle')")
        if encoding == "SQL_ASCII":
            shop.query(
                "CREATE FUNCTION bytes(bytea) RETURNS text AS $$ SELECT convert_from($1, "
                "'SQL_ASCII') $$ LANGUAGE sql"
            )
            shop.query("INSERT INTO langgraph_threads VALUES ('c', bytes(decode('ff', 'hex')))")
        target = shop.directory / "out"
        report = await run_async(use("postgres", dsn=shop.dsn), use("ndjson", path=target))
        lines = target.read_bytes().splitlines()[1:]
        assert [b'"\xc3\xa9"' in line for line in lines] == [True, False]
        assert [failure.thread_id for failure in report.failures] == (
            ["c"] if encoding == "SQL_ASCII" else []
        )
        # What is asked for may be what such a database cannot even hold.
        for query, expected in (
            (Query(status="é"), ["a"]),
            (Query(status="😀"), []),
            (Query(thread_ids=("😀", "b")), ["b"]),
            (Query(thread_ids=("é",)), []),
        ):
            assert [ref.thread_id for ref in await shop.refs(query)] == expected
        shop.query("UPDATE langgraph_threads SET thread_id = 'é''\\' WHERE thread_id = 'a'")
        if encoding != "SQL_ASCII":
            assert "é'\\" in await shop.records()
        else:
            records, _ = await shop.losses("é'\\")
            assert [type(record) for record in records] == [Thread]
            shop.query("UPDATE langgraph_threads SET thread_id = status WHERE thread_id = 'c'")
            with pytest.raises(FatalError, match=r"listed: a text in it is not UTF-8, as"):
                await shop.refs()
    finally:
        own_server.execute(own_server.dsn, "DROP DATABASE enc WITH (FORCE)")
        shop.dsn = own_server.dsn


@pytest.mark.parametrize("connections", [1, 4])
async def test_rows_that_the_server_cannot_read_cost_their_thread(
    shop: Any, connections: int
) -> None:
    """Such as values that were kept once, and removed by hand; its neighbours come."""
    await shop.write(*(shop.thread(name) for name in "abc"), layout="dedup")
    removed = shop.query(
        "DELETE FROM langgraph_channel_values WHERE value = '0' AND thread = "
        "(SELECT id FROM langgraph_threads WHERE thread_id = 'b') RETURNING 1"
    )
    assert removed == [(1,)]
    source = use("postgres", dsn=shop.dsn, connections=connections)
    report = await run_async(source, use("ndjson", path=shop.directory / "out"))
    assert (report.exit_code, report.threads.written, report.threads.failed) == (3, 2, 1)
    assert [(failure.thread_id, failure.why) for failure in report.failures] == [
        ("b", "the server cannot read its rows: invalid input syntax for type json")
    ]


async def test_a_server_that_goes_away_ends_the_run(own_server: PostgresProcess, shop: Any) -> None:
    """What was read before is kept; the exit code and the message say what is not."""
    shop.server, shop.dsn = own_server, own_server.new_database()
    await shop.write(
        *([Thread(thread_id=f"t{n:03}", values=raw("x" * 200_000))] for n in range(200))
    )
    async with shop.source() as source:
        refs = [ref async for ref in source.list(Query(), shop.context)]
        own_server.restart()
        with pytest.raises(LgxError, match="cannot be taken again; run again"):
            [item async for item in source.read(refs[:50], shop.context)]
    assert len(await shop.refs()) == 200
    own_server.drop_database(shop.dsn)
    shop.dsn = own_server.dsn
