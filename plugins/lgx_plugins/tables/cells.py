"""Records as cells and back: text as str, JSON as the bytes of its text, absent as None.

Cells come from databases that anybody may have written to: what is not text in UTF-8 or
not JSON is refused by name, before it can spoil the line that it would become part of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from lgx import (
    Checkpoint,
    Record,
    Thread,
    ThreadError,
    canonical,
    encode_line,
    raw,
    split_array,
    split_object,
)
from lgx_plugins.tables.columns import RECORDS, THREADS, Column, Table

__all__ = [
    "Cell",
    "contradicts",
    "from_cells",
    "is_bare",
    "json_cell",
    "text_cell",
    "to_bare_cells",
    "to_cells",
]

Cell: TypeAlias = str | int | bytes | None
"""What a cell holds: bytes are JSON text."""

_any_json = msgspec.json.Decoder(Raw)


def to_cells(table: Table, record: Record) -> tuple[Cell, ...]:
    """The cells of a record, in the order of `table.names`."""
    if table is RECORDS:
        return getattr(record, "thread_id", None), record.kind, encode_line(record)
    cells = [_to_cell(column, getattr(record, column.name)) for column in table.columns]
    if isinstance(record, Checkpoint):
        cells.append(_checkpoint_data(record))
    return tuple(cells)


_NONE = b"null"  # in the place of the fields beyond the columns, which else are an object


def to_bare_cells(thread_id: str) -> tuple[Cell, ...]:
    """The row that stands for a thread without a record of its own."""
    return (*to_cells(THREADS, Thread(thread_id=thread_id))[:-1], _NONE)


def is_bare(cells: Sequence[object]) -> bool:
    """Whether a row of the threads' table stands for a thread without a record of its own."""
    return cells[-1] == _NONE and all(cell is None for cell in cells[1:-1])


def _to_cell(column: Column, value: Any) -> Cell:
    if value is None or value is UNSET:
        return None
    if column.type == "json":
        return bytes(value if type(value) is Raw else raw(value))
    cell: Cell = int(value) if column.type == "flag" else value
    return cell


def _checkpoint_data(record: Checkpoint) -> bytes:
    """The `checkpoint` object of the state, as the API gives it."""
    if not isinstance(record.extra, UnsetType) and "checkpoint" in record.extra:
        return bytes(record.extra["checkpoint"])
    return bytes(
        raw(
            {
                "checkpoint_id": record.checkpoint_id,
                "thread_id": record.thread_id,
                "checkpoint_ns": record.checkpoint_ns,
            }
        )
    )


def contradicts(record: Checkpoint, cell: object) -> bool:
    """Whether a cell of the column that is derived of a checkpoint says something else."""
    expected = _checkpoint_data(record)
    if cell is None or cell == expected:
        return False
    try:
        return canonical(json_cell("checkpoint_data", cell)) != canonical(expected)
    except ThreadError:
        return True


def from_cells(table: Table, cells: Sequence[object]) -> Record:
    """The record of cells in the order of `table.columns`; text may be str or bytes.

    Raises:
        ThreadError: a cell is not what its column is for; the message names the column.
    """
    assert table.record is not None
    fields: dict[str, Any] = {}
    for column, cell in zip(table.columns, cells, strict=True):
        if table is THREADS and column.name == "extra" and cell == _NONE:
            continue  # a thread that had no record, until somebody filled its row
        if cell is not None:
            fields[column.name] = _from_cell(column, cell)
    try:
        return msgspec.convert(fields, table.record)
    except msgspec.ValidationError as error:
        raise ThreadError(f"a row is no {table.record.kind}: {_lower(str(error))}") from None


def _from_cell(column: Column, cell: object) -> object:
    if column.type == "json":
        text = json_cell(column.name, cell)
        if column.name == "extra":
            return split_object(text)
        if column.name == "namespace":
            return tuple(msgspec.json.decode(label) for label in split_array(text))
        return text
    if column.type in ("integer", "flag"):
        if not isinstance(cell, int):
            raise ThreadError(f"column {column.name!r} holds {cell!r}, not a whole number")
        return bool(cell) if column.type == "flag" else cell
    return text_cell(column.name, cell)


def text_cell(name: str, cell: object) -> str:
    """A cell of text.

    Raises:
        ThreadError: it is not text in UTF-8.
    """
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError as error:
            raise ThreadError(
                f"column {name!r} holds text that is not UTF-8 at byte {error.start}"
            ) from None
    return str(cell)


def json_cell(name: str, cell: object) -> Raw:
    """A cell of JSON.

    Raises:
        ThreadError: it is not the text of exactly one JSON value in UTF-8.
    """
    text = cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "surrogatepass")
    try:
        text.decode()
        return _any_json.decode(text)
    except UnicodeDecodeError as error:
        raise ThreadError(
            f"column {name!r} holds text that is not UTF-8 at byte {error.start}"
        ) from None
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        (value,) = split_array(b"[" + text + b"]")  # without a limit to nesting
    except (ThreadError, ValueError):
        raise ThreadError(f"column {name!r} does not hold the text of one JSON value") from None
    return value


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].replace("`", "")
