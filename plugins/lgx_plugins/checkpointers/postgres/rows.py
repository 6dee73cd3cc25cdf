"""Records as rows of a binary COPY; what JSONB and text of PostgreSQL cannot hold is told."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import lru_cache, partial
from typing import TypeAlias

from msgspec import Raw, UnsetType

from lgx import ChannelBlob, CheckpointWrite, Loss, RawCheckpoint, ThreadError, compact
from lgx_plugins.checkpointers.postgres.tables import BLOBS, CHECKPOINTS, WRITES, Tables
from lgx_plugins.postgres.copying import (
    NULL,
    Part,
    Row,
    add_bytes,
    add_json,
    begin_row,
    closed,
)

__all__ = ["Shape", "Shapes", "changed_numbers"]

_idx4 = partial(struct.Struct(">ii").pack, 4)
_idx8 = partial(struct.Struct(">iq").pack, 8)
_INT4 = range(-(1 << 31), 1 << 31)
_INT8 = range(-(1 << 63), 1 << 63)

_TEXTS = 4096

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
        wide = types[WRITES]["idx"] == "int8"
        self._idx = _idx8 if wide else _idx4
        self._numbers = _INT8 if wide else _INT4
        self._text = lru_cache(_TEXTS)(_cell)  # ids and channels come again and again
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
        text = self._text
        parts: list[Part] = [
            self.blobs.begin,
            text(record.thread_id),
            text(record.checkpoint_ns),
            text(record.channel),
            text(record.version),
            text(record.type),
        ]
        add_bytes(parts, record.blob)
        return closed(parts, len(record.blob or b""))

    def checkpoint(self, record: RawCheckpoint) -> Row:
        """
        Args:
            record: in split form.
        """
        document, metadata = record.document, _metadata(record)
        assert not isinstance(document, UnsetType)
        _check(document, "", record)
        _check(metadata, "metadata of ", record)
        text = self._text
        parts: list[Part] = [
            self.checkpoints.begin,
            text(record.thread_id),
            text(record.checkpoint_ns),
            text(record.checkpoint_id),
            text(record.parent_checkpoint_id),
        ]
        self._add_document(parts, document)
        self._add_metadata(parts, metadata)
        if self._type:
            parts.append(text(record.type))
        return closed(parts, len(memoryview(document)))

    def write(self, record: CheckpointWrite) -> Row:
        idx, blob = record.idx, record.blob
        if idx not in self._numbers:
            raise ThreadError(f"{_write(record)} has a number that the column idx cannot hold")
        if blob is None:
            if record.type not in (None, "null"):
                raise ThreadError(f"{_write(record)} has no value, and the type {record.type!r}")
            blob = b""
        text = self._text
        parts: list[Part] = [
            self.writes.begin,
            text(record.thread_id),
            text(record.checkpoint_ns),
            text(record.checkpoint_id),
            text(record.task_id),
            self._idx(idx),
            text(record.channel),
            text(record.type),
        ]
        add_bytes(parts, blob)
        if self._path:
            parts.append(text(record.task_path or ""))
        return closed(parts, len(blob))

    def pathless(self, record: CheckpointWrite) -> bool:
        """Whether the tables have no room for the path of its task, and it has one."""
        return bool(record.task_path) and not self._path


def _adder(kind: str) -> AddJson:
    return add_json if kind == "jsonb" else _add_text


def _add_text(parts: list[Part], cell: Part | None) -> None:
    add_bytes(parts, None if cell is None else bytes(cell))


def _cell(text: str | None) -> bytes:
    """A cell of TEXT with its length.

    Raises:
        ThreadError: no text of PostgreSQL holds it.
    """
    if text is None:
        return NULL
    try:
        cell = text.encode()
    except UnicodeEncodeError:
        cell = b"\0"
    if b"\0" in cell:
        raise ThreadError(
            f"PostgreSQL cannot hold the text {text!r}, which is a key of its rows; SQLite, an "
            "archive or an ndjson file can"
        )
    parts: list[Part] = []
    add_bytes(parts, cell)
    return b"".join(parts)


def _checkpoint(record: RawCheckpoint) -> str:
    return f"checkpoint {record.checkpoint_id!r} of namespace {record.checkpoint_ns!r}"


def _write(record: CheckpointWrite) -> str:
    return f"write {record.idx} of task {record.task_id!r} at {record.checkpoint_id!r}"


def _check(text: Raw, part: str, record: RawCheckpoint) -> None:
    """
    Raises:
        ThreadError: JSONB does not hold it.
    """
    data = bytes(text)
    if b"\\u0000" in data and _NUL.search(data):
        raise ThreadError(
            f"{part}{_checkpoint(record)} has the character NUL in a text, which PostgreSQL's "
            "JSONB cannot hold; SQLite, an archive or an ndjson file can"
        )


def _metadata(record: RawCheckpoint) -> Raw:
    if not isinstance(record.metadata, UnsetType):
        return record.metadata
    if record.metadata_blob is None:
        return Raw(b"{}")  # as every saver reads its absence
    try:
        return Raw(compact(record.metadata_blob))
    except ThreadError as error:
        raise ThreadError(
            f"the metadata of {_checkpoint(record)} is no JSON, which the column metadata needs: "
            f"{error}"
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
            what=f"the form of {', '.join(changed[:3])} in the metadata of {_checkpoint(record)}",
            why="PostgreSQL's JSONB keeps the number, and not that it is a fraction",
            thread_id=record.thread_id,
            holdable=False,
        )
