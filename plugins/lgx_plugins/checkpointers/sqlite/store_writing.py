"""Writing the items of a store, a batch in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from lgx import Bundle, Context, ThreadError, WriteOutcome
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.sqlite import store_schema
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverSinkConfig
from lgx_plugins.checkpointers.sqlite.store_rows import (
    check_item,
    item_cells,
    item_of_row,
    row_columns,
    vector_cells,
)
from lgx_plugins.checkpointers.sqlite.store_tables import STORE, VECTORS, StoreTables, find_store
from lgx_plugins.checkpointers.stores.batches import Batch, batches
from lgx_plugins.checkpointers.stores.conflicts import Course
from lgx_plugins.checkpointers.stores.decisions import Decision, Fitted, decide, land
from lgx_plugins.checkpointers.stores.items import Item, called
from lgx_plugins.checkpointers.stores.landing import Landing
from lgx_plugins.checkpointers.stores.vectors import Vector
from lgx_plugins.sqlite.connection import file_size, open_to_read
from lgx_plugins.sqlite.failures import explain, explained

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["StoreWriter", "foresee"]

Transaction: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]

_Key: TypeAlias = tuple[str, str]

_KEYS = 100  # items that are looked for in one query

_ITEMS = ("prefix", "key", "value", "created_at", "updated_at", "expires_at", "ttl_minutes")
_VECTORS = ("prefix", "key", "field_name", "embedding", "created_at", "updated_at")

_EXPIRY = (
    "expiry",
    "the table has no columns for it; run the store's setup() there, which adds them",
    True,
)


async def foresee(
    path: Path, config: SqliteSaverSinkConfig, bundle: Bundle, context: Context
) -> WriteOutcome:
    """What writing would say, as far as can be told without it."""
    if not file_size(path):
        return await StoreWriter(None, path, config).preview(bundle, context)
    connection = await open_to_read(path, config.busy_seconds)
    try:
        with explained(path):
            return await StoreWriter(connection, path, config).preview(bundle, context)
    finally:
        await connection.close()


class StoreWriter:
    """Puts items in beside a checkpointer's tables; makes those of the store with the first."""

    def __init__(
        self,
        connection: aiosqlite.Connection | None,
        path: Path,
        config: SqliteSaverSinkConfig,
        transaction: Transaction | None = None,
    ) -> None:
        """
        Args:
            connection: None in a dry run where there is no file.
            transaction: all or nothing, on this connection; None in a dry run.
        """
        self._maybe = connection
        self._path = path
        self._transaction = transaction
        self._policy = config.on_conflict
        self._wants_vectors = config.vectors == "copy"

    async def write(self, bundle: Bundle) -> WriteOutcome:
        """Makes items durable."""
        assert self._transaction is not None, "written in a dry run"
        landing = Landing(self._policy)
        coming = batches(bundle, landing)
        none: Batch = {}
        while batch := await run_blocking(next, coming, none):
            try:
                async with self._transaction():
                    tables = await self._tables(batch)
                    decisions = await self._decisions(
                        tables, self._fitted(batch, tables, landing), landing
                    )
                    refused = await self._put(tables, decisions)
            except ThreadError as error:
                return WriteOutcome(thread_id=None, error=str(error))
            land((one for one in decisions if one.item.identity not in refused), landing)
            for (prefix, key), why in refused.items():
                landing.refuse(called(prefix, key), why)
        return landing.outcome(len(bundle))

    async def preview(self, bundle: Bundle, context: Context) -> WriteOutcome:
        """What `write` would say, as far as can be told without writing."""
        landing = Landing(self._policy)
        coming = batches(bundle, landing)
        none: Batch = {}
        tables = None if self._maybe is None else await find_store(self._maybe)
        if tables is not None and tables.lacking is not None and len(bundle):
            return WriteOutcome(thread_id=None, error=self._lacking(tables.lacking))
        would_be = tables or StoreTables(frozenset(_ITEMS))
        if not would_be.odd_vectors:
            would_be = msgspec.structs.replace(would_be, vectors=True)
        while batch := await run_blocking(next, coming, none):
            fitted = self._fitted(batch, would_be, landing)
            if tables is None:
                land([decide(self._policy, one, None) for one in fitted], landing)
            else:
                land(await self._decisions(tables, fitted, landing), landing)
        landing.foretell(context)
        return landing.outcome(len(bundle))

    @property
    def _connection(self) -> aiosqlite.Connection:
        assert self._maybe is not None, "there is no file"
        return self._maybe

    # -- tables ----------------------------------------------------------------------

    async def _tables(self, batch: Batch) -> StoreTables:
        """Those that stand there; made where they are needed.

        Raises:
            ThreadError: no items can be written there.
        """
        tables = await find_store(self._connection)
        if tables is None:
            if await self._migrated():
                raise ThreadError(
                    f"{str(self._path)!r} has 'store_migrations', and no table {STORE!r}; remove "
                    "it, or write to another file"
                )
            await self._execute(store_schema.STORE_TABLES)
            tables = await find_store(self._connection)
        assert tables is not None, "made above"
        if tables.lacking is not None:
            raise ThreadError(self._lacking(tables.lacking))
        wanted = self._wants_vectors and any(item.vectors for item in batch.values())
        if wanted and not (tables.vectors or tables.odd_vectors):
            await self._execute(store_schema.VECTOR_TABLES)
            tables = msgspec.structs.replace(tables, vectors=True)
        return tables

    def _lacking(self, column: str) -> str:
        return (
            f"the table {STORE!r} in {str(self._path)!r} is no store's: it lacks {column!r}; write "
            "to another file"
        )

    async def _migrated(self) -> bool:
        """Whether migrations of the store's tables are said to be done."""
        rows = await self._connection.execute_fetchall(
            "SELECT 1 FROM pragma_table_info('store_migrations')"
        )
        if not list(rows):
            return False
        return bool(list(await self._connection.execute_fetchall("SELECT 1 FROM store_migrations")))

    async def _execute(self, statements: Sequence[str]) -> None:
        for statement in statements:
            await self._connection.execute_fetchall(statement)

    # -- items -----------------------------------------------------------------------

    def _fitted(self, batch: Batch, tables: StoreTables, landing: Landing) -> list[Fitted]:
        found: list[Fitted] = []
        for item in batch.values():
            try:
                check_item(item)
            except ThreadError as error:
                landing.refuse(called(item.prefix, item.key), str(error))
            else:
                found.append(self._fit(item, tables))
        return found

    def _fit(self, item: Item, tables: StoreTables) -> Fitted:
        """An item as the file would hold it."""
        changes: dict[str, object] = {"others": ()}
        without: tuple[tuple[str, str, bool], ...] = ()
        if not tables.expiry:
            without = (_EXPIRY,) if item.expires else ()
            changes |= {"expires_at": None, "ttl_minutes": None}
        taken: dict[str, Vector] = {}
        left: dict[str, int] = {}
        for field, vector in item.vectors.items():
            why = self._unfit(vector, tables)
            if why is None:
                taken[field] = vector
            else:
                left[why] = left.get(why, 0) + 1
        changes["vectors"] = taken
        return Fitted(msgspec.structs.replace(item, **changes), left, without)

    def _unfit(self, vector: Vector, tables: StoreTables) -> str | None:
        """Why a vector is not taken."""
        if not self._wants_vectors:
            return "none were wanted"
        if not tables.vectors:
            return f"the target's table {VECTORS!r} is of no form that lgx knows"
        if vector.type != "float32":
            return f"they are of {vector.type}, and SqliteStore's are of float32"
        return None

    async def _decisions(
        self, tables: StoreTables, coming: Sequence[Fitted], landing: Landing
    ) -> list[Decision]:
        found: list[Decision] = []
        width = await self._dimensions(tables)
        for start in range(0, len(coming), _KEYS):
            some = [self._of_width(one, width) for one in coming[start : start + _KEYS]]
            standing = await self._standing(tables, [one.item for one in some])
            found += await run_blocking(self._decided, some, standing, landing)
        return found

    def _decided(
        self,
        coming: Sequence[Fitted],
        standing: Mapping[_Key, Item | ThreadError],
        landing: Landing,
    ) -> list[Decision]:
        found: list[Decision] = []
        for one in coming:
            there = standing.get(one.item.identity)
            try:
                if isinstance(there, ThreadError):
                    raise there
                found.append(decide(self._policy, one, there))
            except ThreadError as error:
                why = f"what stands there cannot be compared: {error}; correct or remove it"
                landing.refuse(called(one.item.prefix, one.item.key), why)
        return found

    async def _dimensions(self, tables: StoreTables) -> int | None:
        """The bytes of the vectors that stand there; None where there are none."""
        if not tables.vectors:
            return None
        rows = list(
            await self._connection.execute_fetchall(
                f"SELECT length(embedding) FROM {VECTORS} WHERE embedding IS NOT NULL LIMIT 1"
            )
        )
        return int(rows[0][0]) if rows else None

    def _of_width(self, fitted: Fitted, width: int | None) -> Fitted:
        """Without vectors of another dimension than those that stand there."""
        vectors = fitted.item.vectors
        if width is None or all(len(one.data) == width for one in vectors.values()):
            return fitted
        same = {field: one for field, one in vectors.items() if len(one.data) == width}
        left = {**fitted.left}
        for one in vectors.values():
            if len(one.data) != width:
                why = (
                    f"they are of {one.dimensions} dimensions, and those that stand there of "
                    f"{width // 4}"
                )
                left[why] = left.get(why, 0) + 1
        return Fitted(msgspec.structs.replace(fitted.item, vectors=same), left, fitted.without)

    async def _standing(
        self, tables: StoreTables, items: Sequence[Item]
    ) -> Mapping[_Key, Item | ThreadError]:
        places = ", ".join(["(?, ?)"] * len(items))
        rows = await self._connection.execute_fetchall(
            f"SELECT {row_columns(tables)} FROM {STORE} AS p "
            f"WHERE (p.prefix, p.key) IN (VALUES {places})",
            [part for item in items for part in item.identity],
        )
        found: dict[_Key, Item | ThreadError] = {}
        for cells in rows:
            identity = cells[0].decode(), cells[1].decode()
            try:
                found[identity] = item_of_row(cells)
            except ThreadError as error:
                found[identity] = error
        return found

    async def _put(self, tables: StoreTables, decisions: Sequence[Decision]) -> dict[_Key, str]:
        """All together if that works, else by halves, so that one item fails alone; those that
        failed, and why."""
        if not decisions:
            return {}
        await self._connection.execute("SAVEPOINT lgx_items")
        try:
            await self._insert(tables, decisions)
        except (sqlite3.DataError, sqlite3.IntegrityError, OverflowError) as error:
            await self._connection.execute("ROLLBACK TO lgx_items")
            await self._connection.execute("RELEASE lgx_items")
            if len(decisions) == 1:
                return {decisions[0].item.identity: self._why(error)}
            half = len(decisions) // 2
            return {
                **await self._put(tables, decisions[:half]),
                **await self._put(tables, decisions[half:]),
            }
        await self._connection.execute("RELEASE lgx_items")
        return {}

    async def _insert(self, tables: StoreTables, decisions: Sequence[Decision]) -> None:
        columns = _ITEMS if tables.expiry else _ITEMS[:-2]
        await self._connection.executemany(
            _upsert(STORE, columns, 2),
            [item_cells(one.item, expiry=tables.expiry) for one in decisions if one.writes],
        )
        if tables.vectors:
            await self._connection.executemany(
                f"DELETE FROM {VECTORS} WHERE prefix = ? AND key = ?",
                [one.item.identity for one in decisions if one.course is Course.REPLACE],
            )
            await self._connection.executemany(
                _upsert(VECTORS, _VECTORS, 3),
                [
                    vector_cells(one.item, field, vector)
                    for one in decisions
                    for field, vector in one.put.items()
                ],
            )

    def _why(self, error: sqlite3.Error | OverflowError) -> str:
        if isinstance(error, sqlite3.IntegrityError):
            return f"the table does not take it: {error}"
        return str(explain(error, self._path))


def _upsert(table: str, columns: Sequence[str], keys: int) -> str:
    """A statement that puts a row in, in place of the one of the same first columns."""
    update = ", ".join(f"{column} = excluded.{column}" for column in columns[keys:])
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT ({', '.join(columns[:keys])}) DO UPDATE SET {update}"
    )
