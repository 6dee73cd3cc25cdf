"""Reading rows as records: many small threads together, a large one in a stream."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TypeAlias

from msgspec import UNSET, Raw, Struct

from lgx import ChannelBlob, CheckpointWrite, Context, RawCheckpoint, Record, ThreadRef
from lgx_plugins.checkpointers.postgres.tables import BLOBS, CHECKPOINTS, WRITES, Tables
from lgx_plugins.grouping import grouped
from lgx_plugins.lineage import parents_first
from lgx_plugins.postgres.layout import text_literal
from lgx_plugins.postgres.paging import Paging
from lgx_plugins.postgres.snapshot import Moment
from lgx_plugins.postgres.streaming import Cells

__all__ = ["Reader", "groups"]

_GROUP_BYTES = 2 << 20
_TOO_MUCH = 8 * _GROUP_BYTES  # of a group whose sizes were believed, and are not so

_Identity: TypeAlias = tuple[str, str]


def groups(refs: Sequence[ThreadRef]) -> Iterator[Sequence[ThreadRef]]:
    """Threads to read together: small ones up to a group's size, any other alone."""
    return grouped(refs, lambda ref: ref.size_hint, _GROUP_BYTES)


class _Part(Struct, frozen=True):
    """How rows of one table are read.

    Attributes:
        columns: SQL for them, but for the thread's id, of a row `p`.
        order: SQL for their order within a thread; no two rows of a thread are alike in it.
    """

    table: str
    columns: tuple[str, ...]
    order: str
    record: Callable[[str, Cells], Record]


class _TooLargeError(Exception):
    """Threads that were to be held together are larger than was thought."""


class Reader:
    def __init__(self, moment: Moment, tables: Tables, place: str) -> None:
        self._pages = Paging(moment, place).pages
        self._tables = tables
        self._blobs = _blobs(tables)
        self._checkpoints = _checkpoints(tables)
        self._writes = _writes(tables)

    async def records(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncGenerator[tuple[str, Sequence[Record]], None]:
        """Everything of the threads of a group of `groups`, thread by thread, a piece at a time;
        those that are not there are left out."""
        ids = [ref.thread_id for ref in refs]
        lineages = await self._disordered(ids, context)
        if len(ids) > 1 and not lineages:
            try:
                found, size = await self._together(ids, context)
            except _TooLargeError:
                pass
            else:
                await context.budget.take(size)
                try:
                    for thread_id, records in found.items():
                        yield thread_id, records
                finally:
                    context.budget.give_page(size)
                return
        for thread_id in ids:
            for part in (self._checkpoints, self._blobs, self._writes):
                lineage = lineages.get(thread_id) if part is self._checkpoints else None
                rows = self._rows(part, [thread_id], context, lineage)
                async with aclosing(rows):
                    async for _, records, _ in rows:
                        yield thread_id, records

    async def _together(
        self, ids: list[str], context: Context
    ) -> tuple[Mapping[str, Sequence[Record]], int]:
        """What was found, and its size."""
        found: dict[str, list[Record]] = {}
        held = 0
        for part in (self._checkpoints, self._blobs, self._writes):
            rows = self._rows(part, ids, context)
            async with aclosing(rows):
                async for thread_id, records, size in rows:
                    found.setdefault(thread_id, []).extend(records)
                    held += size
                    if held > _TOO_MUCH:
                        raise _TooLargeError
        return found, held

    async def _rows(
        self,
        part: _Part,
        ids: list[str],
        context: Context,
        lineage: Sequence[_Identity] | None = None,
    ) -> AsyncGenerator[tuple[str, Sequence[Record], int], None]:
        """Rows of a part, some of one thread at a time, and about how large they are.

        Args:
            lineage: the order of checkpoints, where it is not that of their ids; of one thread.
        """
        tables, table = self._tables, part.table
        thread_id = tables.text(table, "thread_id", "p")
        source = f"{tables.names(table)} AS p"
        order = part.order
        if lineage is not None:
            namespaces = ", ".join(text_literal(ns) for ns, _ in lineage)
            identities = ", ".join(text_literal(one) for _, one in lineage)
            source += (
                f" JOIN unnest(ARRAY[{namespaces}], ARRAY[{identities}]) WITH ORDINALITY "
                f"AS w (ns, id, number) ON {tables.text(table, 'checkpoint_ns', 'p')} = w.ns "
                f"AND {tables.text(table, 'checkpoint_id', 'p')} = w.id"
            )
            order = "w.number"
        # Sorted as they lie, and only then unpacked and written out.
        what = f"rows of thread {ids[0]!r}" if len(ids) == 1 else f"rows of {len(ids)} threads"
        sql = (
            f"SELECT {', '.join(part.columns)}, {thread_id} FROM (SELECT p.* FROM {source} "
            f"WHERE {tables.is_thread(table, 'p', ids)} ORDER BY p.thread_id, {order} OFFSET 0"
            ") AS p"
        )
        pages = self._pages(sql, (0,) * (len(part.columns) + 1), context, what=what)
        async with aclosing(pages):
            async for page in pages:
                share = page.size // len(page.rows)
                for key, same in itertools.groupby(page.rows, _last):
                    thread = key.decode()
                    records = [part.record(thread, cells) for cells in same]
                    yield thread, records, share * len(records)

    async def _disordered(
        self, ids: list[str], context: Context
    ) -> Mapping[str, Sequence[_Identity]]:
        """The order of checkpoints in those threads where it is not that of their ids, as it is
        in all that LangGraph made by itself."""
        tables = self._tables
        if tables.shallow or not tables.has(CHECKPOINTS, "parent_checkpoint_id"):
            return {}
        thread_id, namespace, identity, parent = (
            tables.text(CHECKPOINTS, column, "p")
            for column in ("thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id")
        )
        rows = f"FROM {tables.names(CHECKPOINTS)} AS p WHERE "
        sql = (
            f"SELECT {thread_id}, {namespace}, {identity}, {parent} {rows}"
            f"p.thread_id IN (SELECT p.thread_id {rows}"
            f"{tables.is_thread(CHECKPOINTS, 'p', ids)} "
            f'AND {parent} COLLATE "C" >= {identity} COLLATE "C") '
            f'ORDER BY p.thread_id, {identity} COLLATE "C", {namespace} COLLATE "C"'
        )
        parents: dict[str, dict[_Identity, _Identity | None]] = {}
        pages = self._pages(sql, (0,) * 4, context, what=f"order of {len(ids)} threads")
        async with aclosing(pages):
            async for page in pages:
                for cells in page.rows:
                    thread, ns, one = map(_text, cells[:3])
                    before = cells[3]
                    parents.setdefault(thread, {})[ns, one] = (
                        None if before is None else (ns, before.decode())
                    )
        return {thread: [*parents_first(found)] for thread, found in parents.items()}


# -- the tables ------------------------------------------------------------------------


def _blobs(tables: Tables) -> _Part:
    n = tables.names
    if tables.has(BLOBS, "version"):
        version = tables.text(BLOBS, "version", "p")
    else:  # what the one checkpoint of the namespace says
        version = (
            f"coalesce((SELECT k.checkpoint -> 'channel_versions' ->> p.channel "
            f"FROM {n(CHECKPOINTS)} AS k WHERE k.thread_id = p.thread_id "
            "AND k.checkpoint_ns = p.checkpoint_ns), '')"
        )
    ordered = ("checkpoint_ns", "channel", *(("version",) * tables.has(BLOBS, "version")))
    return _Part(
        BLOBS,
        (
            tables.text(BLOBS, "checkpoint_ns", "p"),
            tables.text(BLOBS, "channel", "p"),
            version,
            tables.text(BLOBS, "type", "p"),
            "p.blob",
        ),
        ", ".join(f"p.{column}" for column in ordered),
        _channel_blob,
    )


def _checkpoints(tables: Tables) -> _Part:
    def column(name: str) -> str:
        if not tables.has(CHECKPOINTS, name):
            return "NULL::text"
        return tables.text(CHECKPOINTS, name, "p")

    identity = "p.checkpoint ->> 'id'" if tables.shallow else column("checkpoint_id")
    order = (
        "p.checkpoint_ns"
        if tables.shallow
        else f'{identity} COLLATE "C", {column("checkpoint_ns")} COLLATE "C"'
    )
    return _Part(
        CHECKPOINTS,
        (
            column("checkpoint_ns"),
            identity,
            column("parent_checkpoint_id"),
            column("type"),
            "p.checkpoint::text",
            "p.metadata::text",
        ),
        order,
        _raw_checkpoint,
    )


def _writes(tables: Tables) -> _Part:
    path = tables.has(WRITES, "task_path")
    order = ("checkpoint_ns", "checkpoint_id", *(("task_path",) * path), "task_id")
    return _Part(
        WRITES,
        (
            *(
                tables.text(WRITES, name, "p")
                for name in ("checkpoint_ns", "checkpoint_id", "task_id")
            ),
            "p.idx::bigint",
            tables.text(WRITES, "channel", "p"),
            tables.text(WRITES, "type", "p"),
            "p.blob",
            tables.text(WRITES, "task_path", "p") if path else "NULL::text",
        ),
        ", ".join((*(f'{tables.text(WRITES, c, "p")} COLLATE "C"' for c in order), "p.idx")),
        _checkpoint_write,
    )


# -- rows ------------------------------------------------------------------------------


def _last(cells: Cells) -> bytes:
    last = cells[-1]
    assert last is not None
    return last


def _text(cell: bytes | None) -> str:
    return "" if cell is None else cell.decode()


def _channel_blob(thread_id: str, cells: Cells) -> Record:
    # Here and below: to call something for each cell would be a good part of what a row takes.
    namespace, channel, version, kind, blob, _ = cells
    return ChannelBlob(
        thread_id=thread_id,
        checkpoint_ns=(namespace or b"").decode(),
        channel=(channel or b"").decode(),
        version=(version or b"").decode(),
        type=(kind or b"").decode(),
        blob=blob,
    )


def _raw_checkpoint(thread_id: str, cells: Cells) -> Record:
    namespace, identity, parent, kind, document, metadata, _ = cells
    return RawCheckpoint(
        thread_id=thread_id,
        checkpoint_ns=(namespace or b"").decode(),
        checkpoint_id=(identity or b"").decode(),
        parent_checkpoint_id=None if parent is None else parent.decode(),
        type=None if kind is None else kind.decode(),
        document=UNSET if document is None else Raw(document),
        metadata=UNSET if metadata is None else Raw(metadata),
    )


def _checkpoint_write(thread_id: str, cells: Cells) -> Record:
    namespace, identity, task, idx, channel, kind, blob, path, _ = cells
    assert idx is not None
    return CheckpointWrite(
        thread_id=thread_id,
        checkpoint_ns=(namespace or b"").decode(),
        checkpoint_id=(identity or b"").decode(),
        task_id=(task or b"").decode(),
        idx=int.from_bytes(idx, "big", signed=True),
        channel=(channel or b"").decode(),
        type=None if kind is None else kind.decode(),
        blob=blob,
        task_path=None if path is None else path.decode(),
    )
