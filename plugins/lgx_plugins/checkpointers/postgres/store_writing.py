"""Writing the items of a store, a batch in a transaction."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from lgx import Bundle, Context, ThreadError, WriteOutcome
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.postgres.store_creating import add_store, add_vectors
from lgx_plugins.checkpointers.postgres.store_fitting import fit, microseconds
from lgx_plugins.checkpointers.postgres.store_rows import item_of_row, row_columns, to_binary
from lgx_plugins.checkpointers.postgres.store_tables import (
    STORE,
    VECTORS,
    StoreTables,
    find_store,
    new_store,
)
from lgx_plugins.checkpointers.rows.conflicts import Policy
from lgx_plugins.checkpointers.stores.batches import Batch, batches
from lgx_plugins.checkpointers.stores.conflicts import Course
from lgx_plugins.checkpointers.stores.decisions import Decision, Fitted, decide, land
from lgx_plugins.checkpointers.stores.items import Item, called
from lgx_plugins.checkpointers.stores.landing import Landing
from lgx_plugins.checkpointers.stores.options import VectorPolicy
from lgx_plugins.checkpointers.stores.vectors import Vector
from lgx_plugins.postgres.connection import transaction
from lgx_plugins.postgres.copying import (
    NULL,
    Part,
    Row,
    add_bytes,
    add_integer,
    add_json,
    begin_row,
    closed,
)
from lgx_plugins.postgres.counting import all_of
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.transactions import Transactions
from lgx_plugins.postgres.writer import copy

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["StoreWriter"]

_STAGED = "lgx_staged_"
_VECTOR_COLUMNS = ("prefix", "key", "field_name", "embedding", "created_at", "updated_at")
_int4 = struct.Struct(">ii").pack


class StoreWriter:
    """Puts items in beside a checkpointer's tables; makes those of the store with the first."""

    def __init__(
        self, transactions: Transactions, names: Names, policy: Policy, vectors: VectorPolicy
    ) -> None:
        self._transactions = transactions
        self._names = names
        self._policy = policy
        self._tables: StoreTables | None = None
        self._no_vectors = None if vectors == "copy" else "none were wanted"

    async def write(self, bundle: Bundle, context: Context) -> WriteOutcome:
        landing = Landing(self._policy)
        coming = batches(bundle, landing)
        none: Batch = {}
        try:
            while batch := await run_blocking(next, coming, none):
                await context.request(partial(self._prepare, batch), what="tables of the store")
                await self._store([*self._fitted(batch, landing)], landing, context)
        except ThreadError as error:
            return WriteOutcome(thread_id=None, error=str(error))
        return landing.outcome(len(bundle))

    async def preview(self, bundle: Bundle, context: Context) -> WriteOutcome:
        """What `write` would say, as far as can be told without writing."""
        landing = Landing(self._policy)
        coming = batches(bundle, landing)
        none: Batch = {}
        async with (
            self._transactions.alone() as connection,
            transaction(connection, readonly=True, one_moment=True),
        ):
            there = await find_store(connection, self._names)
            why = there.unwritable() if there is not None and len(bundle) else None
            if why is not None:
                return WriteOutcome(thread_id=None, error=why)
            self._tables = there or new_store(self._names)
            while batch := await run_blocking(next, coming, none):
                fitted = [*self._fitted(batch, landing)]
                items = [one.item for one in fitted]
                standing = await self._standing(connection, items) if there is not None else {}
                land(
                    (decide(self._policy, one, standing.get(one.item.identity)) for one in fitted),
                    landing,
                )
        landing.foretell(context)
        return landing.outcome(len(bundle))

    # -- tables ----------------------------------------------------------------------

    async def _prepare(self, batch: Batch) -> None:
        """
        Raises:
            ThreadError: they cannot be written to.
        """
        if self._tables is None:
            async with self._transactions.writing() as connection:
                self._tables = await add_store(connection, self._names)
        tables = self._tables
        if self._no_vectors is not None or tables.vectors is not None:
            return
        first = next((one for item in batch.values() for one in item.vectors.values()), None)
        if first is not None:
            async with self._transactions.writing() as connection:
                self._tables, self._no_vectors = await add_vectors(connection, tables, first)

    @property
    def _known(self) -> StoreTables:
        assert self._tables is not None, "prepared before"
        return self._tables

    def _fitted(self, batch: Batch, landing: Landing) -> Iterator[Fitted]:
        for item in batch.values():
            try:
                yield fit(item, self._known, self._no_vectors)
            except ThreadError as error:
                landing.refuse(called(item.prefix, item.key), str(error))

    # -- items -----------------------------------------------------------------------

    async def _store(self, coming: Sequence[Fitted], landing: Landing, context: Context) -> None:
        """All together if that works; else by halves, so that one item fails alone."""
        if not coming:
            return
        count = len(coming)
        try:
            decisions = await context.request(
                lambda: self._stored(coming),
                what=f"transaction with {count} store item{'s' * (count != 1)}",
            )
        except ThreadError as error:
            if count == 1:
                item = coming[0].item
                landing.refuse(called(item.prefix, item.key), str(error))
                return
            await self._store(coming[: count // 2], landing, context)
            await self._store(coming[count // 2 :], landing, context)
        else:
            land(decisions, landing)

    async def _stored(self, coming: Sequence[Fitted]) -> Sequence[Decision]:
        async with self._transactions.writing() as connection:
            # An agent may be at work on it: nobody writes between our look and our commit.
            # Whoever reads is not kept waiting.
            await connection.execute(f"LOCK TABLE {self._names(STORE)} IN SHARE ROW EXCLUSIVE MODE")
            standing = await self._standing(connection, [one.item for one in coming])
            decisions = await run_blocking(
                lambda: [
                    decide(self._policy, one, standing.get(one.item.identity)) for one in coming
                ]
            )
            await self._put(connection, [one for one in decisions if one.writes])
            await self._put_vectors(connection, decisions)
            return decisions

    async def _standing(
        self, connection: Connection, items: Sequence[Item]
    ) -> Mapping[tuple[str, str], Item]:
        rows = await connection.fetch(
            f"SELECT {', '.join(row_columns(self._known))} FROM {self._names(STORE)} AS p "
            "JOIN unnest($1::text[], $2::text[]) AS w (prefix, key) "
            "ON p.prefix = w.prefix AND p.key = w.key",
            [item.prefix for item in items],
            [item.key for item in items],
        )
        found = (item_of_row(self._known, row) for row in rows)
        return {item.identity: item for item in found}

    async def _put(self, connection: Connection, decisions: Sequence[Decision]) -> None:
        if not decisions:
            return
        replaced = [one.item for one in decisions if one.course is Course.REPLACE]
        if replaced and self._known.vectors is not None:
            await connection.execute(
                f"DELETE FROM {self._names(VECTORS)} AS v USING unnest($1::text[], $2::text[]) "
                "AS w (prefix, key) WHERE v.prefix = w.prefix AND v.key = w.key",
                [item.prefix for item in replaced],
                [item.key for item in replaced],
            )
        columns: tuple[str, ...] = ("prefix", "key", "value", "created_at", "updated_at")
        if self._known.expiry:
            columns += ("expires_at", "ttl_minutes")
        expiry = self._known.expiry
        rows = (_row(one.item, len(columns), expiry=expiry) for one in decisions)
        await self._upsert(connection, STORE, columns, 2, rows, len(decisions))

    async def _put_vectors(self, connection: Connection, decisions: Sequence[Decision]) -> None:
        count = sum(len(one.put) for one in decisions)
        if count:
            rows = (
                _vector_row(one.item, field, vector)
                for one in decisions
                for field, vector in one.put.items()
            )
            await self._upsert(connection, VECTORS, _VECTOR_COLUMNS, 3, rows, count)

    async def _upsert(
        self,
        connection: Connection,
        table: str,
        columns: tuple[str, ...],
        keys: int,
        rows: Iterator[Row],
        count: int,
    ) -> None:
        """Puts rows in, in place of those of the same key: the first `keys` of the columns."""
        target, names = self._names(table), ", ".join(columns)
        staged = _STAGED + table
        await connection.execute(
            f"CREATE TEMP TABLE {staged} ON COMMIT DROP AS SELECT {names} FROM {target} "
            "WITH NO DATA"
        )
        await copy(connection, "pg_temp", staged, columns, rows)
        update = ", ".join(f"{column} = excluded.{column}" for column in columns[keys:])
        status = await connection.execute(
            f"INSERT INTO {target} ({names}) SELECT {names} FROM pg_temp.{staged} "
            f"ON CONFLICT ({', '.join(columns[:keys])}) DO UPDATE SET {update}"
        )
        all_of(count, status, target)


def _row(item: Item, columns: int, *, expiry: bool) -> Row:
    parts: list[Part] = [begin_row(columns)]
    add_bytes(parts, item.prefix.encode())
    add_bytes(parts, item.key.encode())
    add_json(parts, item.value)
    _add_time(parts, item.created_at)
    _add_time(parts, item.updated_at)
    if expiry:
        _add_time(parts, item.expires_at)
        parts.append(NULL if item.ttl_minutes is None else _int4(4, int(item.ttl_minutes)))
    return closed(parts, len(item.value))


def _vector_row(item: Item, field: str, vector: Vector) -> Row:
    parts: list[Part] = [begin_row(len(_VECTOR_COLUMNS))]
    for cell in (item.prefix.encode(), item.key.encode(), field.encode(), to_binary(vector)):
        add_bytes(parts, cell)
    _add_time(parts, vector.created_at)
    _add_time(parts, vector.updated_at)
    return closed(parts, len(vector.data))


def _add_time(parts: list[Part], text: str | None) -> None:
    add_integer(parts, None if text is None else microseconds(text))
