"""Rows out of a binary COPY, however the bytes of it are cut into messages."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgx_plugins.postgres.cells import MARK, has_mark
from lgx_plugins.postgres.line_decoding import LineDecoder
from lgx_plugins.postgres.streaming import Cells, CopyStream

_WIDE = "\N{FULLWIDTH COMMA}"
_KEY = b"\0\0\0\0\0\0\0\7"
_cells = st.one_of(st.none(), st.binary(max_size=40))
_rows = st.lists(
    st.tuples(_cells, _cells, _cells, _cells)
    | st.tuples(st.none(), st.none(), st.binary(max_size=40), _cells),
    max_size=12,
)


class _Server:
    """Sends what PostgreSQL would, in pieces that a proxy or another server may make of it."""

    def __init__(self, content: bytes, cuts: Sequence[int]) -> None:
        edges = [0, *sorted({cut % len(content) for cut in cuts}), len(content)]
        self._pieces = [content[a:b] for a, b in itertools.pairwise(edges)]

    async def copy_from_query(
        self, sql: str, *, output: Callable[[bytes], Awaitable[None]], **options: str
    ) -> str:
        for piece in self._pieces:
            await output(piece)
        return "COPY"


def _sent(rows: Sequence[Cells], skips: Sequence[int]) -> bytes:
    content = [b"PGCOPY\n\xff\r\n\0" + bytes(8)]
    for row in rows:
        content.append(struct.pack(">h", len(row)))
        for cell, skip in zip(row, skips, strict=True):
            length = -1 if cell is None else len(cell) + skip
            content.append(struct.pack(">i", length))
            content.append(b"" if cell is None else b"\1" * skip + cell)
    return b"".join([*content, b"\xff\xff"])


async def _received(server: Any, skips: Sequence[int], *, usual: bool) -> tuple[list[Any], bool]:
    rows: list[Any] = []
    marked = False
    taking = LineDecoder.usual if usual else None
    async with CopyStream(server, "SELECT", skips, taking) as stream:
        while (page := await stream.page()).rows:
            rows += [tuple(row) for row in page.rows]
            marked |= page.marked
    return rows, marked


@pytest.mark.parametrize("usual", [True, False])
@settings(deadline=None)
@given(rows=_rows, cuts=st.lists(st.integers(0, 2000), max_size=30))
async def test_rows_are_the_same_wherever_they_are_cut(
    usual: bool, rows: list[Any], cuts: list[int]
) -> None:
    """Rows of the usual kind and others, NULL and empty cells, in any order and any pieces."""
    skips = (*LineDecoder.skips, 0)
    whole = [(*row, _KEY) for row in rows]

    got, _ = await _received(_Server(_sent(whole, skips), cuts), skips, usual=usual)

    assert got == whole


async def test_a_mark_is_noticed_wherever_it_is_cut() -> None:
    """Also where one of its bytes comes with one message and the others with the next."""
    skips = (*LineDecoder.skips, 0)
    content = _sent([(None, None, b"{}", f'"{MARK}0000"'.encode(), _KEY)], skips)
    for cut in range(1, len(content)):
        assert (await _received(_Server(content, [cut]), skips, usual=True))[1], cut


@pytest.mark.parametrize("before", ["", _WIDE * 99, _WIDE * 100, _WIDE * 500])
def test_a_mark_is_found_behind_any_number_of_bytes_that_begin_like_it(before: str) -> None:
    """Full-width punctuation begins with the byte that a mark begins with."""
    assert has_mark((before + MARK).encode())
    assert not has_mark(before.encode())
