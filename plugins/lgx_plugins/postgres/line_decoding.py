"""Rows as records, from one line of JSON that the server makes of each: for lgx's own tables.

Most of a row's columns are JSON to begin with, and the rest is ids and times. Joined by the
server, and taken apart by msgspec at once, they cost a third of what they cost one by one. The
values stay apart: to join what is large costs the server more than it saves here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import force_setattr

from lgx import Loss, Record, ThreadError, decode_line, split_object
from lgx_plugins.postgres.cells import has_mark, instant, restore_json, restore_text, restore_time
from lgx_plugins.postgres.decoding import BARE, NO_TIME, Decoder, Items, loss_of, other_fields
from lgx_plugins.postgres.layout import Field
from lgx_plugins.postgres.streaming import Cells
from lgx_plugins.tables import THREADS, Table

__all__ = ["LineDecoder", "can_be_lines"]

_BULK = "values"

# Years 1 to 9999, which is what Python counts; a `false` is refused as a time.
_TIME = """CASE
WHEN {0} BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'
THEN '"' || replace(to_char(timezone('UTC', {0}), 'YYYY-MM-DD"T"HH24:MI:SS.US+00:00'),
    '.000000', '') || '"'
WHEN {0} IS NOT NULL THEN 'false' END"""


def can_be_lines(fields: Sequence[Field]) -> bool:
    """Whether the columns still are what lgx made them: JSON that the server has checked, times
    with their zone, and text."""
    return all(field.how in ("text", "jsonb", "time") for field in fields)


_head = struct.Struct(">hiii").unpack_from
_length = struct.Struct(">i").unpack_from


def _usual_rows(data: bytes, position: int, rows: list[Cells]) -> int:
    """See `UsualRows`: those without `extra` and `exact`."""
    add, size = rows.append, len(data)
    try:
        while True:
            columns, extra, exact, length = _head(data, position)
            if (columns, extra, exact) != (5, -1, -1) or length < 0:
                return position
            end = position + 14 + length
            (bulk,) = _length(data, end)
            after = end + 4 + max(bulk, 0) + 4  # with the length of the key
            if after + 8 > size:
                return position
            values = data[end + 5 : after - 4] if bulk > 0 else None
            add((None, None, data[position + 14 : end], values, data[after : after + 8]))
            position = after + 8
    except struct.error:
        return position


class LineDecoder(Decoder):
    """Makes records of the rows of one table that lgx made."""

    skips = (1, 1, 0, 1)
    usual = staticmethod(_usual_rows)

    def __init__(self, table: Table, fields: Sequence[Field]) -> None:
        """
        Args:
            fields: `can_be_lines`, and the last two are `extra` and `exact`.
        """
        assert table.record is not None
        *others, extra, exact = fields
        assert (extra.name, exact.name) == ("extra", "exact")
        joined = [field for field in others if field.name != _BULK]
        bulk = next((field.sql for field in others if field.name == _BULK), "NULL::jsonb")
        members = ", ".join(f"""',"{field.name}":' || {_member(field)}""" for field in joined)
        self.columns = f"{extra.sql}, {exact.sql}, concat({members}, '}}'), {bulk}"
        self._table = table
        self._type = table.record
        self._decode = msgspec.json.Decoder(table.record).decode
        self._decode_all = msgspec.json.Decoder(list[table.record]).decode  # type: ignore[name-defined]
        self._times = tuple(field.name for field in fields if field.how == "time")
        self._begin = b'{"kind":' + msgspec.json.encode(table.record.kind)

    def thread(self, cells: Cells) -> tuple[str, Items]:
        assert self._table is THREADS
        extra, exact, joined, bulk, *_ = cells
        line = self._begin + (joined or b"")
        try:
            record = self._record(line, extra, exact, bulk)
        except ThreadError as error:
            loss = self._loss(line, None, error)
            assert loss.thread_id is not None
            return loss.thread_id, [loss]
        thread_id: str = record.thread_id  # type: ignore[attr-defined]  # it is a Thread
        if extra == BARE and record == self._type(thread_id=thread_id):
            return thread_id, [None]
        return thread_id, [record]

    def items(self, rows: Sequence[Cells], thread_id: str, *, marked: bool) -> Items:
        begin = b'%b,"thread_id":%b' % (self._begin, msgspec.json.encode(thread_id))
        extra, exact, joined, bulk, *_ = zip(*rows, strict=True)
        if not (marked or any(extra) or any(exact)):
            try:
                return self._plain(begin, joined, bulk)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass  # row by row it can be coped with, or be said which it is
        return [self._item(begin, cells, thread_id) for cells in rows]

    def _plain(
        self, begin: bytes, joined: Sequence[bytes | None], bulk: Sequence[bytes | None]
    ) -> Items:
        """Of rows in which nothing is to be put back, all at once: a third of the cost."""
        lines = (b",%b" % begin).join(line or b"" for line in joined)
        records = self._decode_all(b"[%b%b]" % (begin, lines))
        for record, values in zip(records, bulk, strict=True):
            if values is not None:
                force_setattr(record, _BULK, Raw(values))
        return records

    def _item(self, begin: bytes, cells: Cells, thread_id: str) -> Record | Loss:
        extra, exact, joined, bulk, *_ = cells
        line = begin + (joined or b"")
        try:
            record = self._record(line, extra, exact, bulk)
            # What was escaped of the row was put back; the id was given as it is.
            return msgspec.structs.replace(record, thread_id=thread_id)
        except ThreadError as error:
            return self._loss(line, thread_id, error)

    def _record(
        self, line: bytes, extra: bytes | None, exact: bytes | None, bulk: bytes | None
    ) -> Record:
        """
        Raises:
            ThreadError: a cell is not what its column is for.
        """
        try:
            record = self._decode(line)
        except RecursionError:
            record = decode_line(line)  # without a limit to nesting
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._refusal(line, error) from None
        if has_mark(line):
            record = _restored(record)
        changes: dict[str, Any] = {} if exact is None else self._exact_times(record, exact)
        if extra is not None and not (extra == BARE and self._table is THREADS):
            changes["extra"] = other_fields(self._table, Raw(restore_json(extra)))
        if bulk is not None:
            changes[_BULK] = Raw(restore_json(bulk))
        return msgspec.structs.replace(record, **changes) if changes else record

    def _exact_times(self, record: Record, exact: bytes) -> dict[str, str | None]:
        """The texts of times, as far as they still mean what their columns say."""
        try:
            texts = msgspec.json.decode(restore_json(exact), type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return {}  # not as lgx wrote it: the columns stand for themselves
        times = {}
        for name in self._times:
            held = getattr(record, name)
            times[name] = restore_time(None if held is None else instant(held), texts.get(name))
        return times

    def _refusal(self, line: bytes, error: Exception) -> ThreadError:
        cells = split_object(line)
        for name in self._times:
            if name in cells and bytes(cells[name]) == b"false":
                return ThreadError(f"column {name!r} {NO_TIME}")
        why = str(error)
        why = why[:1].lower() + why[1:].replace("`", "")
        return ThreadError(f"a row is no {self._type.kind}: {why}")

    def _loss(self, line: bytes, thread_id: str | None, error: ThreadError) -> Loss:
        cells = split_object(line)
        texts = {name: _text(cells.get(name)) for name in self._table.key}
        return loss_of(self._table, texts, thread_id or _text(cells.get("thread_id")), error)


def _restored(record: Record) -> Record:
    """With what the escapes in it stand for."""
    restored: dict[str, object] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, str):
            restored[name] = restore_text(value)
        elif isinstance(value, Raw):
            restored[name] = Raw(restore_json(bytes(value)))
    return msgspec.structs.replace(record, **restored)


def _text(cell: Raw | None) -> str | None:
    return None if cell is None else restore_text(msgspec.json.decode(cell, type=str))


def _member(field: Field) -> str:
    """The column as text of JSON, NULL where it is NULL."""
    if field.how == "jsonb":
        return f"{field.sql}::text"
    return _TIME.format(field.sql) if field.how == "time" else f"to_json({field.sql})::text"
