"""Records as rows of a binary COPY; what JSONB and text of PostgreSQL cannot hold is told."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TypeAlias

from msgspec import Raw, UnsetType

from lgx import ChannelBlob, CheckpointWrite, Loss, RawCheckpoint, ThreadError, compact
from lgx_plugins.checkpointers.postgres.tables import BLOBS, CHECKPOINTS, WRITES, Tables
from lgx_plugins.postgres.copying import (
    Part,
    Row,
    add_bytes,
    add_json,
    begin_row,
    closed,
)

__all__ = ["Shape", "Shapes", "changed_numbers"]

_idx4 = struct.Struct(">ii").pack
_idx8 = struct.Struct(">iq").pack
_INT4 = range(-(1 << 31), 1 << 31)

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_ODD_NUMBER = re.compile(rb"[0-9][eE]|-0(?:[.,}\]\s]|$)")

AddJson: TypeAlias = "Callable[[list[Part], Part | None], None]"


class Shape:
    """The columns of one table in the order of its rows."""

    def __init__(self, table: str, columns: Iterable[str]) -> None:
        self.table = table
        self.columns = tuple(columns)
        self.begin = begin_row(len(self.columns))


class Shapes:
    """Of the tables as they stand, and how a record fills a row of them."""

    def __init__(self, tables: Tables) -> None:
        self._type = tables.has(CHECKPOINTS, "type")
        self._path = tables.has(WRITES, "task_path")
        types = tables.types
        self._add_document = _adder(types[CHECKPOINTS]["checkpoint"])
        self._add_metadata = _adder(types[CHECKPOINTS]["metadata"])
        self._idx = _idx8 if types[WRITES]["idx"] == "int8" else _idx4
        self.blobs = Shape(
            BLOBS, ("thread_id", "checkpoint_ns", "channel", "version", "type", "blob")
        )
        self.checkpoints = Shape(
            CHECKPOINTS,
            (
                "thread_id",
                "checkpoint_ns",
                "checkpoint_id",
                "parent_checkpoint_id",
                "checkpoint",
                "metadata",
                *(("type",) * self._type),
            ),
        )
        self.writes = Shape(
            WRITES,
            (
                "thread_id",
                "checkpoint_ns",
                "checkpoint_id",
                "task_id",
                "idx",
                "channel",
                "type",
                "blob",
                *(("task_path",) * self._path),
            ),
        )

    def blob(self, record: ChannelBlob) -> Row:
        parts: list[Part] = [self.blobs.begin]
        for text in (
            record.thread_id,
            record.checkpoint_ns,
            record.channel,
            record.version,
            record.type,
        ):
            add_bytes(parts, _cell(text))
        add_bytes(parts, record.blob)
        return closed(parts, len(record.blob or b""))

    def checkpoint(self, record: RawCheckpoint) -> Row:
        """
        Args:
            record: in split form.
        """
        what = f"checkpoint {record.checkpoint_id!r} of namespace {record.checkpoint_ns!r}"
        assert not isinstance(record.document, UnsetType)
        metadata = _metadata(record, what)
        _check(record.document, what)
        _check(metadata, f"metadata of {what}")
        parts: list[Part] = [self.checkpoints.begin]
        for text in (
            record.thread_id,
            record.checkpoint_ns,
            record.checkpoint_id,
            record.parent_checkpoint_id,
        ):
            add_bytes(parts, None if text is None else _cell(text))
        self._add_document(parts, record.document)
        self._add_metadata(parts, metadata)
        if self._type:
            add_bytes(parts, None if record.type is None else _cell(record.type))
        return closed(parts, len(memoryview(record.document)))

    def write(self, record: CheckpointWrite) -> Row:
        what = f"write {record.idx} of task {record.task_id!r} at {record.checkpoint_id!r}"
        parts: list[Part] = [self.writes.begin]
        for text in (
            record.thread_id,
            record.checkpoint_ns,
            record.checkpoint_id,
            record.task_id,
        ):
            add_bytes(parts, _cell(text))
        if self._idx is _idx4:
            if record.idx not in _INT4:
                raise ThreadError(f"{what} has a number that the column idx cannot hold")
            parts.append(_idx4(4, record.idx))
        else:
            parts.append(_idx8(8, record.idx))
        add_bytes(parts, _cell(record.channel))
        add_bytes(parts, None if record.type is None else _cell(record.type))
        blob = record.blob
        if blob is None:
            if record.type not in (None, "null"):
                raise ThreadError(f"{what} has no value, and the type {record.type!r}")
            blob = b""
        add_bytes(parts, blob)
        if self._path:
            add_bytes(parts, _cell(record.task_path or ""))
        return closed(parts, len(blob))

    def pathless(self, record: CheckpointWrite) -> bool:
        """Whether the tables have no room for the path of its task, and it has one."""
        return bool(record.task_path) and not self._path


def _adder(kind: str) -> AddJson:
    return add_json if kind == "jsonb" else _add_text


def _add_text(parts: list[Part], cell: Part | None) -> None:
    add_bytes(parts, None if cell is None else bytes(cell))


def _cell(text: str) -> bytes:
    """
    Raises:
        ThreadError: no text of PostgreSQL holds it.
    """
    try:
        cell = text.encode()
    except UnicodeEncodeError:
        cell = b"\0"
    if b"\0" in cell:
        raise ThreadError(
            f"PostgreSQL cannot hold the text {text!r}, which is a key of its rows; SQLite, an "
            "archive or an ndjson file can"
        )
    return cell


def _check(text: Raw, what: str) -> None:
    """
    Raises:
        ThreadError: JSONB does not hold it.
    """
    data = bytes(text)
    if b"\\u0000" in data and _NUL.search(data):
        raise ThreadError(
            f"{what} has the character NUL in a text, which PostgreSQL's JSONB cannot hold; "
            "SQLite, an archive or an ndjson file can"
        )


def _metadata(record: RawCheckpoint, what: str) -> Raw:
    if not isinstance(record.metadata, UnsetType):
        return record.metadata
    if record.metadata_blob is None:
        return Raw(b"{}")  # as every saver reads its absence
    try:
        return Raw(compact(record.metadata_blob))
    except ThreadError as error:
        raise ThreadError(
            f"the metadata of {what} is no JSON, which the column metadata needs: {error}"
        ) from error


def changed_numbers(record: RawCheckpoint) -> Iterator[Loss]:
    """Of metadata: JSONB keeps the value of a number, and not that it is a fraction where it is
    a large one or a zero below zero."""
    text = b"" if isinstance(record.metadata, UnsetType) else bytes(record.metadata)
    if not _ODD_NUMBER.search(text):
        return
    changed: list[str] = []

    def look(number: str) -> None:
        exact = Decimal(number)
        if "." not in f"{exact:f}" or (exact.is_zero() and exact.is_signed()):
            changed.append(number)

    try:
        json.loads(text, parse_float=look)
    except (ValueError, RecursionError):
        return  # the server will say so
    if changed:
        yield Loss(
            what=f"the form of {', '.join(changed[:3])} in the metadata of checkpoint "
            f"{record.checkpoint_id!r} of namespace {record.checkpoint_ns!r}",
            why="PostgreSQL's JSONB keeps the number, and not that it is a fraction",
            thread_id=record.thread_id,
            holdable=False,
        )
