"""What `lgx doctor` shows of a target, before and after a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from lgx import Checkpoint, Fact, Thread, UsageError, raw
from lgx.testing import PostgresProcess, PostgresServer, make_bundle, make_context, make_run
from lgx_plugins.postgres.connection import Address
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.names import Names

_CHECKPOINT = Checkpoint(thread_id="a", checkpoint_ns="", checkpoint_id="1", values=raw({}))


async def facts(target: Any, **options: Any) -> dict[str, Fact]:
    """By name; of the sink."""
    context = make_context()
    async with target.sink(**options) as sink:
        return {fact.name: fact for fact in (await sink.probe(context)).facts}


async def test_an_empty_database(target: Any, sql: Any, address: Address) -> None:
    """Reachable, may be written to, holds nothing; nothing is created."""
    found = await facts(target)
    ((version, most),) = sql(
        "SELECT current_setting('server_version'), current_setting('max_connections')"
    )
    used = found["connections"].value.partition(" ")[0]
    assert found == {
        "postgresql": Fact(name="postgresql", value=version),
        "database": Fact(name="database", value=found["database"].value),
        "schema": Fact(name="schema", value="no tables of lgx under 'public.langgraph_*'"),
        "access": Fact(name="access", value="may write"),
        "connections": Fact(
            name="connections", value=f"{used} of {most} in use, and a run opens up to 6"
        ),
        "lock": Fact(name="lock", value="free"),
    }
    assert found["database"].value.startswith(f"{address.place}, ")
    assert sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'langgraph%'") == [(0,)]


async def test_what_stands_there_by_source(target: Any) -> None:
    """Counts, and how many are not whole."""
    await target.write([Thread(thread_id="a")], [Thread(thread_id="b")])
    context = make_context()
    async with target.sink() as sink:
        await sink.begin(make_run(source="kit://other", merge=True), make_context())
        bundle = make_bundle(context, [Thread(thread_id="c")], partial=True)
        await sink.write([bundle], context)
        bundle.close()
    async with target.sink() as sink:
        found = [fact for fact in (await sink.probe(context)).facts if fact.name == "threads"]
    assert found == [
        Fact(name="threads", value="2 of kit://first"),
        Fact(name="threads", value="1 of kit://other, 1 of them not whole", level="warn"),
    ]
    assert (await facts(target))["schema"].value == "version 1 under 'public.langgraph_*'"


async def test_the_layout_of_the_tables(target: Any) -> None:
    """Told where it is not the plain one: it does not change."""
    await target.write([Thread(thread_id="a")], layout="dedup")
    assert (await facts(target))["schema"].value == (
        "version 1 under 'public.langgraph_*', layout dedup"
    )


async def test_another_layout_than_that_of_the_tables(target: Any) -> None:
    """Told as a run would tell it; who asks for none gets what is there."""
    for layout, other in (("plain", "dedup"), ("dedup", "plain")):
        options = {"table_prefix": f"{layout}_"}
        await target.write([Thread(thread_id="a"), _CHECKPOINT], layout=layout, **options)
        assert "tables" not in await facts(target, **options)
        assert "tables" not in await facts(target, layout=layout, **options)
        with pytest.raises(UsageError) as refused:
            await target.write([Thread(thread_id="a")], layout=other, **options)
        assert (await facts(target, layout=other, **options))["tables"] == Fact(
            name="tables", value=str(refused.value), level="error"
        )
        await target.write([Thread(thread_id="b")], **options)


async def test_a_database_in_another_encoding(
    own_server: PostgresProcess, open_target: Callable[[str], Any]
) -> None:
    """A run would refuse it."""
    own_server.execute(
        own_server.dsn, "CREATE DATABASE latin9 TEMPLATE template0 ENCODING 'LATIN9' LOCALE 'C'"
    )
    try:
        found = await facts(open_target(own_server.database_dsn("latin9")))
    finally:
        own_server.execute(own_server.dsn, "DROP DATABASE latin9 WITH (FORCE)")
    assert found["encoding"] == Fact(
        name="encoding", value="LATIN9, and lgx needs UTF8", level="error"
    )


async def test_tables_of_the_older_tool(target: Any, older: Any) -> None:
    """They will be upgraded; until then they stay."""
    before = older("SELECT count(*) FROM pg_class")
    assert (await facts(target))["schema"] == Fact(
        name="schema",
        value="tables of an older tool under 'public.langgraph_*'; a run upgrades them",
    )
    assert older("SELECT count(*) FROM pg_class") == before


async def test_a_run_that_is_under_way(target: Any, address: Address, names: Names) -> None:
    """The lock, and who holds it."""
    lease = TargetLease(address, names)
    await lease.acquire()
    found = (await facts(target))["lock"]
    await lease.release()
    assert found.level == "warn"
    assert found.value.startswith(f"held by process {os.getpid()} on host ")


async def test_tables_that_the_user_may_not_write_to(
    target: Any, sql: Any, postgres_server: PostgresServer
) -> None:
    """Named, where they are somebody else's; who may write to all need not make any."""
    await target.write([Thread(thread_id="t")])
    ((name,),) = sql("SELECT current_database()")
    sql("CREATE ROLE lgx_writer")
    try:
        sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO lgx_writer")
        sql("REVOKE DELETE ON langgraph_checkpoints FROM lgx_writer")
        sql(f"ALTER DATABASE {name} SET role = 'lgx_writer'")
        assert (await facts(target))["access"] == Fact(
            name="access",
            value="the user may not write to the table 'langgraph_checkpoints'; GRANT SELECT, "
            "INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO lgx_writer",
            level="error",
        )
        admin = "SET ROLE NONE; GRANT DELETE ON langgraph_checkpoints TO lgx_writer;"
        postgres_server.execute(target.dsn, admin)
        assert (await facts(target))["access"] == Fact(
            name="access",
            value="the user may not number new rows of 'langgraph_threads'; GRANT USAGE ON ALL "
            "SEQUENCES IN SCHEMA public TO lgx_writer",
            level="error",
        )
        admin = "SET ROLE NONE; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO lgx_writer;"
        postgres_server.execute(target.dsn, admin)
        assert (await facts(target))["access"] == Fact(name="access", value="may write")
        await target.write([Thread(thread_id="t", status="idle")], [Thread(thread_id="u")])
    finally:
        postgres_server.execute(postgres_server.dsn, f"ALTER DATABASE {name} RESET ALL")
        postgres_server.execute(target.dsn, "DROP OWNED BY lgx_writer")
        postgres_server.execute(postgres_server.dsn, "DROP ROLE lgx_writer")


async def test_what_would_keep_a_run_from_writing(
    target: Any, sql: Any, postgres_server: PostgresServer
) -> None:
    """A schema that nobody may make tables in, one that is not there, a full house."""
    ((name,),) = sql("SELECT current_database()")
    assert (await facts(target, connections=64))["connections"].level == "ok"
    sql("CREATE ROLE lgx_reader")
    try:
        sql(f"ALTER DATABASE {name} SET role = 'lgx_reader'")
        sql_admin = postgres_server.execute
        assert (await facts(target))["access"] == Fact(
            name="access",
            value="the user may not create tables in schema 'public'; GRANT CREATE ON SCHEMA "
            "public TO lgx_reader",
            level="error",
        )
        assert (await facts(target, schema="none"))["access"] == Fact(
            name="access",
            value="there is no schema 'none', and the user may not create it; GRANT CREATE ON "
            f"DATABASE {name} TO lgx_reader",
            level="error",
        )
        sql_admin(
            postgres_server.dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on"
        )
        assert (await facts(target))["access"] == Fact(
            name="access", value="a standby, or read-only: name the primary", level="error"
        )
    finally:
        postgres_server.execute(postgres_server.dsn, f"ALTER DATABASE {name} RESET ALL")
        postgres_server.execute(postgres_server.dsn, "DROP ROLE lgx_reader")
