"""Stores of LangGraph's own in both kinds of database, with and without vectors."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.postgres import PostgresStore
from langgraph.store.sqlite import SqliteStore

import lgx
from lgx import Use

DIMENSIONS = 4


def embed(texts: Sequence[str]) -> list[list[float]]:
    """A model that knows nothing: the same text gives the same vector."""
    return [
        [byte / 7 for byte in hashlib.sha256(text.encode()).digest()[:DIMENSIONS]] for text in texts
    ]


def embed_otherwise(texts: Sequence[str]) -> list[list[float]]:
    return [[-number for number in vector] for vector in embed(texts)]


class Place:
    """A database with a store, as LangGraph and as lgx see it."""

    source: Use
    kind: str

    @contextmanager
    def store(self, **options: Any) -> Iterator[Any]:
        """LangGraph's own store on it, after its `setup()`; `index`: with vectors."""
        raise NotImplementedError
        yield

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def use(self, **options: Any) -> Use:
        raise NotImplementedError

    def items(self) -> dict[Any, Any]:
        """What LangGraph's store finds there, with when it was made and changed."""
        with self.store() as store:
            found = store.search((), limit=10_000, refresh_ttl=False)  # reading prolongs a life
            for one in found:
                assert store.get(one.namespace, one.key, refresh_ttl=False).value == one.value
        return {
            (one.namespace, one.key): (one.value, _utc(one.created_at), _utc(one.updated_at))
            for one in found
        }

    def expiry(self) -> dict[Any, Any]:
        """When which item expires, and after how many minutes without use."""
        rows = self.sql("SELECT prefix, key, expires_at, ttl_minutes FROM store")
        return {
            (prefix, key): (_utc(expires), None if ttl is None else float(ttl))
            for prefix, key, expires, ttl in rows
        }


class _Connection(sqlite3.Connection):
    """With the function of sqlite-vec that SqliteStore calls: not every Python's SQLite loads
    extensions."""

    def enable_load_extension(self, enabled: bool) -> None:
        pass

    def load_extension(self, *args: Any) -> None:
        self.create_function("vec_distance_cosine", 2, _distance)


def _distance(one: bytes, other: bytes) -> float:
    left, right = (array("f", data) for data in (one, other))
    return 1 - sum(map(float.__mul__, left, right)) / math.hypot(*left) / math.hypot(*right)


class InSqlite(Place):
    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def store(self, **options: Any) -> Iterator[SqliteStore]:
        if "index" in options:
            options["index"] = {"text_fields": ["text"], **options["index"]}
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        with closing(connection):
            store = SqliteStore(connection, **options)
            store.setup()
            yield store

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            rows = connection.execute(text).fetchall()
            connection.commit()
            return rows

    def use(self, **options: Any) -> Use:
        return lgx.use("sqlite-saver", path=str(self.path), **options)


class InPostgres(Place):
    kind = "postgres"

    def __init__(self, database: Any) -> None:
        self.database = database

    @contextmanager
    def store(self, **options: Any) -> Iterator[PostgresStore]:
        if "index" in options:
            options["index"] = {"fields": ["text"], **options["index"]}
        with PostgresStore.from_conn_string(self.database.dsn, **options) as store:
            store.setup()
            yield store

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.database.sql(text)]

    def use(self, **options: Any) -> Use:
        return lgx.use("postgres-saver", dsn=self.database.dsn, **options)


def _utc(when: datetime | str | None) -> datetime | None:
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    if when is None or when.tzinfo is not None:
        return when
    return when.replace(tzinfo=UTC)


@pytest.fixture
def new_place(new_store: Callable[[], Any], tmp_path: Path) -> Callable[[str], Place]:
    """Gives an empty database: `new_place("postgres")`. It has a checkpointer's empty tables."""
    made: list[Place] = []

    def make(kind: str) -> Place:
        if kind == "sqlite":
            made.append(InSqlite(tmp_path / f"{len(made)}.db"))
        else:
            made.append(InPostgres(new_store()))
        return made[-1]

    return make


@pytest.fixture
def index() -> dict[str, Any]:
    """Configures a store to make vectors."""
    return {"dims": DIMENSIONS, "embed": embed}


@pytest.fixture
def other_index() -> dict[str, Any]:
    """The same with another model."""
    return {"dims": DIMENSIONS, "embed": embed_otherwise}
