"""Rows as records, column by column: of tables that others made or altered."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from lgx import Loss, Record, ThreadError, decode_line
from lgx_plugins.postgres.cells import (
    has_mark,
    restore_json,
    restore_text,
    restore_time,
    time_text,
)
from lgx_plugins.postgres.decoding import BARE, NO_TIME, Decoder, Items, loss_of, other_fields
from lgx_plugins.postgres.layout import Field
from lgx_plugins.postgres.streaming import Cells
from lgx_plugins.tables import RECORDS, THREADS, Table, json_cell, text_cell

__all__ = ["CellDecoder"]

_instant = struct.Struct(">q").unpack


class CellDecoder(Decoder):
    """Makes records of the rows of one table, whatever the types of its columns."""

    def __init__(self, table: Table, fields: Sequence[Field], *, restore: bool) -> None:
        """
        Args:
            fields: what the cells are, `exact` last where it is there. Rows may have more.
            restore: whether lgx wrote them, so that escapes are put back.
        """
        self._table = table
        self._restore = restore
        self.columns = ", ".join(field.sql for field in fields)
        self.skips = tuple(int(field.how == "jsonb") for field in fields)
        self._exact = fields[-1].name == "exact"
        self._plain = [(field.name, _converter(table, field)) for field in fields]
        self._marked = [(field.name, _converter(table, field, marked=True)) for field in fields]
        if self._exact:
            self._plain.pop()
            self._marked.pop()
        self._count = len(self._plain)
        self._times = [
            (number, field.name) for number, field in enumerate(fields) if field.how == "time"
        ]
        self._required = _required(table)

    def thread(self, cells: Cells) -> tuple[str, Items]:
        name, convert = (self._marked if self._is_marked(cells) else self._plain)[0]
        assert name == "thread_id"
        assert cells[0] is not None, "rows are looked for by their id"
        thread_id = str(convert(cells[0]))
        return thread_id, self.items([cells], thread_id, marked=True)

    def items(self, rows: Sequence[Cells], thread_id: str, *, marked: bool) -> Items:
        items: Items = []
        for cells in rows:
            try:
                items.append(self.record(cells, thread_id, marked=marked))
            except ThreadError as error:
                items.append(self.loss(cells, thread_id, error))
        return items

    def record(self, cells: Cells, thread_id: str | None, *, marked: bool = True) -> Record | None:
        """The record of a row; None where the row stands for a thread without one of its own.

        Args:
            thread_id: of the thread that it is a part of, whatever the row says.
            marked: whether it may hold a mark.

        Raises:
            ThreadError: a cell is not what its column is for.
        """
        if self._restore and self._table is THREADS and self._is_bare(cells):
            return None
        fields: dict[str, Any] = {
            name: convert(cell)
            for (name, convert), cell in zip(
                self._marked if marked and self._is_marked(cells) else self._plain,
                cells,
                strict=False,
            )
            if cell is not None
        }
        if self._exact and cells[self._count] is not None:
            self._restore_times(fields, cells)
        if thread_id is not None:
            fields["thread_id"] = thread_id
        for name in self._required:
            if name not in fields:
                raise ThreadError(f"a row is no {self._kind}: object missing required field {name}")
        if self._table is RECORDS:
            return decode_line(fields["body"])
        assert self._table.record is not None
        return self._table.record(**fields)

    def _is_marked(self, cells: Cells) -> bool:
        """Whether there may be something to restore."""
        return self._restore and any(cell is not None and has_mark(cell) for cell in cells)

    def _is_bare(self, cells: Cells) -> bool:
        """Whether it stands for a thread without a record of its own."""
        *others, extra = cells[1 : self._count]
        return extra == BARE and all(cell is None for cell in others)

    @property
    def _kind(self) -> str:
        return self._table.record.kind if self._table.record else "record"

    def _restore_times(self, fields: dict[str, Any], cells: Cells) -> None:
        """Puts in the texts of times, as far as they still mean what their columns say."""
        cell = cells[self._count]
        assert cell is not None
        try:
            exact = msgspec.json.decode(restore_json(cell), type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeError):
            return  # not as lgx wrote it: the columns stand for themselves
        for number, name in self._times:
            held = cells[number]
            text = restore_time(None if held is None else _instant(held)[0], exact.get(name))
            if text is not None:
                fields[name] = text

    def loss(self, cells: Cells, thread_id: str | None, error: ThreadError) -> Loss:
        """Names a row that cannot be read."""
        keys = {
            name: None if cell is None else cell.decode("utf-8", "backslashreplace")
            for (name, _), cell in zip(self._plain, cells, strict=False)
        }
        return loss_of(self._table, keys, thread_id, error)


def _required(table: Table) -> tuple[str, ...]:
    if table.record is None:
        return ("body",)
    return tuple(field.name for field in msgspec.structs.fields(table.record) if field.required)


def _converter(table: Table, field: Field, *, marked: bool = False) -> Callable[[bytes], object]:
    """What makes the value of a record's field of a cell that is not NULL."""
    name, how = field.name, field.how
    if how == "time":
        return lambda cell: time_text(_instant(cell)[0]) or _no_time(name)
    if how == "integer":
        return lambda cell: _instant(cell)[0]
    if how == "flag":
        return lambda cell: cell != b"\0"
    kind = next((column.type for column in table.columns if column.name == name), "json")
    if kind in ("integer", "flag"):
        return lambda cell: _not_whole(name, cell)
    if kind != "json":
        if marked:
            return lambda cell: restore_text(text_cell(name, cell))
        return bytes.decode
    text = _json(name, checked=how != "jsonb", marked=marked)
    if name == "extra":
        if table is not THREADS:
            return lambda cell: other_fields(table, text(cell))
        # Where there was no record of it, and somebody has filled in its row.
        return lambda cell: msgspec.UNSET if cell == BARE else other_fields(table, text(cell))
    if name == "namespace":
        return lambda cell: _labels(text(cell))
    return text


def _json(name: str, *, checked: bool, marked: bool) -> Callable[[bytes], Raw]:
    if checked and marked:
        return lambda cell: Raw(restore_json(bytes(json_cell(name, cell))))
    if checked:  # of any content
        return lambda cell: json_cell(name, cell)
    if marked:
        return lambda cell: Raw(restore_json(cell))
    return Raw


def _no_time(name: str) -> str:
    raise ThreadError(f"column {name!r} {NO_TIME}")


def _not_whole(name: str, cell: bytes) -> int:
    raise ThreadError(f"column {name!r} holds {cell.decode('utf-8', 'replace')!r}, not a number")


def _labels(text: Raw) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(text, type=tuple[str, ...])
    except (msgspec.MsgspecError, UnicodeError):
        raise ThreadError("column 'namespace' does not hold a list of texts") from None
