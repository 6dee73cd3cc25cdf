"""Records as rows of a binary COPY, without decoding what stays JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw

from lgx import ThreadError, decode_line, split_object
from lgx_plugins.postgres.cells import (
    check_size,
    escape_json,
    escape_text,
    instant,
    is_plain_time,
    needs_escape,
)
from lgx_plugins.postgres.copying import (
    NULL,
    Part,
    Row,
    add_bytes,
    add_flag,
    add_integer,
    add_json,
    begin_row,
    closed,
)
from lgx_plugins.tables import CHECKPOINTS, RECORDS, RUNS, THREADS, Table

__all__ = ["PARTS", "Beside", "Shape", "digest_of", "fields_of", "table_of"]

PARTS = (CHECKPOINTS, RUNS, RECORDS)
"""The tables of what belongs to a thread, besides its own row."""

_PREFIXES = (
    (b'{"kind":"checkpoint",', CHECKPOINTS),
    (b'{"kind":"thread",', THREADS),
    (b'{"kind":"run",', RUNS),
)
_BY_KIND = {"checkpoint": CHECKPOINTS, "thread": THREADS, "run": RUNS}

_decoder = msgspec.json.Decoder(dict[str, Raw])
_text_decoder = msgspec.json.Decoder(str)

_KEEPS = ("exact", "digest")

Beside: TypeAlias = Sequence[int | str | None]
"""The cells that a row holds besides its record."""


def table_of(line: bytes) -> Table:
    """The table that a thread's record belongs to, mostly seen by the line's beginning."""
    for prefix, table in _PREFIXES:
        if line.startswith(prefix):
            return table
    return _BY_KIND.get(decode_line(line).kind, RECORDS)


def digest_of(line: bytes) -> bytes:
    """Of a record as it came, which JSONB does not keep."""
    return hashlib.blake2b(line, digest_size=16).digest()


class Shape:
    """The columns of one table in the order of its rows, and how a record fills them.

    Args:
        beside: columns that come first, which the writer fills.
        instead: other columns in place of `values`, where the layout keeps those elsewhere,
            and what fills them.
    """

    def __init__(
        self,
        table: Table,
        beside: Sequence[str],
        instead: tuple[Sequence[str], Callable[[list[Part], Raw | None, bool, bool], None]]
        | None = None,
    ) -> None:
        self.table = table
        self.name = table.name if instead is None else "checkpoint_rows"
        self._instead = instead
        names = [column.name for column in table.columns]  # `extra` is the last, as in the row
        if instead is not None:
            names.remove("values")
            names += instead[0]
        self._fields = tuple(
            (column.name, column.type)
            for column in table.columns
            if column.name in names and column.name != "extra"
        )
        self.names = (*beside, *names, *(column.name for column in table.derived), *_KEEPS)
        self._begin = begin_row(len(self.names))

    def row(
        self,
        line: bytes,
        beside: Beside,
        digest: bytes,
        *,
        owner: bytes | None = None,
        strictly: bool = False,
    ) -> Row:
        """The row of a record.

        Args:
            owner: the id of the thread that it must belong to, as JSON.
            strictly: see `cells.escape_json`; says too which cell no JSONB can hold.

        Raises:
            ThreadError: it belongs to another thread, or cannot be held.
        """
        parts: list[Part] = [self._begin]
        _add_beside(parts, beside)
        odd = strictly or needs_escape(line)
        if self.table is RECORDS:
            _add_record(parts, line, owner, odd, strictly)
            parts.append(NULL)
        else:
            fields = fields_of(line)
            if owner is not None and bytes(fields.get("thread_id", b"")) != owner:
                _check_owner(line, owner)
            self._add_fields(parts, fields, line, odd, strictly)
        add_bytes(parts, digest)
        return closed(parts, len(line))

    def _add_fields(
        self, parts: list[Part], fields: dict[str, Raw], line: bytes, odd: bool, strictly: bool
    ) -> None:
        del fields["kind"]
        checkpoint_data = _checkpoint_data(fields) if self.table is CHECKPOINTS else None
        values = fields.pop("values", None) if self._instead is not None else None
        exact: dict[str, str] = {}
        for name, kind in self._fields:
            cell = fields.pop(name, None)
            if cell is None:
                parts.append(NULL)
            elif kind == "text":
                add_bytes(parts, _text(cell, line))
            elif kind == "json":
                if odd:
                    _add_odd(parts, name, cell, strictly)
                else:
                    add_json(parts, cell)
            elif kind == "time":
                add_integer(parts, _time(name, cell, line, exact))
            else:
                _add_number(parts, kind, name, cell, line)
        if fields:
            _add_json(parts, "extra", _object(fields), odd, strictly)
        else:
            parts.append(NULL)
        if self._instead is not None:
            self._instead[1](parts, values, odd, strictly)
        if checkpoint_data is not None:
            _add_json(parts, "checkpoint_data", checkpoint_data, odd, strictly)
        if exact:
            add_json(parts, escape_json(msgspec.json.encode(exact)))
        else:
            parts.append(NULL)

    def bare_row(self, thread_id: str, beside: Beside) -> Row:
        """The row that stands for a thread without a record of its own."""
        parts: list[Part] = [self._begin]
        _add_beside(parts, beside)
        add_bytes(parts, escape_text(thread_id))
        parts += [NULL] * (len(self._fields) - 1)
        add_json(parts, b"null")  # extra
        parts += (NULL, NULL)
        return closed(parts, 0)


def fields_of(line: bytes) -> dict[str, Raw]:
    """The members of a record's line, which is known to be UTF-8."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return split_object(line, "a record")


def _add_beside(parts: list[Part], beside: Beside) -> None:
    for cell in beside:
        if isinstance(cell, str):
            add_bytes(parts, escape_text(cell))
        else:
            add_integer(parts, cell)


def _add_record(
    parts: list[Part], line: bytes, owner: bytes | None, odd: bool, strictly: bool
) -> None:
    record = decode_line(line)
    thread_id = getattr(record, "thread_id", None)
    if owner is not None and thread_id is not None:
        _check_owner(line, owner)
    add_bytes(parts, None if thread_id is None else escape_text(thread_id))
    add_bytes(parts, escape_text(record.kind))
    _add_json(parts, "body", line, odd, strictly)


def _check_owner(line: bytes, owner: bytes) -> None:
    record = decode_line(line)
    thread_id, wanted = getattr(record, "thread_id", None), msgspec.json.decode(owner)
    if thread_id != wanted:
        raise ThreadError(
            f"a {record.kind or 'record'} of thread {thread_id!r} came with thread "
            f"{wanted!r}; nothing of it was written"
        )


def _add_json(parts: list[Part], name: str, cell: Part, odd: bool, strictly: bool) -> None:
    if odd:
        _add_odd(parts, name, cell, strictly)
    else:
        add_json(parts, cell)


def _add_odd(parts: list[Part], name: str, cell: Part, strictly: bool) -> None:
    text = escape_json(bytes(cell), strictly=strictly)
    if strictly:
        check_size(name, text)
    add_json(parts, text)


def _text(cell: Raw, line: bytes) -> bytes | None:
    text = bytes(cell)
    if text[0] == 0x22 and b"\\" not in text and text.isascii():
        return text[1:-1]
    if text == b"null":
        return None
    return escape_text(_decoded(cell, line, str))


def _time(name: str, cell: Raw, line: bytes, exact: dict[str, str]) -> int | None:
    text: str | None = _decoded(cell, line, str | None)
    if text is None:
        return None
    when = instant(text)
    if when is None or not is_plain_time(text, when):
        exact[name] = text
    return when


def _add_number(parts: list[Part], kind: str, name: str, cell: Raw, line: bytes) -> None:
    if kind == "flag":
        add_flag(parts, _decoded(cell, line, bool))
        return
    number: int = _decoded(cell, line, int)
    if not -(1 << 63) <= number < 1 << 63:
        raise ThreadError(
            f"{name} {number} is larger than the 64 bits that PostgreSQL can hold; "
            "move it into an archive or an ndjson file"
        )
    add_integer(parts, number)


def _decoded(cell: Raw, line: bytes, wanted: Any) -> Any:
    try:
        return msgspec.json.decode(cell, type=wanted)
    except (msgspec.MsgspecError, UnicodeError):
        decode_line(line)  # which names the field
        raise


def _object(fields: dict[str, Raw]) -> bytes:
    return b"{%b}" % b",".join(
        b"%b:%b" % (msgspec.json.encode(key), bytes(value)) for key, value in fields.items()
    )


def _checkpoint_data(fields: dict[str, Raw]) -> Part:
    """The `checkpoint` object of the state, as the API gives it."""
    given = fields.get("checkpoint")
    if given is not None:
        return given
    return b'{"checkpoint_id":%b,"thread_id":%b,"checkpoint_ns":%b}' % tuple(
        bytes(fields.get(name, b"null")) for name in ("checkpoint_id", "thread_id", "checkpoint_ns")
    )
