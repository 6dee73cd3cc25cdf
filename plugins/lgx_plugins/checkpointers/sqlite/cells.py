"""Rows of the tables as records; every cell of text or bytes comes as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import CheckpointWrite, Loss, RawCheckpoint, ThreadError
from lgx_plugins.checkpointers.rows.digests import RowDigest
from lgx_plugins.checkpointers.rows.forms import metadata_of, text_of
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES

__all__ = ["add_cells", "add_standing", "checkpoint_of", "read", "write_of"]

_TASK_PATH = 7
_TEXT = {CHECKPOINTS: (0, 1, 2, 3), WRITES: (0, 1, 2, 4, 5, _TASK_PATH)}


def add_cells(digest: RowDigest, table: str, cells: Sequence[Any]) -> None:
    """Takes a row, as `Tables.cells` names its columns, into a digest. A path that is not there
    counts as an empty one: that is what a newer program makes of it."""
    if table is WRITES and cells[_TASK_PATH] is None:
        cells = (*cells[:_TASK_PATH], b"")
    digest.add(table, cells)


def add_standing(digest: RowDigest, table: str, cells: Sequence[Any]) -> None:
    """The same into a digest like those that marks keep: of rows as they were written."""
    text = _TEXT[table]
    found = [
        cell.decode("utf-8", "surrogateescape") if at in text and isinstance(cell, bytes) else cell
        for at, cell in enumerate(cells)
    ]
    if table is WRITES and found[_TASK_PATH] is None:
        found[_TASK_PATH] = ""
    digest.add(table, found)


def checkpoint_of(thread_id: str, cells: Sequence[Any]) -> RawCheckpoint:
    """
    Raises:
        ThreadError: a cell holds what no SqliteSaver puts there.
    """
    ns, checkpoint_id, parent, type_, blob, metadata = cells
    found = metadata_of(_bytes(metadata, "metadata"))
    return RawCheckpoint(
        thread_id=thread_id,
        checkpoint_ns=text_of(ns, "checkpoint_ns"),
        checkpoint_id=text_of(checkpoint_id, "checkpoint_id"),
        parent_checkpoint_id=_text(parent, "parent_checkpoint_id"),
        type=_text(type_, "type"),
        blob=_bytes(blob, "checkpoint"),
        metadata=found.text,
        metadata_blob=found.blob,
    )


def write_of(thread_id: str, cells: Sequence[Any]) -> CheckpointWrite:
    """
    Raises:
        ThreadError: a cell holds what no SqliteSaver puts there.
    """
    ns, checkpoint_id, task_id, idx, channel, type_, value, path = cells
    if not isinstance(idx, int):
        raise ThreadError(f"idx is {idx!r}, and no whole number")
    return CheckpointWrite(
        thread_id=thread_id,
        checkpoint_ns=text_of(ns, "checkpoint_ns"),
        checkpoint_id=text_of(checkpoint_id, "checkpoint_id"),
        task_id=text_of(task_id, "task_id"),
        idx=idx,
        channel=text_of(channel, "channel"),
        type=_text(type_, "type"),
        blob=_bytes(value, "value"),
        task_path=_text(path, "task_path"),
    )


def read(
    table: str, thread_id: str, cells: Sequence[Any]
) -> RawCheckpoint | CheckpointWrite | Loss:
    """The record of a row, or why there is none."""
    try:
        if table == CHECKPOINTS:
            return checkpoint_of(thread_id, cells)
        return write_of(thread_id, cells)
    except ThreadError as error:
        ns, checkpoint_id, *more = (_shown(cell) for cell in cells[:4])
        kind = "checkpoint" if table == CHECKPOINTS else f"write {more[1]} of task {more[0]} of"
        return Loss(
            what=f"{kind} {checkpoint_id} of namespace {ns}",
            why=f"{error}; correct it in table {table!r}, or remove the row",
            thread_id=thread_id,
            checkpoints=int(table == CHECKPOINTS),
        )


def _text(cell: object, what: str) -> str | None:
    return None if cell is None else text_of(cell, what)


def _bytes(cell: object, what: str) -> bytes | None:
    if cell is None or isinstance(cell, bytes):
        return cell
    raise ThreadError(f"{what} is the number {cell!r}, and no bytes")


def _shown(cell: object) -> str:
    return repr(cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else cell)
