"""Schemas and prefixes that hold anything: quoted, or refused before anything is opened."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import Thread, UsageError, raw
from lgx.testing import same_records
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.schema import tables

ODD = [
    "o'brien",
    'say "hi"',
    '"; DROP SCHEMA public CASCADE; --',
    "Robert'); DROP TABLE threads;--",
    "new\nline\ttab",
    "back\\slash",
    "%s $1 {0} :name",
    "emoji 😀",
    "é\u202e\u0301",
    "SELECT",
    "a.b",
    " ",
    "--",
    "/*",
]


def thread(thread_id: str) -> list[Any]:
    return [Thread(thread_id=thread_id, values=raw({"messages": [{"content": "hi"}]}))]


@pytest.mark.parametrize("name", ODD)
async def test_any_schema_and_prefix_is_taken_as_it_is(target: Any, sql: Any, name: str) -> None:
    """Written, read back, and found in the catalog under exactly these names; nothing is
    created outside the schema."""
    before = set(sql(_RELATIONS))
    await target.write(thread("t"), schema=name, table_prefix=name)
    found = await target.read(schema=name, table_prefix=name)
    assert same_records(found["t"], thread("t")) == []
    made = set(sql(_RELATIONS)) - before
    assert {schema for schema, _ in made} == {name}
    assert all(relation.startswith(name) for _, relation in made)
    assert (name, f"{name}threads") in made


_RELATIONS = (
    "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n "
    "ON n.oid = c.relnamespace WHERE n.nspname <> 'pg_toast'"
)


async def test_the_longest_names_are_those_that_postgresql_does_not_cut(
    target: Any, sql: Any
) -> None:
    """63 bytes, not characters, for schema and for prefix with the longest name behind it."""
    schema, prefix = "é" * 31 + "x", "é" * 19
    await target.write(thread("t"), schema=schema, table_prefix=prefix)
    found = await target.read(schema=schema, table_prefix=prefix)
    assert same_records(found["t"], thread("t")) == []
    longest = sql("SELECT max(octet_length(relname)) FROM pg_class WHERE relname LIKE 'é%'")
    assert longest == [(63,)]


def test_every_name_fits_behind_the_longest_prefix() -> None:
    """The limit on the prefix follows from the longest name that lgx has."""
    prefix = "p" * 38
    n = Names("s", prefix)
    names = {word.strip('"') for sql in tables(n) for word in _identifiers(sql, prefix)}
    assert max(len(name) for name in names) == 63
    assert f"{prefix}checkpoints_by_checkpoint" in names


def _identifiers(sql: str, prefix: str) -> list[str]:
    return [word for word in sql.replace(".", " ").split() if word.startswith(f'"{prefix}')]


@pytest.mark.parametrize(
    ("schema", "prefix", "message"),
    [
        ("a\0b", "", "schema 'a\\x00b' holds a character that no name can; drop it"),
        ("s", "\ud800", "table-prefix '\\ud800' holds a character that no name can; drop it"),
        ("", "", "schema '' is no name; leave the option out for the schema public"),
        (
            "pg_catalog",
            "",
            (
                "schema 'pg_catalog' is reserved by PostgreSQL; choose one that does not begin "
                "with pg_"
            ),
        ),
        (
            "é" * 32,
            "",
            f"schema {'é' * 32!r} has 64 bytes, and PostgreSQL's names leave it 63; shorten it",
        ),
        (
            "s",
            "é" * 20,
            (
                f"table-prefix {'é' * 20!r} has 40 bytes, and PostgreSQL's names leave it 38; "
                "shorten it"
            ),
        ),
    ],
)
def test_names_that_cannot_be_are_refused(schema: str, prefix: str, message: str) -> None:
    """PostgreSQL would cut the long ones, and two tables become one."""
    with pytest.raises(UsageError) as refused:
        Names(schema, prefix)
    assert str(refused.value) == message
