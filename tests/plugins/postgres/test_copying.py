"""The stream of a binary COPY is one that the server takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from lgx import Secret
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


def test_many_rows_make_chunks_of_a_megabyte() -> None:
    """Small rows are gathered: neither one at a time nor all at once."""
    sizes = [len(chunk) for chunk in stream(row(1, b"x" * 1000, b"1", True) for _ in range(5000))]
    assert len(sizes) > 5
    assert all(1 << 20 <= size < (1 << 20) + 4096 for size in sizes[:-1])
