"""Rows out of the server by binary COPY: a bounded piece at a time, as the bytes they are."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from lgx_plugins.postgres.cells import has_mark

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["PAGE_BYTES", "Cells", "CopyStream", "Page", "UsualRows"]

PAGE_BYTES = 1 << 20
"""Rows travel in pages of about this size: memory depends on the largest row alone."""

Cells: TypeAlias = "Sequence[bytes | None]"
"""A row: what its columns hold, None for NULL."""

UsualRows: TypeAlias = "Callable[[bytes, int, list[Cells]], int]"
"""Takes whole rows of the kind that nearly all are of, from a position in what the server sent,
as far as they go; returns the position after them."""


class Page(NamedTuple):
    """Some rows.

    Attributes:
        size: about how many bytes they take.
        marked: whether any cell may hold what stands for something else; see `cells.MARK`.
    """

    rows: list[Cells]
    size: int
    marked: bool


_HEADER = b"PGCOPY\n\xff\r\n\0"
_HEADER_BYTES = 19  # with flags, and the length of an extension that nobody uses yet
_length = struct.Struct(">i").unpack_from


class CopyStream:
    """The rows of one SELECT. While a page is in use the next one comes in, and no more."""

    def __init__(
        self,
        connection: Connection,
        sql: str,
        skips: Sequence[int],
        usual: UsualRows | None = None,
    ) -> None:
        """
        Args:
            sql: takes no parameters: COPY has none.
            skips: for each column how many bytes stand before its content (JSONB has one).
            usual: takes most rows faster than column by column.
        """
        self._connection = connection
        self._sql = sql
        self._skips = skips
        self._usual = usual
        self._parts: list[bytes] = []
        self._held = 0
        self._rest = b""
        self._begun = False
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._copying: asyncio.Task[object] | None = None

    async def __aenter__(self) -> CopyStream:
        copying = self._connection.copy_from_query(self._sql, output=self._take, format="binary")
        self._copying = asyncio.ensure_future(copying)
        self._copying.add_done_callback(lambda _: self._ready.set())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server where it has not come to the end."""
        copying = self._copying
        assert copying is not None
        if not copying.done():
            copying.cancel()
            await asyncio.wait([copying])
        if not copying.cancelled():
            copying.exception()  # `page` has raised it, or nobody wants to know

    async def page(self) -> Page:
        """Some rows, at least one; none at the end. An error of asyncpg's comes as it is."""
        while True:
            await self._ready.wait()
            rows: list[Cells] = []
            marked = False
            for part in self._parts:
                marked |= self._parse(part, rows)
            assert self._copying is not None
            ended = self._copying.done()
            size, self._held = self._held, 0
            self._parts.clear()
            if not ended:
                self._ready.clear()
            self._room.set()
            if rows:
                return Page(rows, size, marked)
            if ended:
                await self._copying
                return Page([], 0, False)

    async def _take(self, data: bytes | bytearray) -> None:
        """asyncpg stops reading from the socket until this returns."""
        self._parts.append(bytes(data))  # cells are cut from it, and are keys of dictionaries
        self._held += len(data)
        if self._held >= PAGE_BYTES:
            self._room.clear()
            self._ready.set()
            await self._room.wait()

    def _parse(self, data: bytes, rows: list[Cells]) -> bool:
        """Adds whole rows; what stands of the next one waits. Messages of other servers than
        PostgreSQL's own need not end with a row. True where there may be a mark: looked for
        here, all at once, it costs a tenth of what it costs cell by cell."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        marked = has_mark(data)
        position, size = 0, len(data)
        if not self._begun:
            if size < _HEADER_BYTES:
                self._rest = data
                return False
            assert data.startswith(_HEADER), "not a binary COPY"
            position = _HEADER_BYTES + _length(data, 15)[0]
            self._begun = True
        skips, usual = self._skips, self._usual
        while True:
            if usual is not None:
                position = usual(data, position, rows)
            start = position
            position += 2
            if position > size:
                break
            if data[start] == 0xFF:  # the trailer
                return marked
            row: list[bytes | None] = []
            add = row.append
            try:
                for skip in skips:
                    (length,) = _length(data, position)
                    position += 4
                    if length < 0:
                        add(None)
                    else:
                        add(data[position + skip : (position := position + length)])
            except struct.error:
                break
            if position > size:
                break
            rows.append(row)
        self._rest = data[start:]
        return marked
