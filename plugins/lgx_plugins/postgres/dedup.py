"""Values of checkpoints as hashes, and each different one of a thread as a row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from lgx import ThreadError, split_object
from lgx_plugins.postgres.cells import escape_json, escape_text, needs_escape
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
from lgx_plugins.postgres.dedup_schema import VALUES_COLUMNS
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.rows import Shape, fields_of
from lgx_plugins.tables import CHECKPOINTS

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["COLUMNS", "SHAPE", "clear", "known_hashes", "value_rows"]

COLUMNS = ("thread", "hash", "value", "elements")

_ELEMENT = 64
"""Lists whose elements have so many bytes on average are kept by element: messages are,
vectors of numbers are not. A hash takes twenty."""

_UUID, _TEXT = 2950, 25
_array = Struct(">iiiii").pack
_EMPTY = Struct(">iii").pack
_SIZE = Struct(">i").pack
_BEGIN = begin_row(len(COLUMNS))

_list_decoder = msgspec.json.Decoder(list[Raw])


def _hash(text: Part) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def _element_hash(text: Part) -> bytes:
    """Of an element, whose row always holds it whole: the same text may be a channel's value
    elsewhere, and be kept by its own elements there."""
    return hashlib.blake2b(text, digest_size=16, person=b"element").digest()


def _channels(values: Raw, odd: bool, strictly: bool) -> Mapping[str, Raw] | None:
    """The members of an object; None where the value is kept whole."""
    text = bytes(values)
    if not text.startswith(b"{") or (odd and escape_json(text, strictly=strictly)[:1] == b'"'):
        return None
    try:
        return split_object(text)
    except ThreadError:  # a key with half a surrogate pair
        return None


def _add_values(parts: list[Part], values: Raw | None, odd: bool, strictly: bool) -> None:
    """The cells of `VALUES_COLUMNS`."""
    if values is None:
        parts += (NULL, NULL, NULL)
        return
    channels = _channels(values, odd, strictly)
    if channels is None:
        parts.append(NULL)
        hashes = [_hash(values)]
    else:
        add_bytes(parts, _as_array([escape_text(name) for name in channels], _TEXT))
        hashes = [_hash(value) for value in channels.values()]
    add_bytes(parts, _as_array(hashes, _UUID))
    add_integer(parts, len(memoryview(values)))


def _as_array(items: Sequence[bytes], kind: int) -> bytes:
    if not items:
        return _EMPTY(0, 0, kind)
    return _array(1, 0, kind, len(items), 1) + b"".join(
        part for item in items for part in (_SIZE(len(item)), item)
    )


SHAPE = Shape(CHECKPOINTS, ("thread", "position"), (VALUES_COLUMNS, _add_values))


def value_rows(
    thread: int, lines: Iterator[bytes], known: set[bytes], *, strictly: bool
) -> Iterator[Row]:
    """Rows of `COLUMNS` for what these checkpoints have besides `known`, which grows."""
    for line in lines:
        values = fields_of(line).get("values")
        if values is None:
            continue
        odd = strictly or needs_escape(line)
        channels = _channels(values, odd, strictly)
        for value in (values,) if channels is None else channels.values():
            yield from _value_rows(thread, value, known, odd=odd, strictly=strictly)


def _value_rows(
    thread: int, value: Raw, known: set[bytes], *, odd: bool, strictly: bool
) -> Iterator[Row]:
    key = _hash(value)
    if key in known:
        return
    known.add(key)
    elements = _elements(value, odd, strictly)
    if elements is None:
        yield _row(thread, key, value, None, odd=odd, strictly=strictly)
        return
    hashes = [_element_hash(element) for element in elements]
    for element, one in zip(elements, hashes, strict=True):
        if one not in known:
            known.add(one)
            yield _row(thread, one, element, None, odd=odd, strictly=strictly)
    yield _row(thread, key, None, hashes, odd=False, strictly=False)


def _elements(value: Raw, odd: bool, strictly: bool) -> Sequence[Raw] | None:
    """Of a list that is kept by element; None for any other value."""
    text = bytes(value)
    if not text.startswith(b"[") or len(text) < _ELEMENT:
        return None
    if odd and escape_json(text, strictly=strictly)[:1] == b'"':
        return None
    try:
        elements = _list_decoder.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return elements if len(text) >= _ELEMENT * len(elements) else None


def _row(
    thread: int,
    key: bytes,
    value: Raw | None,
    elements: Sequence[bytes] | None,
    *,
    odd: bool,
    strictly: bool,
) -> Row:
    parts: list[Part] = [_BEGIN]
    add_integer(parts, thread)
    add_bytes(parts, key)
    if value is not None and odd:
        add_json(parts, escape_json(bytes(value), strictly=strictly))
    else:
        add_json(parts, value)
    add_bytes(parts, None if elements is None else _as_array(elements, _UUID))
    return closed(parts, 0 if value is None else len(memoryview(value)))


async def known_hashes(
    connection: Connection, names: Names, threads: Sequence[int]
) -> dict[int, set[bytes]]:
    """What these threads have already."""
    found: dict[int, set[bytes]] = {thread: set() for thread in threads}
    async for thread, key in connection.cursor(
        f"SELECT thread, hash FROM {names('channel_values')} WHERE thread = ANY ($1)",
        threads,
        prefetch=1000,
    ):
        found[thread].add(key.bytes)
    return found


async def clear(connection: Connection, names: Names, threads: Sequence[int]) -> None:
    """Removes the values of these threads that no checkpoint has any more."""
    values = names("channel_values")
    await connection.execute(
        f"WITH used AS MATERIALIZED (SELECT DISTINCT c.thread, h.hash "
        f"FROM {names('checkpoint_rows')} AS c, unnest(c.hashes) AS h (hash) "
        "WHERE c.thread = ANY ($1)), "
        "parts AS (SELECT v.thread, e.hash FROM used AS u "
        f"JOIN {values} AS v ON v.thread = u.thread AND v.hash = u.hash, "
        "unnest(v.elements) AS e (hash)) "
        f"DELETE FROM {values} WHERE thread = ANY ($1) AND (thread, hash) NOT IN "
        "(SELECT thread, hash FROM used UNION ALL SELECT thread, hash FROM parts)",
        threads,
    )
