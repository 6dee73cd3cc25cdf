"""Users who may not do all, and what is said of it before anything moves."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lgx import Query, UsageError
from lgx.testing import make_context


@pytest.fixture
def role(filled: Any) -> Iterator[str]:
    """A user who may log in, and nothing else."""
    name = f"lgx_test_{secrets.token_hex(4)}"
    filled.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield name
    filled.sql(f"DROP OWNED BY {name}")
    filled.sql(f"DROP ROLE {name}")


@pytest.fixture
def guest(filled: Any, role: str) -> Any:
    """The store as that user sees it."""
    own = filled.dsn
    filled.dsn = own.replace("postgres@", f"{role}@")
    yield filled
    filled.dsn = own


def run_as_owner(guest: Any, role: str, statement: str) -> None:
    guest.server.execute(guest.dsn.replace(f"{role}@", "postgres@"), statement)


async def test_what_may_not_be_read_is_named_with_the_grant_that_is_missing(
    guest: Any, role: str
) -> None:
    run_as_owner(guest, role, f"GRANT USAGE ON SCHEMA public TO {role}")
    for table in ("checkpoints", "checkpoint_blobs"):
        run_as_owner(guest, role, f"GRANT SELECT ON {table} TO {role}")

    with pytest.raises(UsageError, match=f"'checkpoint_writes'; GRANT SELECT .* TO {role}"):
        await guest.refs()

    run_as_owner(guest, role, f"GRANT SELECT ON checkpoint_writes TO {role}")
    assert len(await guest.refs()) == 28


async def test_rows_that_a_policy_hides_are_not_passed_over(guest: Any, role: str) -> None:
    run_as_owner(guest, role, f"GRANT USAGE ON SCHEMA public TO {role}")
    run_as_owner(guest, role, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    run_as_owner(guest, role, "ALTER TABLE checkpoint_blobs ENABLE ROW LEVEL SECURITY")

    with pytest.raises(UsageError, match="may hide rows of 'checkpoint_blobs'"):
        await guest.refs()


async def test_who_may_not_write_hears_so_and_nothing_is_made(
    guest: Any, role: str, new_store: Callable[[], Any]
) -> None:
    run_as_owner(guest, role, f"GRANT USAGE ON SCHEMA public TO {role}")
    run_as_owner(guest, role, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")

    with pytest.raises(UsageError, match="permission denied for schema public; grant it"):
        async with guest.writing():
            pass


async def test_an_address_without_tables_or_server_is_told_with_its_option(
    new_store: Callable[[], Any],
) -> None:
    store = new_store()
    with pytest.raises(UsageError, match=r"no table 'checkpoints' in schema 'public'; .*--source"):
        await store.refs()
    with pytest.raises(UsageError, match="'nowhere'"):
        async with store.source(schema="nowhere") as source:
            _ = [one async for one in source.list(Query(), make_context())]
