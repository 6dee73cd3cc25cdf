"""The stream of a binary COPY is one that the server takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from lgx import Secret, ThreadError
from lgx_plugins.postgres.connection import Address, close
from lgx_plugins.postgres.copying import (
    Part,
    Row,
    add_bytes,
    add_flag,
    add_integer,
    add_json,
    begin_row,
    closed,
    stream,
)

TABLE = "CREATE TABLE t (n bigint, at timestamptz, name text, raw bytea, value jsonb, flag bool)"


def row(number: int | None, text: bytes | None, value: bytes | None, flag: bool | None) -> Row:
    parts: list[Part] = [begin_row(6)]
    add_integer(parts, number)
    add_integer(parts, number)
    add_bytes(parts, text)
    add_bytes(parts, text)
    add_json(parts, value)
    add_flag(parts, flag)
    return closed(parts, len(value or b""))


async def sent(database: str, rows: Iterable[Row]) -> list[tuple[object, ...]]:
    """What stands in a table after the rows were copied into it."""
    connection = await Address(Secret(database)).connect()
    try:
        await connection.execute(TABLE)

        async def chunks() -> AsyncIterator[bytes | memoryview]:
            for chunk in stream(rows):
                assert len(chunk) < 3 << 20
                yield chunk

        await connection.copy_to_table("t", source=chunks(), format="binary")
        found = await connection.fetch(
            "SELECT n, extract(epoch FROM at)::bigint, name, md5(raw), md5(value::text), flag "
            "FROM t ORDER BY n NULLS LAST"
        )
        return [tuple(one) for one in found]
    finally:
        await close(connection)


async def test_every_type_arrives(database: str) -> None:
    """Values, empty ones, the ends of their ranges, and NULL in each column."""
    from hashlib import md5

    def digest(data: bytes) -> str:
        return md5(data).hexdigest()

    rows = [
        row(0, b"", b"{}", False),
        row(1_000_000, "Zoë".encode(), b'[1,"\xc3\xab"]', True),
        row(None, None, None, None),
    ]
    epoch = 946_684_800
    assert await sent(database, rows) == [
        (0, epoch, "", digest(b""), digest(b"{}"), False),
        (
            1_000_000,
            epoch + 1,
            "Zoë",
            digest("Zoë".encode()),
            digest('[1, "ë"]'.encode()),
            True,
        ),
        (None, None, None, None, None, None),
    ]


async def test_no_row_at_all_is_a_stream(database: str) -> None:
    """Head and tail alone."""
    assert await sent(database, []) == []


async def test_large_cells_are_cut_into_chunks(database: str) -> None:
    """A cell of many megabytes goes out in pieces, between small rows; none is lost."""
    large = b'"' + b"x" * (5 << 20) + b'"'
    rows = [row(number, b"n", large if number % 3 == 1 else b"1", True) for number in range(9)]
    found = await sent(database, rows)
    assert [one[0] for one in found] == list(range(9))
    assert len({one[4] for one in found}) == 2


def test_a_cell_that_is_too_long_for_any_column_is_refused() -> None:
    """One gigabyte is the end, of text as of JSON; nothing is sent that breaks the stream."""
    longest = bytes((1 << 30) - 1)  # which takes no memory until somebody looks
    parts: list[Part] = []
    add_bytes(parts, longest)
    assert parts[0] == b"\x3f\xff\xff\xff"
    for add, cell, size in (
        (add_bytes, bytes(1 << 30), 1 << 30),
        (add_json, longest, 1 << 30),
        (add_json, bytes(1 << 31), (1 << 31) + 1),
    ):
        with pytest.raises(ThreadError) as refused:
            add(parts, cell)
        assert str(refused.value) == (
            f"a value has {size} bytes, and a cell of PostgreSQL holds 1073741823 at most; an "
            "archive or an ndjson file can hold it"
        )


def test_many_rows_make_chunks_of_a_megabyte() -> None:
    """Small rows are gathered: neither one at a time nor all at once."""
    sizes = [len(chunk) for chunk in stream(row(1, b"x" * 1000, b"1", True) for _ in range(5000))]
    assert len(sizes) > 5
    assert all(1 << 20 <= size < (1 << 20) + 4096 for size in sizes[:-1])
