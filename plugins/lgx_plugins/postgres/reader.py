"""Reading rows as records: many small threads together, a large one in a stream."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from operator import itemgetter

from msgspec import Struct

from lgx import Context, ThreadRef
from lgx_plugins.grouping import grouped
from lgx_plugins.postgres.cell_decoding import CellDecoder
from lgx_plugins.postgres.decoding import Decoder, Items
from lgx_plugins.postgres.layout import Field, Layout, cell_literal, text_literal
from lgx_plugins.postgres.line_decoding import LineDecoder, can_be_lines
from lgx_plugins.postgres.loose import Chosen
from lgx_plugins.postgres.paging import Paging
from lgx_plugins.postgres.snapshot import Moment
from lgx_plugins.tables import CHECKPOINTS, THREADS, Table, not_whole

__all__ = ["Reader", "groups"]

_last = itemgetter(-1)

_GROUP_BYTES = 2 << 20
_TOO_MUCH = 8 * _GROUP_BYTES  # of a group whose sizes were believed, and are not so


class _Keyed(Struct, frozen=True):
    """A thread whose row was read."""

    thread_id: str
    key: bytes


def groups(refs: Sequence[ThreadRef]) -> Iterator[Sequence[ThreadRef]]:
    """Threads to read together: small ones up to a group's size, any other alone."""
    return grouped(refs, lambda ref: ref.size_hint, _GROUP_BYTES)


class TooLargeError(Exception):
    """Threads that were to be held together are larger than was thought."""


class Reader:
    """Reads the threads of one origin in one moment."""

    def __init__(
        self,
        moment: Moment,
        layout: Layout,
        place: str,
        *,
        parts: Sequence[Table],
        condition: str,
    ) -> None:
        """
        Args:
            parts: the tables that hold more of any thread.
            condition: of the rows of threads, `t`, that are read at all; or empty.
        """
        self._pages = Paging(moment, place).pages
        self._layout = layout
        self._parts = parts
        self._condition = f" AND {condition}" if condition else ""
        self._threads = self._decoder(THREADS, layout.fields(THREADS, "t"))
        self._part_decoders = {
            part.name: self._decoder(part, layout.part_fields(part)) for part in parts
        }

    def _decoder(self, table: Table, fields: Sequence[Field]) -> Decoder:
        own = self._layout.own
        if own and table.record is not None and can_be_lines(fields):
            return LineDecoder(table, fields)
        return CellDecoder(table, fields, restore=own)

    # -- threads ----------------------------------------------------------------------

    async def records(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncGenerator[tuple[str, Items], None]:
        """Everything of the threads of a group of `groups`, thread by thread; those that are
        not there are left out."""
        if len(refs) > 1:
            try:
                found = await self._together(refs, context)
            except TooLargeError:
                pass
            else:
                async for found_item in self._held(*found, context):
                    yield found_item
                return
        for ref in refs:
            async with aclosing(self._alone(ref, context)) as one:
                async for found_item in one:
                    yield found_item

    async def _alone(
        self, ref: ThreadRef, context: Context
    ) -> AsyncGenerator[tuple[str, Items], None]:
        what = f"rows of thread {ref.thread_id!r}"
        thread: _Keyed | None = None
        async with aclosing(self._thread_rows([ref], context, what)) as rows:
            async for thread, items, _ in rows:
                yield thread.thread_id, items
        if thread is None:
            return
        for part in self._parts:
            async with aclosing(self._part_rows(part, [thread], context, what)) as rows:
                async for _, items, _ in rows:
                    yield thread.thread_id, items

    async def _held(
        self, found: Mapping[str, Items], size: int, context: Context
    ) -> AsyncGenerator[tuple[str, Items], None]:
        await context.budget.take(size)
        try:
            for thread_id, items in found.items():
                yield thread_id, items
        finally:
            context.budget.give_page(size)

    async def _together(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> tuple[Mapping[str, Items], int]:
        """What was found, and its size.

        Raises:
            TooLargeError: they are more than memory should hold at once.
        """
        what = f"rows of {len(refs)} threads"
        found: dict[str, Items] = {}
        threads = []
        held = 0
        async with aclosing(self._thread_rows(refs, context, what)) as rows:
            async for thread, items, size in rows:
                threads.append(thread)
                found[thread.thread_id] = items
                held += size
                if held > _TOO_MUCH:
                    raise TooLargeError
        for part in self._parts if threads else ():
            async with aclosing(self._part_rows(part, threads, context, what)) as rows:
                async for thread, items, size in rows:
                    found[thread.thread_id] += items
                    held += size
                    if held > _TOO_MUCH:
                        raise TooLargeError
        return found, held

    async def _thread_rows(
        self, refs: Sequence[ThreadRef], context: Context, what: str
    ) -> AsyncGenerator[tuple[_Keyed, Items, int], None]:
        """The row of each thread, and about how large it is."""
        layout, decoder = self._layout, self._threads
        wanted = ", ".join(cell_literal(layout, ref.thread_id) for ref in refs)
        sql = (
            f"SELECT {decoder.columns}, {layout.whole}, {layout.key} "
            f"FROM {layout.names('threads')} AS t "
            f"WHERE {layout.thread_id('t')} IN ({wanted}){self._condition} ORDER BY {layout.key}"
        )
        async with aclosing(self._pages(sql, (*decoder.skips, 0, 0), context, what=what)) as pages:
            async for page in pages:
                share = page.size // len(page.rows)
                for cells in page.rows:
                    *_, whole, key = cells
                    assert key is not None
                    thread_id, items = decoder.thread(cells)
                    if whole == b"\0":
                        items = [not_whole(thread_id), *items]
                    yield _Keyed(thread_id, key), items, share

    async def _part_rows(
        self, part: Table, threads: Sequence[_Keyed], context: Context, what: str
    ) -> AsyncGenerator[tuple[_Keyed, Items, int], None]:
        """Rows of a part, some of one thread at a time, and about how large they are."""
        by_key = {thread.key: thread for thread in threads}
        layout, decoder = self._layout, self._part_decoders[part.name]
        key = layout.part_key(part)
        rows = f"{layout.names(part.name)} AS p"
        if layout.own:
            numbers = (int.from_bytes(thread.key, "big", signed=True) for thread in threads)
            condition = f"p.thread IN ({', '.join(map(str, numbers))})"
        else:
            condition = f"{key} IN ({', '.join(text_literal(t.key.decode()) for t in threads)})"
        order = f"{key}, {layout.part_order(part)}"
        if part is CHECKPOINTS and layout.loose:
            chosen = Chosen()
            sql = f"SELECT {layout.lineage} FROM {rows} WHERE {condition} ORDER BY {order}"
            async with aclosing(self._pages(sql, (0,) * 5, context, what=what)) as pages:
                async for page in pages:
                    chosen.add(page.rows)
            for thread_key, loss in chosen.doubled({key: t.thread_id for key, t in by_key.items()}):
                yield by_key[thread_key], [loss], 0
            rows = f"{chosen.rows()} JOIN {rows} ON p.ctid = w.place"
            condition, order = "true", "w.number"
        sql = f"SELECT {decoder.columns}, {key} FROM {rows} WHERE {condition} ORDER BY {order}"
        skips, usual = (*decoder.skips, 0), decoder.usual
        async with aclosing(self._pages(sql, skips, context, what=what, usual=usual)) as pages:
            async for page in pages:
                share = page.size // len(page.rows)
                for row_key, same in itertools.groupby(page.rows, _last):
                    thread = by_key[row_key]
                    items = decoder.items([*same], thread.thread_id, marked=page.marked)
                    yield thread, items, share * len(items)
