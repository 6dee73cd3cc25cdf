"""Functions of others never run in place of the server's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lgx import Thread, raw
from lgx.testing import PostgresProcess

# Each fits what lgx says better than the server's own does, or as well.
_FUNCTIONS = (
    "nextval(text) RETURNS bigint",
    "hashtextextended(text, integer) RETURNS bigint",
    "hashint8extended(integer, bigint) RETURNS bigint",
    "set_config(unknown_name text, value text, flag boolean) RETURNS text",
    "count(integer) RETURNS bigint",
    "concat_ws(text, bigint, text) RETURNS text",
    "concat_ws(text, bigint, text, text) RETURNS text",
    "concat_ws(text, text, text) RETURNS text",
    "greatest_of(text) RETURNS bigint",
)


@pytest.fixture
def mallory(own_server: PostgresProcess, own_database: str) -> Iterator[str]:
    """A database in which somebody else may make functions, and has made some."""
    own_server.execute(own_server.dsn, "CREATE ROLE mallory LOGIN PASSWORD 'm'")
    own_server.execute(
        own_database,
        "GRANT CREATE, USAGE ON SCHEMA public TO mallory; CREATE TABLE public.seen (who text);"
        "GRANT ALL ON public.seen TO PUBLIC; SET ROLE mallory;"
        + "".join(
            f"CREATE FUNCTION public.{function} LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'caught % by %', current_user, 'mallory'; END $$;"
            for function in _FUNCTIONS
        ),
    )
    yield own_database
    own_server.execute(own_database, "DROP OWNED BY mallory")
    own_server.execute(own_server.dsn, "DROP ROLE mallory")


@pytest.mark.parametrize("layout", ["plain", "dedup"])
@pytest.mark.parametrize("first", ["public, pg_catalog", '"$user", public'])
async def test_functions_that_others_made_are_not_called(
    own_server: PostgresProcess,
    mallory: str,
    open_target: Callable[[str], Any],
    layout: str,
    first: str,
) -> None:
    """Neither writing, writing again nor reading runs them, whatever the session's path is."""
    database = mallory.partition("?")[0].rpartition("/")[2]
    own_server.execute(own_server.dsn, f'ALTER DATABASE "{database}" SET search_path = {first}')
    target = open_target(mallory)
    for note in ("a", "b"):
        await target.write([Thread(thread_id="t", metadata=raw(note))], layout=layout)
    (thread,) = (await target.read())["t"]
    assert bytes(thread.metadata) == b'"b"'
