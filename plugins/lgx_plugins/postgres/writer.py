"""Writing threads in a transaction that somebody else has begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lgx import Bundle, ThreadError, WriteOutcome
from lgx_plugins.blocking import run_blocking, run_to_end
from lgx_plugins.postgres.cells import escape_text, instant
from lgx_plugins.postgres.copying import Row, stream
from lgx_plugins.postgres.counting import all_of, none_left
from lgx_plugins.postgres.dedup import COLUMNS as VALUE_COLUMNS
from lgx_plugins.postgres.dedup import SHAPE as DEDUP_SHAPE
from lgx_plugins.postgres.dedup import clear, known_hashes, value_rows
from lgx_plugins.postgres.names import Names, quoted
from lgx_plugins.postgres.rows import PARTS, Shape, digest_of
from lgx_plugins.postgres.survey import Held, Placed, survey
from lgx_plugins.tables import CHECKPOINTS, RECORDS, RUNS, THREADS, Table

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["Writer", "copy"]

_HEAD = (
    "id",
    "source_url",
    "exported_at",
    "source_version",
    "fingerprint",
    "checkpoints",
    "size",
)
_PLACE = ("thread", "position")
_IDS = 10_000  # in one statement
_STAGED = "lgx_threads"

_LARGE = 32 << 20
"""Bytes of JSON that JSONB can hold as one value whatever they are: at worst it takes six times
as many."""

SHAPES: Mapping[str, Shape] = {
    "threads": Shape(THREADS, _HEAD),
    "checkpoints": Shape(CHECKPOINTS, _PLACE),
    "runs": Shape(RUNS, _PLACE),
    "records": Shape(RECORDS, (*_PLACE, "source_url")),
}


class Writer:
    """Puts threads in for one source, in place of those that stood there.

    New threads are copied straight into the tables. Of a thread that stands already, rows
    whose record came unchanged stay as they are; the others are removed and come anew.
    """

    def __init__(
        self, connection: Connection, names: Names, source: str, *, dedup: bool = False
    ) -> None:
        """`dedup`: whether the tables have that layout."""
        self._connection = connection
        self._names = names
        self._source = source
        self._dedup = dedup
        self._large: list[tuple[int, int]] = []  # thread and position of such checkpoints
        self._now = instant(datetime.now(UTC).isoformat())

    async def store(
        self, bundles: Sequence[Bundle], *, strictly: bool = False
    ) -> list[WriteOutcome]:
        """
        Args:
            bundles: of different threads.
            strictly: looks at every cell, and for identities that came twice: for threads
                that the server has refused. Rows that stood are all written anew.

        Raises:
            ThreadError: one of the threads cannot be held; the transaction is of no use then.
        """
        placed = await self._placed(bundles)
        await self._survey(placed, strictly=strictly)
        await self._threads(placed, strictly=strictly)
        for table in PARTS:
            if self._dedup and table is CHECKPOINTS:
                await self._values(placed, strictly=strictly)
            await self._part(table, placed, strictly=strictly)
        if self._dedup:
            await self._check_joined()
            thinned = [item.row for item in placed if item.stale.get("checkpoints")]
            if thinned:
                await clear(self._connection, self._names, thinned)
        return [
            WriteOutcome(thread_id=item.bundle.thread_id, losses=tuple(item.losses()))
            for item in placed
        ]

    async def _placed(self, bundles: Sequence[Bundle]) -> list[Placed]:
        """The rows of threads, new ones for those that have none."""
        threads = self._names("threads")
        keys = [escape_text(bundle.thread_id).decode() for bundle in bundles]
        rows = await self._connection.fetch(
            f"SELECT thread_id, id FROM {threads} WHERE source_url = $1 AND thread_id = ANY($2)",
            escape_text(self._source).decode(),
            keys,
        )
        ids: dict[str, int] = dict(rows)
        new = [key for key in keys if key not in ids]
        if new:
            fresh = await self._connection.fetch(
                "SELECT nextval(pg_get_serial_sequence($1, 'id')::regclass) "
                "FROM generate_series(1, $2)",
                threads,
                len(new),
            )
            ids.update((key, row) for key, (row,) in zip(new, fresh, strict=True))
        added = frozenset(new)
        return [
            Placed(bundle, ids[key], new=key in added)
            for key, bundle in zip(keys, bundles, strict=True)
        ]

    async def _survey(self, placed: Sequence[Placed], *, strictly: bool) -> None:
        """Finds out what is to be written, and what stays of what stands."""
        standing = [item.row for item in placed if not item.new]
        held = {table.name: Held() for table in PARTS}
        if standing:
            for table in PARTS:
                async for thread, row, position, digest in self._connection.cursor(
                    "SELECT thread, id, position, digest "
                    f"FROM {self._names(self._shape(table).name)} "
                    "WHERE thread = ANY($1) ORDER BY thread, position",
                    standing,
                    prefetch=1000,
                ):
                    held[table.name].add(thread, row, position, None if strictly else digest)
        await run_blocking(survey, placed, held, strictly)

    # -- threads ---------------------------------------------------------------------

    async def _threads(self, placed: Sequence[Placed], *, strictly: bool) -> None:
        shape = SHAPES["threads"]
        new = [item for item in placed if item.new]
        if new:
            await self.copy(shape, self._heads(shape, new, strictly=strictly), strictly=strictly)
        standing = [item for item in placed if not item.new]
        if not standing:
            return
        threads = self._names("threads")
        columns = ", ".join(map(quoted, shape.names))
        await self._connection.execute(
            f"CREATE TEMP TABLE {_STAGED} ON COMMIT DROP AS "
            f"SELECT {columns} FROM {threads} WITH NO DATA"
        )
        await copy(
            self._connection,
            "pg_temp",
            _STAGED,
            shape.names,
            self._heads(shape, standing, strictly=strictly),
        )
        told = [quoted(name) for name in ("digest", *_HEAD[3:])]
        differs = (
            f"({', '.join(f't.{c}' for c in told)}) IS DISTINCT FROM "
            f"({', '.join(f's.{c}' for c in told)})"
        )
        await self._connection.execute(
            f"UPDATE {threads} AS t SET "
            + ", ".join(f"{quoted(c)} = s.{quoted(c)}" for c in shape.names if c != "id")
            + f" FROM pg_temp.{_STAGED} AS s WHERE t.id = s.id "
            f"AND {differs}"
        )
        left = await self._connection.execute(
            f"SELECT FROM pg_temp.{_STAGED} AS s LEFT JOIN {threads} AS t ON t.id = s.id "
            f"WHERE {differs}"
        )
        none_left(left, threads)

    def _heads(self, shape: Shape, placed: Sequence[Placed], *, strictly: bool) -> Iterator[Row]:
        for item in placed:
            mark = item.bundle.mark
            beside = (
                item.row,
                self._source,
                self._now,
                mark.version if mark else None,
                mark.fingerprint if mark else None,
                mark.checkpoints if mark else None,
                item.bundle.size,
            )
            line = item.head()
            if line is None:
                yield shape.bare_row(item.bundle.thread_id, beside)
            else:
                yield shape.row(line, beside, digest_of(line), owner=item.owner, strictly=strictly)

    # -- what belongs to them --------------------------------------------------------

    async def _part(self, table: Table, placed: Sequence[Placed], *, strictly: bool) -> None:
        shape = self._shape(table)
        name = self._names(shape.name)
        stale = [row for item in placed for row in item.stale.get(table.name, ())]
        for start in range(0, len(stale), _IDS):
            some = stale[start : start + _IDS]
            status = await self._connection.execute(f"DELETE FROM {name} WHERE id = ANY($1)", some)
            all_of(len(some), status, name)
        moved = [pair for item in placed for pair in item.moved.get(table.name, ())]
        for start in range(0, len(moved), _IDS):
            pairs = moved[start : start + _IDS]
            status = await self._connection.execute(
                f"UPDATE {name} AS p SET position = m.position "
                "FROM unnest($1::bigint[], $2::bigint[]) AS m (id, position) WHERE p.id = m.id",
                [row for row, _ in pairs],
                [position for _, position in pairs],
            )
            all_of(len(pairs), status, name)
        coming = [item for item in placed if item.fresh.get(table.name)]
        if coming:
            await self.copy(shape, self._rows(shape, coming, strictly=strictly), strictly=strictly)

    def _shape(self, table: Table) -> Shape:
        if self._dedup and table is CHECKPOINTS:
            return DEDUP_SHAPE
        return SHAPES[table.name]

    async def _values(self, placed: Sequence[Placed], *, strictly: bool) -> None:
        """Puts in what new checkpoints have that no other one of their thread had."""
        coming = [item for item in placed if item.fresh.get("checkpoints")]
        standing = [item.row for item in coming if not item.new]
        known = await known_hashes(self._connection, self._names, standing) if standing else {}

        def rows() -> Iterator[Row]:
            for item in coming:
                lines = (line for _, line in item.lines(CHECKPOINTS))
                held = known.pop(item.row, set())
                yield from value_rows(item.row, lines, held, strictly=strictly)

        if coming:
            name = self._names.plain("channel_values")
            await copy(self._connection, self._names.schema, name, VALUE_COLUMNS, rows())

    async def _check_joined(self) -> None:
        """Has the view put large values together: kept in pieces, they may be more than one
        value can be, and then nobody could read them."""
        for place in self._large:
            await self._connection.execute(
                f'SELECT pg_column_size("values") FROM {self._names("checkpoints")} '
                "WHERE thread = $1 AND position = $2",
                *place,
            )

    def _rows(self, shape: Shape, placed: Sequence[Placed], *, strictly: bool) -> Iterator[Row]:
        source = (self._source,) if shape.table is RECORDS else ()
        for item in placed:
            for position, line in item.lines(shape.table):
                if shape is DEDUP_SHAPE and len(line) > _LARGE:
                    self._large.append((item.row, position))
                yield shape.row(
                    line,
                    (item.row, position, *source),
                    digest_of(line),
                    owner=item.owner,
                    strictly=strictly,
                )

    async def copy(self, shape: Shape, rows: Iterator[Row], *, strictly: bool) -> None:
        """Copies rows into the table of a shape."""
        import asyncpg

        name = self._names.plain(shape.name)
        try:
            await copy(self._connection, self._names.schema, name, shape.names, rows)
        except asyncpg.UniqueViolationError as error:
            if strictly or shape.table is THREADS:
                raise
            raise ThreadError("a record came under an identity that another one has") from error


async def copy(
    connection: Connection,
    schema: str,
    table: str,
    columns: Sequence[str],
    rows: Iterator[Row],
) -> None:
    """Sends rows that are made in a worker thread, a chunk at a time.

    Raises:
        ThreadError: the table did not take all of them.
        ConnectionResetError: the session ended while nothing could be sent; the driver would
            wait for ever.
    """
    sent = 0
    status = ""

    def counted() -> Iterator[Row]:
        nonlocal sent
        for row in rows:
            sent += 1
            yield row

    chunks = stream(counted())

    async def made() -> AsyncGenerator[bytes | memoryview, None]:
        while (chunk := await run_blocking(next, chunks, None)) is not None:
            yield chunk

    async def send() -> None:
        nonlocal status
        async with aclosing(made()) as source:
            status = await connection.copy_to_table(
                table, schema_name=schema, columns=columns, source=source, format="binary"
            )

    lost = asyncio.get_running_loop().create_future()

    def lose(_: object) -> None:
        if not lost.done():
            lost.set_result(None)

    connection.add_termination_listener(lose)
    sending = asyncio.ensure_future(send())
    try:
        await asyncio.wait((sending, lost), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not lost.done():
            connection.remove_termination_listener(lose)
        ended = sending.done()
        sending.cancel()  # which does nothing where it has ended
        await run_to_end(_settled(sending))
    if ended:
        sending.result()
        all_of(sent, status, f"{quoted(schema)}.{quoted(table)}")
        return
    raise ConnectionResetError


async def _settled(task: asyncio.Future[None]) -> None:
    """Waits for its end; what it failed with is nobody's matter any more."""
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()
